package rules

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/traffic"
)

func deployment(name string, replicas int) string {
	return fmt.Sprintf(`
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, namespace: shop}
spec: {replicas: %d, template: {metadata: {labels: {app: page}}, spec: {serviceAccountName: pages}}}
`, name, replicas)
}

const edge = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway, namespace: edge}
spec: {template: {metadata: {labels: {app: gateway}}, spec: {
  volumes: [{name: keys, secret: {secretName: authority}}],
  containers: [{name: istio-proxy, volumeMounts: [{name: keys, mountPath: /keys/ca.crt, subPath: ca.crt}]}]}}}
status: {readyReplicas: 1}
---
apiVersion: v1
kind: Service
metadata: {name: gateway, namespace: edge}
spec: {type: LoadBalancer, selector: {app: gateway}, ports: [{port: 80}, {port: 27017}]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.7}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: edge}
spec: {selector: {app: gateway}, servers: [{port: {number: 80}, hosts: ["shop/*", shop.lab]}]}
`

const spare = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: spare, namespace: edge}
spec: {replicas: 0, template: {metadata: {labels: {app: gateway}}}}
`

// bank is outside the mesh, and to be reached through the gateway only.
const bank = `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, namespace: edge}
spec: {hosts: [bank.example.org], ports: [{number: 443, protocol: TLS}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bank, namespace: edge}
spec:
  hosts: [bank.example.org]
  gateways: [mesh, gateway]
  tcp:
`

// line is one of a connection that the page's sidecar sent to a cluster.
func toCluster(cluster string) []evidence.Flow {
	return []evidence.Flow{{
		Result:      traffic.Result{RemoteAddress: "192.0.2.7:27017"},
		Lines:       []evidence.Line{{Hop: "page", Line: accesslog.Line{UpstreamCluster: cluster, UpstreamHost: "203.0.113.9:443"}}},
		Connections: []evidence.Connection{{Hop: "page", LogPod: "page-1", Connection: record.Connection{Purpose: record.Query, Local: "10.0.0.1:5", Remote: "203.0.113.9:443"}}},
	}}
}

