package mesh

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// toDatabase is the cluster of the host of external.
const toDatabase = "outbound|3306||db.lab"

func TestExpectationsOfTLSThatBegins(t *testing.T) {
	rule := func(namespace, spec string) string {
		return external + istio("DestinationRule", namespace, "host: db.lab, "+spec)
	}
	const simple = "{mode: SIMPLE, sni: db.lab, caCertificates: /ca.crt}"
	for name, row := range map[string]struct{ objects, want string }{
		"for a host":               {rule("app", "trafficPolicy: {tls: "+simple+"}"), "TLS of " + toDatabase + " for db.lab by /ca.crt"},
		"by a name":                {rule("app", "trafficPolicy: {tls: {mode: SIMPLE, sni: db.lab, credentialName: ca}}"), "TLS of " + toDatabase + " for db.lab by kubernetes://ca-cacert"},
		"for a port":               {rule("app", "trafficPolicy: {portLevelSettings: [{port: {number: 3306}, tls: "+simple+"}]}"), "TLS of " + toDatabase + " for db.lab by /ca.crt"},
		"for another port":         {rule("app", "trafficPolicy: {portLevelSettings: [{port: {number: 1}, tls: "+simple+"}]}"), ""},
		"a port before all":        {rule("app", "trafficPolicy: {tls: "+simple+", portLevelSettings: [{port: {number: 3306}, tls: {mode: DISABLE}}]}"), ""},
		"of the mesh":              {rule("app", "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"), "TLS of " + toDatabase},
		"none":                     {rule("app", "trafficPolicy: {tls: {mode: DISABLE}}"), ""},
		"for a subset only":        {rule("app", "subsets: [{name: tls, trafficPolicy: {tls: "+simple+"}}]"), ""},
		"exported":                 {rule("elsewhere", "trafficPolicy: {tls: "+simple+"}"), "TLS of " + toDatabase + " for db.lab by /ca.crt"},
		"not exported":             {rule("elsewhere", "exportTo: [.], trafficPolicy: {tls: "+simple+"}"), ""},
		"of other pods":            {rule("app", "workloadSelector: {matchLabels: {app: other}}, trafficPolicy: {tls: "+simple+"}"), ""},
		"one's own before another": {rule("elsewhere", "trafficPolicy: {tls: "+simple+"}") + istio("DestinationRule", "app", "host: db.lab, trafficPolicy: {tls: {mode: SIMPLE, sni: own.lab}}"), "TLS of " + toDatabase + " for own.lab"},
	} {
		t.Run(name, func(t *testing.T) {
			got := slices.DeleteFunc(textsFor(t, row.objects, pageWorkload), func(text string) bool { return !strings.HasPrefix(text, "TLS of ") })
			if diff := cmp.Diff(row.want, strings.Join(got, "; ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTLSOfASubsetIsWaitedForAndItsAuthorityGoes(t *testing.T) {
	const to = "outbound|3306|tls|db.lab"
	unrouted := func(authority string) string {
		return external + istio("DestinationRule", "app", "host: db.lab, subsets: [{name: tls, trafficPolicy: {tls: {mode: SIMPLE, sni: db.lab, caCertificates: "+authority+"}}}]")
	}
	objects := func(authority string) string {
		return unrouted(authority) + routes("hosts: [db.lab], tcp: [{match: [{port: 3306}], route: [{destination: {host: db.lab, subset: tls, port: {number: 3306}}}]}]")
	}
	before := Expectations(decode(t, objects("/one.crt")), []Workload{pageWorkload})
	told := func(expectations []Expectation) (texts []string) {
		for _, e := range expectations {
			if strings.Contains(e.Text, "TLS of ") {
				texts = append(texts, e.Text)
			}
		}
		return texts
	}
	want := []string{"TLS of " + to + " for db.lab by /one.crt"}
	if diff := cmp.Diff(want, told(before)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, told(Vanished(before, decode(t, objects("/two.crt")), []Workload{pageWorkload}))); diff != "" {
		t.Errorf("with another authority (-want +got):\n%s", diff)
	}
	// The subset keeps its TLS when nothing leads to it.
	if gone := told(Vanished(before, decode(t, unrouted("/one.crt")), []Workload{pageWorkload})); len(gone) > 0 {
		t.Errorf("without its route: %q", gone)
	}
}

func TestBeginsTLS(t *testing.T) {
	tls := &envoy.TLS{SNI: "db.lab", Validation: "file-root:/ca.crt"}
	for name, row := range map[string]struct {
		cluster envoy.Cluster
		state   string
	}{
		"as wanted":           {envoy.Cluster{Name: toDatabase, TLS: tls}, ""},
		"by a match":          {envoy.Cluster{Name: toDatabase, Matches: []envoy.TransportSocketMatch{{}, {TLS: tls}}}, ""},
		"another cluster":     {envoy.Cluster{Name: "other", TLS: tls}, "no such cluster"},
		"plain text":          {envoy.Cluster{Name: toDatabase}, "it is plain text"},
		"another server name": {envoy.Cluster{Name: toDatabase, TLS: &envoy.TLS{SNI: "x", Validation: tls.Validation}}, "it asks for x"},
		"another authority":   {envoy.Cluster{Name: toDatabase, TLS: &envoy.TLS{SNI: tls.SNI, Validation: "file-root:/x"}}, "it checks by file-root:/x"},
	} {
		t.Run(name, func(t *testing.T) {
			if holds, state := beginsTLS([]envoy.Cluster{row.cluster}, toDatabase, "db.lab", "file-root:/ca.crt"); holds != (row.state == "") || state != row.state {
				t.Errorf("%t, %q; want %q", holds, state, row.state)
			}
		})
	}
}
