package diagnose

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/diagnose/rules"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
)

// hops are a gateway before a page and a till.
var hops = []rules.Hop{
	{Name: "gateway", Namespace: "edge", Selector: "app=gateway", Gateway: true, Proxy: true},
	{Name: "page", Namespace: "shop", Selector: "app=page", Container: "page", Proxy: true},
	{Name: "till", Namespace: "shop", Selector: "app=till", Container: "till", Proxy: true},
}

func TestTheHopsThatACheckUsed(t *testing.T) {
	line := evidence.Flow{Lines: []evidence.Line{{Hop: "gateway"}}}
	for name, test := range map[string]struct {
		witnesses  []string
		judgements []evidence.Judgement
		flows      []evidence.Flow
		want       []string
	}{
		"nothing was sent":            {want: []string{"gateway", "page", "till"}},
		"a witness without a record":  {witnesses: []string{"till"}, want: []string{"till"}},
		"a hop that recorded a probe": {flows: []evidence.Flow{line}, want: []string{"gateway"}},
		"an application that made a connection": {
			flows: []evidence.Flow{{Connections: []evidence.Connection{{Hop: "till", Connection: record.Connection{}}}}}, want: []string{"till"}},
		"a hop that is silent, as a statement wants": {
			judgements: []evidence.Judgement{{End: "page silent", Statement: "page sees nothing of it"}}, flows: []evidence.Flow{line}, want: []string{"gateway", "page"}},
		"a host whose name begins alike": {judgements: []evidence.Judgement{{Detail: "was sent to outbound|80||page.shop.svc.cluster.local"}}, flows: []evidence.Flow{line}, want: []string{"gateway"}},
	} {
		if diff := cmp.Diff(test.want, UsedHops(hops, test.witnesses, test.judgements, test.flows)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

const workloads = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: page, namespace: shop}
spec: {template: {metadata: {labels: {app: page}}, spec: {serviceAccountName: pages, volumes: [{name: x, secret: {secretName: page-keys}}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: till, namespace: shop}
spec: {template: {metadata: {labels: {app: till}}, spec: {volumes: [{name: x, secret: {secretName: till-keys}}, {name: y, configMap: {name: both}}]}}}
---
{apiVersion: v1, kind: Service, metadata: {name: page, namespace: shop}, spec: {selector: {app: page}}}
---
{apiVersion: v1, kind: Service, metadata: {name: till, namespace: shop}, spec: {selector: {app: till}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: page-keys, namespace: shop}}
---
{apiVersion: v1, kind: Secret, metadata: {name: till-keys, namespace: shop}}
---
{apiVersion: v1, kind: Secret, metadata: {name: till-keys, namespace: edge}}
---
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: till, namespace: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
`

// What is collected is limited to the hops of the check; what belongs to no hop may concern each of them.
func TestObjectsOfOtherHopsAreLeftOut(t *testing.T) {
	objects := decode(t, workloads)
	of := newScope(hops, []string{"gateway", "page"}, objects)
	var kept []string
	for _, object := range objects {
		if of.object(object) {
			kept = append(kept, object.GetKind()+" "+object.GetNamespace()+"/"+object.GetName())
		}
	}
	want := []string{"Deployment shop/page", "Service shop/page", "Secret shop/page-keys", "Secret edge/till-keys", "VirtualService shop/till", "Namespace /shop"}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	for name, want := range map[string]bool{"page-1": true, "till-7c9-x": false, "till": false, "tills": true, "somebody": true} {
		if got := of.named("shop", name); got != want {
			t.Errorf("an event about %s: %v", name, got)
		}
	}
	if of.pod("shop", map[string]string{"app": "till"}) || !of.pod("shop", map[string]string{"app": "page", "more": "x"}) {
		t.Error("pods of other hops")
	}
}

// The lines of an access log as the lab's gateway wrote them, with the time that the API server puts before each.
func logOf(probes ...string) string {
	var lines []string
	for _, probe := range probes {
		lines = append(lines, `2026-11-27T14:19:03.520337411Z [2026-11-27T14:19:03.348Z] "GET /productpage?meshproof=`+probe+` HTTP/1.1" 200 - via_upstream - "-" 0 2420 171 158 "10.244.0.1" "meshproof/`+probe+`" "9acf6684" "shop.lab" "10.244.0.6:9080" outbound|9080||page.shop.svc.cluster.local - - - - -`)
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestTheLinesAroundTheProbesAreKept(t *testing.T) {
	all := []string{"mp-a-10", "mp-b-1", "mp-b-2", "mp-b-3", "mp-b-4", "mp-a-1", "mp-b-5", "mp-b-6", "mp-b-7", "mp-b-8", "mp-b-9"}
	flow := evidence.Flow{}
	flow.Result.Probe.ID = "mp-a-1"
	got := aroundProbes(logOf(all...)+"2026-11-27T14:19:04Z 2026-11-27T14:19:04Z\twarning\tenvoy config\tgRPC config failed\n", []evidence.Flow{flow})
	var kept []string
	for line := range strings.Lines(got) {
		probe := strings.TrimSpace(line)
		if _, rest, found := strings.Cut(line, "meshproof="); found {
			probe, _, _ = strings.Cut(rest, " ")
		}
		kept = append(kept, line[:1]+" "+probe)
	}
	want := []string{
		"  ... 2 lines of other requests", "  mp-b-2", "  mp-b-3", "  mp-b-4", "> mp-a-1", "  mp-b-5", "  mp-b-6", "  mp-b-7", "  ... 2 lines of other requests",
		"  2026-11-27T14:19:04Z 2026-11-27T14:19:04Z\twarning\tenvoy config\tgRPC config failed",
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// A connection has no identity: its line is known by itself, or by the request ID that it shares.
func TestALineIsKnownByItselfToo(t *testing.T) {
	log := logOf("mp-x-1", "mp-y-1")
	raw := strings.SplitN(strings.Split(log, "\n")[1], " ", 2)[1]
	got := aroundProbes(log, []evidence.Flow{{Lines: []evidence.Line{{Raw: raw, Line: accesslog.Line{}}}}})
	if strings.Count(got, "\n> ")+strings.Count(got[:1], ">") != 1 || !strings.Contains(got, "> 2026-11-27T14:19:03.520337411Z "+raw) {
		t.Errorf("log:\n%s", got)
	}
}

// Of a log without a line of a probe the end is kept: it may say why there is none.
func TestOfALogWithoutAProbeTheEndIsKept(t *testing.T) {
	var probes []string
	for range 60 {
		probes = append(probes, "mp-z-1")
	}
	got := aroundProbes(logOf(probes...), nil)
	if lines := strings.Count(got, "\n"); lines != last+1 || !strings.HasPrefix(got, "  ... 10 lines of other requests\n") {
		t.Errorf("%d lines:\n%s", lines, got)
	}
}