func TestFactsOfObjects(t *testing.T) {
	const direct = "outbound|443||bank.example.org"
	for name, test := range map[string]struct {
		kind    string
		objects string
		want    []Fact
	}{
		"a workload without a pod": {"down", deployment("page-v1", 0) + "---\n" + `{apiVersion: v1, kind: Service, metadata: {name: page, namespace: shop}, spec: {selector: {app: page}}}`,
			[]Fact{{"workload": "Deployment shop/page-v1", "wanted": "0", "ready": "0", "service": "shop/page"}}},
		"a workload that nothing leads to": {"down", deployment("page-v1", 0), nil},
		"another workload behind a gateway's Service": {"also-behind", edge + spare,
			[]Fact{{"hop": "gateway", "service": "edge/gateway", "workload": "Deployment edge/gateway", "down": "Deployment edge/spare"}}},
		"a Secret by subPath": {"sub-path", edge, []Fact{{"hop": "gateway", "workload": "Deployment edge/gateway", "path": "/keys/ca.crt", "secret": "authority"}}},
		"whose account":       {"account", deployment("page-v1", 1), []Fact{{"hop": "page", "workload": "Deployment shop/page-v1", "account": "/ns/shop/sa/pages"}}},
		"a port that was connected to, and is not opened": {"not-opened", edge, []Fact{{"hop": "gateway", "service": "edge/gateway", "port": "27017"}}},
		"a load balancer that may translate":              {"translating", edge, []Fact{{"hop": "gateway", "service": "edge/gateway"}}},
		"every host of a namespace":                       {"every-host", edge, []Fact{{"gateway": "edge/gateway", "port": "80"}}},
		"a rule for sidecars that is lost": {"redirect-lost", bank + `  - {match: [{gateways: [gateway], port: 15443}], route: [{destination: {host: bank.example.org, port: {number: 443}}}]}`,
			[]Fact{{"virtual-service": "edge/bank", "host": "bank.example.org", "gateway": "edge/gateway"}}},
		"a rule for sidecars that is there": {"redirect-lost", bank + `  - {match: [{gateways: [mesh], port: 443}], route: [{destination: {host: gateway, port: {number: 80}}}]}`, nil},
		"a rule for other subnets": {"redirect-narrow", bank + `  - {match: [{gateways: [mesh], destinationSubnets: [203.0.113.8/32]}], route: [{destination: {host: gateway}}]}`,
			[]Fact{{"virtual-service": "edge/bank", "subnets": "203.0.113.8/32", "address": "203.0.113.9"}}},
		"a rule for this subnet":           {"redirect-narrow", bank + `  - {match: [{gateways: [mesh], destinationSubnets: [203.0.113.8/31]}], route: [{destination: {host: gateway}}]}`, nil},
		"a rule that leads to the gateway": {"redirect-astray", edge + bank + `  - {match: [{gateways: [mesh]}], route: [{destination: {host: gateway, port: {number: 80}}}]}`, nil},
		"a rule that leads elsewhere": {"redirect-astray", edge + bank + `  - {match: [{gateways: [mesh]}], route: [{destination: {host: other, subset: a, port: {number: 80}}}]}`,
			[]Fact{{"virtual-service": "edge/bank", "destination": "other.edge.svc.cluster.local:80 subset a", "gateway": "edge/gateway"}}},
		"a subset that is not defined": {"undefined", bank + `  - {route: [{destination: {host: bank.example.org, subset: gold}}]}`,
			[]Fact{{"virtual-service": "edge/bank", "host": "bank.example.org", "subset": "gold"}}},
		"a port that is not registered": {"unregistered", bank + `  - {route: [{destination: {host: bank.example.org, port: {number: 444}}}]}`,
			[]Fact{{"virtual-service": "edge/bank", "host": "bank.example.org", "port": "444"}}},
		"a host that the registry does not know at all": {"unregistered", bank + `  - {route: [{destination: {host: elsewhere.example.org, port: {number: 444}}}]}`, nil},
		"two rules of one host": {"host-twice", bank + "  - {}\n" + strings.Replace(bank, "kind: VirtualService\nmetadata: {name: bank", "kind: VirtualService\nmetadata: {name: zz", 1) + "  - {}",
			[]Fact{{"host": "bank.example.org", "first": "edge/bank", "second": "edge/zz"}}},
		"a protocol": {"protocol", bank + "  - {}", []Fact{{"entry": "edge/bank", "host": "bank.example.org", "port": "443", "protocol": "TLS"}}},
		"TLS that a sidecar begins": {"begins-tls", `{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: bank, namespace: edge}, spec: {host: bank.example.org, trafficPolicy: {tls: {mode: SIMPLE}}}}`,
			[]Fact{{"hop": "page", "rule": "edge/bank", "host": "bank.example.org", "cluster": direct}}},
		"TLS that is not for this namespace": {"begins-tls", `{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: bank, namespace: edge}, spec: {exportTo: ["."], host: bank.example.org, trafficPolicy: {tls: {mode: SIMPLE}}}}`, nil},
		"what Sidecars permit": {"outbound-policy", `{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: default, namespace: shop}, spec: {outboundTrafficPolicy: {mode: ALLOW_ANY}}}`,
			[]Fact{{"hop": "page", "sidecar": "shop/default", "mode": "ALLOW_ANY"}}},
		"limits": {"pool", `{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: plans, namespace: shop}, spec: {host: bank.example.org, subsets: [{name: gold}, {name: silver, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}, http: {maxRequestsPerConnection: 1}}}}]}}`,
			[]Fact{
				{"rule": "shop/plans", "host": "bank.example.org", "subset": "gold", "connections": none, "pending": none, "requests-per-connection": none},
				{"rule": "shop/plans", "host": "bank.example.org", "subset": "silver", "connections": "3", "pending": none, "requests-per-connection": "1"},
			}},
		"a field of outlier detection that Istio does not heed": {"outlier", `{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: plans, namespace: shop}, spec: {host: a, trafficPolicy: {outlierDetection: {consecutiveErrors: 1}}}}`, nil},
		"plain HTTP at a Route": {"route", `{apiVersion: route.openshift.io/v1, kind: Route, metadata: {name: shop, namespace: edge}, spec: {host: shop.lab, tls: {insecureEdgeTerminationPolicy: Redirect}}}`,
			[]Fact{{"route": "edge/shop", "host": "shop.lab", "policy": "Redirect"}}},
	} {
		t.Run(name, func(t *testing.T) {
			scene := sceneOf(t, "wrong-cluster", toCluster(direct), test.objects)
			got, err := kinds[test.kind].look(t.Context(), scene)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
			for _, fact := range got {
				wantFields(t, test.kind, fact)
			}
		})
	}
}

