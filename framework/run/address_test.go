package run

import (
	"strings"
	"testing"
	"time"
)

func TestResolve(t *testing.T) {
	for name, test := range map[string]struct {
		told string
		all  bool
		want string
	}{
		"an address":                       {"192.0.2.7", false, "192.0.2.7"},
		"the first of several":             {"192.0.2.7,192.0.2.1", false, "192.0.2.7"},
		"all of several":                   {"192.0.2.7,192.0.2.1", true, "192.0.2.1,192.0.2.7"},
		"what is told twice":               {"192.0.2.7,192.0.2.1,192.0.2.7", true, "192.0.2.1,192.0.2.7"},
		"an IPv6 address":                  {"2001:db8::7", true, "2001:db8::7"},
		"a name, and an address beside it": {"localhost,192.0.2.1", true, "127.0.0.1,192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := resolve(t.Context(), test.told, test.all, time.Second)
			if err != nil || got != test.want {
				t.Errorf("%q, error %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestANameThatLeadsNowhere(t *testing.T) {
	_, err := resolve(t.Context(), "nowhere.invalid", true, 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "nowhere.invalid has had no IPv4 address for 50ms") {
		t.Errorf("error %v", err)
	}
}
