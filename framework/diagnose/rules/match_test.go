package rules

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/evidence/envoy"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/traffic"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// sceneOf is a shop with a gateway before a page that has a sidecar, and these objects.
func sceneOf(t *testing.T, cause string, flows []evidence.Flow, objects string) *Scene {
	t.Helper()
	var decoded []*unstructured.Unstructured
	if objects != "" {
		var err error
		if decoded, err = kube.Decode("objects of the test", []byte(objects)); err != nil {
			t.Fatal(err)
		}
	}
	return &Scene{
		Verdict: v1.Failed, Judgement: evidence.Judgement{Cause: cause, Statement: "the client gets 200", End: "client", Detail: "got status 404", Outcome: evidence.False}, Flows: flows,
		Hops: []Hop{
			{Name: "gateway", Namespace: "edge", Selector: "app=gateway", Gateway: true, Proxy: true},
			{Name: "page", Namespace: "shop", Selector: "app=page", Container: "page", Proxy: true},
		},
		Objects:    func(context.Context) ([]*unstructured.Unstructured, error) { return decoded, nil },
		Dump:       func(context.Context, string, string) ([]byte, error) { return nil, nil },
		Statistics: func(context.Context, string) (envoy.Stats, error) { return envoy.Stats{}, nil },
		Log:        func(context.Context, string) (string, error) { return "", nil },
	}
}

// notFound is a probe that the gateway had no route for.
func notFound() []evidence.Flow {
	return []evidence.Flow{{
		Result: traffic.Result{Probe: traffic.Probe{ID: "mp-1", Request: traffic.Request{URL: "http://shop.lab/page"}}, Status: 404},
		Lines: []evidence.Line{{Hop: "gateway", Line: accesslog.Line{
			ResponseCode: 404, Flags: []string{"NR"}, Details: "route_not_found", Authority: "shop.lab", Path: "/page",
		}}},
	}}
}

const forTheShop = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: [shop.lab]
  gateways: [edge/gateway]
  http: [{match: [{uri: {exact: /cart}}], route: [{destination: {host: page}}]}]
`

func TestTheLikelyCauseIsNamedWithItsNames(t *testing.T) {
	got, err := Likely(t.Context(), BuiltIn(), sceneOf(t, "wrong-status", notFound(), forTheShop))
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Diagnosis{
		Rule:   "no-route-matches",
		Text:   "The proxy of gateway has no route for shop.lab/page and answered 404 itself: none of the VirtualServices for this host (shop/shop) has a rule for it.",
		Remedy: "give a VirtualService of shop.lab a rule that takes this request, and see that it names the right gateway and is exported to the namespace of gateway",
		Look:   []string{"objects.yaml", "configuration/gateway.json"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("diagnosis (-want +got):\n%s", diff)
	}
}

// Where no rule fits nothing is made up: the first hop is named whose record shows a failure, with what was expected and found.
func TestNoKnownCauseIsSaidToBeNone(t *testing.T) {
	flows := notFound()
	flows[0].Lines[0].Flags, flows[0].Lines[0].Details, flows[0].Lines[0].ResponseCode = nil, "direct_response", 418
	got, err := Likely(t.Context(), BuiltIn(), sceneOf(t, "wrong-status", flows, ""))
	if err != nil {
		t.Fatal(err)
	}
	const want = "No known cause fits; the first hop where they part is gateway. Expected was: the client gets 200. Found was: got status 404. " +
		"Its record of probe mp-1: cluster none, status 418, flags none, direct_response"
	if got.Rule != "" || got.Remedy != "" || got.Text != want {
		t.Errorf("got %+v\nwant %s", got, want)
	}
}

// A rule is for certain causes only: the same facts mean something else when the check was red for another one.
func TestARuleIsForItsCausesOnly(t *testing.T) {
	if got, _ := Likely(t.Context(), BuiltIn(), sceneOf(t, "wrong-identity", notFound(), forTheShop)); got.Rule != "" {
		t.Errorf("rule %s", got.Rule)
	}
}

// What cannot be found out passes over the rules that need it, and is told.
func TestWhatCannotBeFoundOutIsTold(t *testing.T) {
	scene := sceneOf(t, "wrong-status", notFound(), "")
	scene.Objects = func(context.Context) ([]*unstructured.Unstructured, error) {
		return nil, errors.New("the API server is away")
	}
	got, err := Likely(t.Context(), BuiltIn(), scene)
	if err == nil || !strings.Contains(err.Error(), "find out undefined: the API server is away") {
		t.Errorf("error %v", err)
	}
	if got.Rule == "" && !strings.HasPrefix(got.Text, "No known cause fits") {
		t.Errorf("diagnosis %+v", got)
	}
}

// A later condition may need another fact than the first that an earlier one finds.
func TestFactsAreTriedUntilAllConditionsFit(t *testing.T) {
	rules, err := Parse([]byte(`rules:
- id: twins
  causes: [wrong-status]
  when:
  - {fact: down, as: one, where: {wanted: ["0", "1"]}}
  - {fact: down, as: other, where: {service: "${one.service}", workload: "!${one.workload}", wanted: "~^${one.wanted}$"}}
  text: "${one.workload} and ${other.workload}"
  remedy: none
  look: [objects.yaml]
  mutants: [a/b]
`))
	if err != nil {
		t.Fatal(err)
	}
	scene := sceneOf(t, "wrong-status", nil, deployment("a", 1)+deployment("b", 0)+deployment("c", 0)+`
---
apiVersion: v1
kind: Service
metadata: {name: page, namespace: shop}
spec: {selector: {app: page}}
`)
	if got, _ := Likely(t.Context(), rules, scene); got.Text != "Deployment shop/b and Deployment shop/c" {
		t.Errorf("diagnosis %+v", got)
	}
}

// A name is a word of its own: mongo is not named by mongo-gateway.
func TestAHopIsNamedByAWordOfItsOwn(t *testing.T) {
	for text, want := range map[string]bool{
		"page log": true, "sent it to page": true, "the sidecar of page, too": true, "pages": false, "page-v1 log": false, "outbound|80||page.shop.svc": false, "": false,
	} {
		if got := Names(text, "page"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
