package envoy

import (
	"fmt"
	"strings"
	"testing"
)

// every reader of a configuration dump, for what holds for all of them.
var readers = map[string]func([]byte) (int, error){
	"listeners":            func(d []byte) (int, error) { out, err := Listeners(d); return len(out), err },
	"routes":               func(d []byte) (int, error) { out, err := Routes(d); return len(out), err },
	"clusters":             func(d []byte) (int, error) { out, err := Clusters(d); return len(out), err },
	"secrets":              func(d []byte) (int, error) { out, err := Secrets(d); return len(out), err },
	"listenerConfigs":      func(d []byte) (int, error) { out, err := ListenerConfigs(d); return len(out), err },
	"routeConfigs":         func(d []byte) (int, error) { out, err := RouteConfigs(d); return len(out), err },
	"clusterConfigs":       func(d []byte) (int, error) { out, err := ClusterConfigs(d); return len(out), err },
	"listeners and states": func(d []byte) (int, error) { out, err := Listeners(d); return len(out), err },
}

func TestEmptyAnswerHoldsNothing(t *testing.T) {
	// Envoy answers {} to ?resource= of a kind of which it has none.
	for name, read := range readers {
		if n, err := read([]byte("{}\n")); n != 0 || err != nil {
			t.Errorf("%s: %d, %v, want none and no error", name, n, err)
		}
	}
}

func TestWrongAnswersAreErrors(t *testing.T) {
	for name, test := range map[string]struct{ answer, want string }{
		"not JSON":         {"invalid path. admin commands are:", "configuration dump"},
		"another object":   {`{"version":"x"}`, "no \"configs\""},
		"configs no list":  {`{"configs":{}}`, "configs"},
		"entry no object":  {`{"configs":[1]}`, "configs[0]"},
		"another question": {`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.EndpointsConfigDump.DynamicEndpointConfig"}]}`, "only EndpointsConfigDump.DynamicEndpointConfig"},
	} {
		for reader, read := range readers {
			if _, err := read([]byte(test.answer)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %s: error %v, want one with %q", name, reader, err, test.want)
			}
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	const dump = `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
		"dynamic_active_clusters":[{"cluster":{"name":"good"}},{"cluster":{"name":7}}]}]}`
	_, err := Clusters([]byte(dump))
	if err == nil || !strings.Contains(err.Error(), "dynamic_active_clusters[1]") {
		t.Errorf("error %v, want one that names dynamic_active_clusters[1]", err)
	}
}

func TestListenerConfigs(t *testing.T) {
	got, err := ListenerConfigs(testdata(t, "config_dump.json"))
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, l := range got {
		if len(l.JSON) == 0 {
			t.Errorf("listener %s has no JSON", l.Name)
		}
		seen = append(seen, fmt.Sprint(l.Name, " ", l.State, " ", l.Static))
	}
	want := "static-one active true, 0.0.0.0_9080 active false, 0.0.0.0_28443 active false, " +
		"0.0.0.0_28018 active false, 0.0.0.0_28018 warming false, pipe active false, connect_originate active false"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNoSecretIsKept(t *testing.T) {
	// The proxy redacts keys itself; a recorded or foreign dump may not be.
	dump := strings.ReplaceAll(string(testdata(t, "config_dump.json")), "W3JlZGFjdGVkXQ==", "VE9QU0VDUkVU")
	if !strings.Contains(dump, "VE9QU0VDUkVU") {
		t.Fatal("the sample has no private key to hide")
	}
	listeners, _ := Listeners([]byte(dump))
	clusters, _ := Clusters([]byte(dump))
	secrets, _ := Secrets([]byte(dump))
	if len(secrets) == 0 {
		t.Fatal("no secrets read")
	}
	printed := fmt.Sprintf("%+v %+v %+v", listeners, clusters, secrets)
	for _, leak := range []string{"TOPSECRET", "VE9QU0VDUkVU", "PRIVATE", "redacted"} {
		if strings.Contains(printed, leak) {
			t.Errorf("%q is in the result", leak)
		}
	}
}