// wantFields wants a fact to have the fields of its kind, and no other: a rule may refer to each of them.
func wantFields(t *testing.T, kind string, fact Fact) {
	t.Helper()
	for _, field := range kinds[kind].fields {
		if _, found := fact[field]; !found {
			t.Errorf("%s has no field %s: %v", kind, field, fact)
		}
	}
	if len(fact) != len(kinds[kind].fields) {
		t.Errorf("%s has other fields than %v: %v", kind, kinds[kind].fields, fact)
	}
}

func TestFactsOfTheProbe(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	flows := notFound()
	flows[0].Records = []evidence.Record{{Hop: "page", Request: record.Request{Status: 500}}}
	flows[0].Result.TLS = &wire.TLS{ServerName: "shop.lab", Chain: []wire.Certificate{{Subject: "CN=x", Issuer: "CN=x", DNSNames: []string{"*.lab"}, NotAfter: now.Add(-time.Hour)}}}
	scene := sceneOf(t, "wrong-status", flows, "")
	scene.Now = now
	scene.Used = []string{"page"}
	scene.Log = func(context.Context, string) (string, error) {
		return "hello\n{\"msg\": \"Authentication failed.\"}\n", nil
	}
	for kind, want := range map[string][]Fact{
		"line":        {{"hop": "gateway", "side": "out", "cluster": none, "status": "404", "flags": "NR", "reason": "route_not_found", "host": "shop.lab", "path": "/page", "sni": "", "upstream": ""}},
		"answer":      {{"status": "404", "error": "", "host": "shop.lab", "port": "80"}},
		"peer":        {{"hop": "page", "identity": none}},
		"certificate": {{"subject": "CN=x", "issuer": "CN=x", "names": "*.lab", "asked": "shop.lab", "self-signed": "yes", "covers": "yes", "expired": "yes", "days": "0"}},
		"log":         {{"hop": "page", "text": "Authentication fail"}},
	} {
		got, err := kinds[kind].look(t.Context(), scene)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
		for _, fact := range got {
			wantFields(t, kind, fact)
		}
	}
}

func TestAGapIsExplainedByItsTelemetry(t *testing.T) {
	const telemetry = `{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: quiet, namespace: edge}, spec: {accessLogging: [%s]}}`
	for logging, want := range map[string]string{
		"{disabled: true}": "Telemetry edge/quiet disables it",
		`{filter: {expression: "response.code >= 500"}}`: "Telemetry edge/quiet filters it by response.code >= 500",
		"{}": "no Telemetry of namespace edge switches one on",
	} {
		scene := sceneOf(t, "evidence-missing", nil, fmt.Sprintf(telemetry, logging))
		scene.Gaps = map[string]evidence.Gap{"gateway": {Why: "it writes none"}, "page": {Why: "it has no pod", Silent: true}}
		got, err := noLogs(t.Context(), scene)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Fact{{"hop": "gateway", "why": "it writes none", "telemetry": want}}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", logging, diff)
		}
	}
}

// A proxy of the lab tells which object has made each of its routes.
func TestAProxySaysWhichRuleLeadsSomewhere(t *testing.T) {
	dump, err := os.ReadFile("testdata/routes.json")
	if err != nil {
		t.Fatal(err)
	}
	const page = "outbound|9080||productpage.basic-gateway-bookinfo.svc.cluster.local"
	for path, by := range map[string]string{"/productpage": "bookinfo", "/prefixed": "prefixed", "/api/v1/products/0": "bookinfo", "/elsewhere": ""} {
		scene := sceneOf(t, "not-refused", []evidence.Flow{{Lines: []evidence.Line{{Hop: "gateway", Line: accesslog.Line{UpstreamCluster: page, Path: path + "?meshproof=mp-1"}}}}}, "")
		scene.Dump = func(_ context.Context, _, resource string) ([]byte, error) {
			if resource == "dynamic_route_configs" {
				return dump, nil
			}
			return []byte("{}"), nil
		}
		got, err := routed(t.Context(), scene)
		if err != nil {
			t.Fatal(err)
		}
		var want []Fact
		if by != "" {
			want = []Fact{{"hop": "gateway", "cluster": page, "by": "VirtualService basic-gateway-bookinfo/" + by}}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}
