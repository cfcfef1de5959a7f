package egresstrafficcontrol_test

import (
	"strings"
	"testing"

	egresstrafficcontrol "github.com/meshproof/meshproof/suites/egress-traffic-control"
)

func image(string) string { return "image" }

func TestTimesAreCheckedBeforeAnythingIsTouched(t *testing.T) {
	for value, want := range map[string]string{
		"rating_delay=soon": `"soon" is no duration`,
		"rating_delay=1ms":  "1ms is not from 10ms to 10s",
		"rating_delay=1m":   "1m is not from 10ms to 10s",
		"ejection_time=0s":  "0s is not from 1s to 10m0s",
		"ejection_time=1h":  "1h is not from 1s to 10m0s",
		"rating_delay=5s":   "",
		"ejection_time=3m":  "",
	} {
		name, given, _ := strings.Cut(value, "=")
		values, err := egresstrafficcontrol.Pattern().Values(map[string]string{name: given}, "", image)
		switch {
		case want == "" && (err != nil || values[name] != given):
			t.Errorf("%s: %q, %v", value, values[name], err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: error %v, want %q", value, err, want)
		}
	}
}

// Without Routes the host is that of rating-service's own Service, in the namespace that the run gives it.
func TestTheHostWithoutRoutesFollowsItsNamespace(t *testing.T) {
	values, err := egresstrafficcontrol.Pattern().Values(nil, "two", image)
	if err != nil || values["rating_hostname"] != "rating-service.egress-traffic-control-rating-two.svc.cluster.local" {
		t.Errorf("%q, %v", values["rating_hostname"], err)
	}
}
