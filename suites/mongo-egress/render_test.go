package mongoegress_test

import (
	"testing"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/suites/internal/golden"
	mongoegress "github.com/meshproof/meshproof/suites/mongo-egress"
)

func TestRendered(t *testing.T) { golden.Check(t, mongoegress.Pattern()) }

// TestEveryAddressOfTheNameIsMeant: an application may take any of them, so that one that the redirect does not know would be
// refused, or lead past the gateway.
func TestEveryAddressOfTheNameIsMeant(t *testing.T) {
	for name, test := range map[string]struct{ ip, all, subnets, endpoints string }{
		"one address":                     {"192.0.2.1", "192.0.2.1", "192.0.2.1/32", "{address: 192.0.2.1}"},
		"three, LBIP first":               {"192.0.2.2", "192.0.2.1,192.0.2.2,192.0.2.3", "192.0.2.2/32, 192.0.2.1/32, 192.0.2.3/32", "{address: 192.0.2.2}, {address: 192.0.2.1}, {address: 192.0.2.3}"},
		"given by a person, with a space": {"192.0.2.1", "192.0.2.1, 192.0.2.9", "192.0.2.1/32, 192.0.2.9/32", "{address: 192.0.2.1}, {address: 192.0.2.9}"},
		"LBIP given by a person alone":    {"198.51.100.7", "", "198.51.100.7/32", "{address: 198.51.100.7}"},
	} {
		t.Run(name, func(t *testing.T) {
			values := pattern.Values{"mongodb_ip": test.ip, "mongodb_addresses": test.all}
			want := map[string]string{"mongodb_subnets": test.subnets, "mongodb_endpoints": test.endpoints}
			for _, parameter := range mongoegress.Pattern().Parameters {
				if want[parameter.Name] == "" {
					continue
				}
				if got, err := parameter.Compute(values); err != nil || got != want[parameter.Name] {
					t.Errorf("%s is %q, want %q (error %v)", parameter.Name, got, want[parameter.Name], err)
				}
				delete(want, parameter.Name)
			}
			if len(want) > 0 {
				t.Errorf("the pattern has no parameters %v", want)
			}
		})
	}
}
