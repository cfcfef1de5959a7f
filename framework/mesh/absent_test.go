package mesh

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

func TestAbsent(t *testing.T) {
	const cluster = "outbound|3306||db.lab"
	var entry Expectation
	for _, expectation := range Expectations(decode(t, external), []Workload{pageWorkload}) {
		entry = Absent(expectation)
	}
	if entry.Hop != "page" || entry.Text != "no longer: endpoint of "+cluster {
		t.Errorf("%s: %s", entry.Hop, entry.Text)
	}
	if holds, state := entry.Holds(Snapshot{Endpoints: []envoy.ClusterStatus{{Name: cluster, Hosts: []envoy.HostStatus{{}}}}}); holds || state != "it is still there" {
		t.Errorf("with the cluster: holds %t, state %q", holds, state)
	}
	for name, snapshot := range map[string]Snapshot{
		"without the cluster": {},
		"without a host":      {Endpoints: []envoy.ClusterStatus{{Name: cluster}}},
	} {
		if holds, state := entry.Holds(snapshot); !holds {
			t.Errorf("%s: %s", name, state)
		}
	}
}

func TestVanished(t *testing.T) {
	const (
		page    = "outbound|9080||page.app.svc.cluster.local"
		v1      = "outbound|9080|v1|page.app.svc.cluster.local"
		toV1    = "http: [{route: [{destination: {host: page, subset: v1}}]}]"
		toOther = "http: [{route: [{destination: {host: page, subset: v2}}]}]"
	)
	rule := istio("DestinationRule", "app", "host: page, subsets: [{name: v1, labels: {version: v1}}]")
	mesh := func(spec string) string { return istio("VirtualService", "app", "hosts: [page], "+spec) }
	none := strings.Replace(pageService, "spec: {template", "spec: {replicas: 0, template", 1)
	bound := virtualService("app", "ingress/default", toPage)
	byPort := bindTCP("tcp: [{match: [{port: 9000}], route: [{destination: {host: page}}]}]")
	for name, row := range map[string]struct {
		from, to string
		want     []string
	}{
		"nothing":                   {pageService + external, external + pageService, nil},
		"a ServiceEntry":            {external, "", []string{"gateway: endpoint of outbound|3306||db.lab", "page: endpoint of outbound|3306||db.lab"}},
		"a port of it":              {external, strings.Replace(external, "3306", "3307", 1), []string{"gateway: endpoint of outbound|3306||db.lab", "page: endpoint of outbound|3306||db.lab"}},
		"its export":                {external, strings.Replace(external, "spec: {", "spec: {exportTo: ['.'], ", 1), []string{"gateway: endpoint of outbound|3306||db.lab"}},
		"what a Sidecar hides":      {external + pageService, external + pageService + istio("Sidecar", "app", "egress: [{hosts: [./*.app.svc.cluster.local]}]"), []string{"page: endpoint of outbound|3306||db.lab"}},
		"a Service":                 {pageService, pods, []string{"page: endpoint of " + page}},
		"the last pod":              {pageService, none, []string{"page: endpoint of " + page}},
		"the last pod of a route's": {gatewayObject + pageService + bound, gatewayObject + none + bound, []string{"gateway: endpoint of " + page, "page: endpoint of " + page}},
		"a gateway's route, whose cluster stays for other reasons": {gatewayObject + pageService + bound, gatewayObject + pageService, []string{"gateway: route api.lab to " + page}},
		"a route to what is not among the objects":                 {gatewayObject + virtualService("app", "ingress/default", "route: [{destination: {host: a.lab, port: {number: 1}}}]"), gatewayObject, []string{"gateway: route api.lab to outbound|1||a.lab"}},
		"a Gateway":                                   {gatewayObject, "", []string{"gateway: listener on port 80"}},
		"a gateway's TCP route":                       {pageService + byPort, pageService + bindTCP(""), []string{"gateway: port 9000 leads to " + page, "gateway: listener on port 9000"}},
		"a subset of the mesh":                        {pageService + rule + mesh(toV1), pageService, []string{"page: route page.app.svc.cluster.local to " + v1, "page: endpoint of " + v1}},
		"its route only, while its rule is there":     {pageService + rule + mesh(toV1), pageService + rule, []string{"page: route page.app.svc.cluster.local to " + v1}},
		"for another subset":                          {pageService + rule + mesh(toV1), pageService + rule + mesh(toOther), []string{"page: route page.app.svc.cluster.local to " + v1}},
		"a route that is there without it":            {pageService + mesh("http: [{route: [{destination: {host: page}}]}]"), pageService, nil},
		"connections that go there without it":        {pageService + mesh("tcp: [{route: [{destination: {host: page}}]}]"), pageService, nil},
		"connections to another host":                 {pageService + external + mesh("tcp: [{route: [{destination: {host: db.lab}}]}]"), pageService + external, []string{"page: port 9080 leads to outbound|3306||db.lab"}},
		"a mode, which the mesh may have anyway":      {istio("PeerAuthentication", "app", "mtls: {mode: PERMISSIVE}"), "", nil},
		"an access log, which the mesh may ask for":   {istio("Telemetry", "app", "accessLogging: [{}]"), "", nil},
		"one of two Gateways that ask for one server": {gatewayObject + strings.Replace(gatewayObject, "name: default", "name: other", 1), gatewayObject, nil},
	} {
		t.Run(name, func(t *testing.T) {
			workloads := []Workload{gatewayWorkload, pageWorkload}
			var got []string
			for _, expectation := range Vanished(Expectations(decode(t, row.from), workloads), decodeAny(t, row.to), workloads) {
				got = append(got, expectation.Hop+": "+expectation.Text)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// bindTCP is a Gateway of one TCP server with a VirtualService of these rules.
func bindTCP(rules string) string {
	return istio("Gateway", "ingress", `selector: {istio: ours}, servers: [{port: {number: 9000, protocol: TCP}, hosts: ["*"]}]`) +
		istio("VirtualService", "app", `hosts: ["*"], gateways: [ingress/default], `+rules)
}

// decodeAny is decode that takes no object, too.
func decodeAny(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	if text == "" {
		return nil
	}
	return decode(t, text)
}
