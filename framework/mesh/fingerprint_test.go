package mesh

import (
	"net/http"
	"strings"
	"testing"
)

func TestHashOf(t *testing.T) {
	const dump = `{"configs": [{"name": "a", "version_info": "1", "active_state": {"last_updated": "now", "listener": {"ports": [1, 2]}}}, {"name": "b"}]}`
	want, err := hashOf([]byte(dump))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dump string
		same bool
	}{
		"entries in another order":            {`{"configs": [{"name": "b"}, {"name": "a", "version_info": "1", "active_state": {"last_updated": "now", "listener": {"ports": [1, 2]}}}]}`, true},
		"fields in another order":             {`{"configs": [{"active_state": {"listener": {"ports": [1, 2]}, "last_updated": "now"}, "version_info": "1", "name": "a"}, {"name": "b"}]}`, true},
		"another version":                     {strings.Replace(dump, `"1"`, `"2"`, 1), true},
		"another time":                        {strings.Replace(dump, "now", "then", 1), true},
		"neither version nor time":            {`{"configs": [{"name": "a", "active_state": {"listener": {"ports": [1, 2]}}}, {"name": "b"}]}`, true},
		"another name":                        {strings.Replace(dump, `"b"`, `"c"`, 1), false},
		"a deep change":                       {strings.Replace(dump, "[1, 2]", "[1, 3]", 1), false},
		"a list in another order":             {strings.Replace(dump, "[1, 2]", "[2, 1]", 1), false},
		"an entry twice":                      {strings.Replace(dump, `{"name": "b"}`, `{"name": "b"}, {"name": "b"}`, 1), false},
		"an entry less":                       {strings.Replace(dump, `, {"name": "b"}`, "", 1), false},
		"nothing":                             {`{}`, false},
		"an entry that is left only to drain": {strings.Replace(dump, `{"name": "b"}`, `{"name": "b"}, {"name": "c", "draining_state": {"last_updated": "now"}}`, 1), true},
		"an entry whose former state drains":  {strings.Replace(dump, `"active_state"`, `"draining_state": {"last_updated": "then"}, "active_state"`, 1), true},
		"a new entry that warms":              {strings.Replace(dump, `{"name": "b"}`, `{"name": "b"}, {"name": "c", "draining_state": {}, "warming_state": {}}`, 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := hashOf([]byte(test.dump))
			if err != nil || (got == want) != test.same {
				t.Errorf("%s beside %s, error %v; want the same: %t", got, want, err, test.same)
			}
		})
	}
	if _, err := hashOf([]byte("<html>")); err == nil {
		t.Error("what is no JSON has a hash")
	}
}

func TestTakeFingerprint(t *testing.T) {
	take := func(question, from, to string) Fingerprint {
		t.Helper()
		found := question == ""
		fingerprint, err := TakeFingerprint(t.Context(), proxyOf(t, "page", func(asked string, w http.ResponseWriter, _ *http.Request) bool {
			if asked != question {
				return false
			}
			found = strings.Contains(answers[question], from)
			_, _ = w.Write([]byte(strings.Replace(answers[question], from, to, 1)))
			return true
		}))
		if err != nil || !found {
			t.Fatalf("error %v, or there is no %q in the answer to %s", err, from, question)
		}
		return fingerprint
	}
	const endpoints = `"outbound|80||a", "host_statuses": [{"address": {"socket_address": {"address": "10.0.0.7", "port_value": 80}}HEALTH}]`
	host := func(health string) Fingerprint {
		return take("/clusters ", `"outbound|80||a"`, strings.Replace(endpoints, "HEALTH", health, 1))
	}
	before := take("", "", "")
	for name, test := range map[string]struct {
		now  Fingerprint
		want string
	}{
		"nothing":                {take("", "", ""), ""},
		"a listener":             {take("/config_dump dynamic_listeners", "8080", "8081"), "app/page-1: listeners"},
		"a route":                {take("/config_dump dynamic_route_configs", "http.8080", "http.8081"), "app/page-1: routes"},
		"a cluster":              {take("/config_dump dynamic_active_clusters", "EDS", "STATIC"), "app/page-1: clusters"},
		"an endpoint":            {host(""), "app/page-1: endpoints"},
		"a secret":               {take("/config_dump dynamic_active_secrets", "kubernetes://page", "kubernetes://other"), "app/page-1: secrets"},
		"its own certificate":    {take("/config_dump dynamic_active_secrets", "]}", `, {"@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret", "name": "default", "secret": {"name": "default"}}]}`), ""},
		"one that is not usable": {host(`, "health_status": {"eds_health_status": "UNHEALTHY"}`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Fingerprints{"app/page-1": before}).Difference(Fingerprints{"app/page-1": test.now}); got != test.want {
				t.Errorf("the difference is %q, want %q", got, test.want)
			}
		})
	}
}

// A fingerprint with a gap would differ from a whole one though nothing was changed.
func TestTakeFingerprintIsWholeOrNone(t *testing.T) {
	for question := range answers {
		t.Run(question, func(t *testing.T) {
			for status, answer := range map[int]string{http.StatusServiceUnavailable: "not now", http.StatusOK: "<html>"} {
				_, err := TakeFingerprint(t.Context(), proxyOf(t, "page", func(asked string, w http.ResponseWriter, _ *http.Request) bool {
					if asked == question {
						w.WriteHeader(status)
						_, _ = w.Write([]byte(answer))
					}
					return asked == question
				}))
				wantError(t, err, "app/page-1")
			}
		})
	}
}

func TestFingerprintsDifference(t *testing.T) {
	of := func(listeners, routes string) Fingerprint {
		return Fingerprint{"listeners": listeners, "routes": routes}
	}
	for name, test := range map[string]struct {
		before, after Fingerprints
		want          string
	}{
		"nothing":                    {Fingerprints{"a": of("1", "1")}, Fingerprints{"a": of("1", "1")}, ""},
		"no proxies":                 {nil, nil, ""},
		"sections, in their order":   {Fingerprints{"a": of("1", "1")}, Fingerprints{"a": of("2", "2")}, "a: listeners, routes"},
		"a proxy that has gone":      {Fingerprints{"a": of("1", "1"), "b": of("1", "1")}, Fingerprints{"b": of("1", "1")}, "a is gone"},
		"a new proxy":                {Fingerprints{"b": of("1", "1")}, Fingerprints{"a": of("1", "1"), "b": of("1", "1")}, "a is new"},
		"a proxy in another's place": {Fingerprints{"a": of("1", "1"), "c": of("1", "1")}, Fingerprints{"b": of("1", "1"), "c": of("1", "2")}, "a is gone; c: routes; b is new"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.before.Difference(test.after); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
