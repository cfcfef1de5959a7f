package mesh

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// The workloads of the tests: a gateway, and an application beside whose container a proxy runs.
var (
	gatewayWorkload = Workload{Hop: "gateway", Namespace: "ingress", Labels: map[string]string{"app": "gw", "istio": "ours"}, Gateway: true}
	pageWorkload    = Workload{Hop: "page", Namespace: "app", Labels: map[string]string{"app": "page", "version": "v1"}}
)

// Objects of the tests, which the rows combine.
const (
	gatewayService = `
apiVersion: v1
kind: Service
metadata: {name: gw, namespace: ingress}
spec:
  selector: {app: gw}
  ports: [{name: status, port: 15020, targetPort: 15020}, {name: http2, port: 80, targetPort: 8080}, {name: plain, port: 90}]
---`
	pageService = `
apiVersion: v1
kind: Service
metadata: {name: page, namespace: app}
spec: {selector: {app: page}, ports: [{name: http, port: 9080}]}
---` + pods
	pods = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: page-v1, namespace: app}
spec: {template: {metadata: {labels: {app: page, version: v1}}}}
---`
	gatewayObject = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: default, namespace: ingress}
spec:
  selector: {istio: ours}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [api.lab]}]
---`
)

// virtualService is bound to a gateway, in a namespace, with the fields of its one HTTP route.
func virtualService(namespace, gateway, route string) string {
	return "\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: page, namespace: " + namespace + "}\n" +
		"spec: {hosts: [api.lab], gateways: [" + gateway + "], http: [{" + route + "}]}\n---"
}

// istio is an object of one of Istio's kinds in a namespace.
func istio(kind, namespace, spec string) string {
	return "\napiVersion: istio.io/v1\nkind: " + kind + "\nmetadata: {name: default, namespace: " + namespace + "}\nspec: {" + spec + "}\n---"
}

// service is Service two of namespace app.
func service(spec string) string {
	return "\napiVersion: v1\nkind: Service\nmetadata: {name: two, namespace: app}\nspec: {" + spec + "}\n---"
}

const toPage = "route: [{destination: {host: page, port: {number: 9080}}}]"

func TestExpectations(t *testing.T) {
	const (
		listener = "gateway: listener on port 8080"
		route    = "gateway: route api.lab to outbound|9080||page.app.svc.cluster.local"
		endpoint = "gateway: endpoint of outbound|9080||page.app.svc.cluster.local"
		sidecar  = "page: endpoint of outbound|9080||page.app.svc.cluster.local"
	)
	for name, row := range map[string]struct {
		objects string
		want    []string
	}{
		"everything": {
			gatewayService + pageService + gatewayObject + virtualService("app", "ingress/default", toPage) +
				istio("PeerAuthentication", "app", "mtls: {mode: STRICT}") +
				istio("Telemetry", "app", "accessLogging: [{providers: [{name: envoy}]}]") + istio("Telemetry", "ingress", "accessLogging: [{}]"),
			[]string{"gateway: access log", listener, route, endpoint, "page: access log", sidecar, "page: inbound takes mutual TLS only"},
		},

		"a gateway without Service listens on the server's port": {gatewayObject, []string{"gateway: listener on port 80"}},
		"a Service of other pods says nothing about its ports":   {gatewayObject + "\napiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: ingress}\nspec: {selector: {app: other}, ports: [{port: 80, targetPort: 1}]}\n---", []string{"gateway: listener on port 80"}},
		"a Service of another namespace neither":                 {gatewayObject + "\napiVersion: v1\nkind: Service\nmetadata: {name: gw, namespace: elsewhere}\nspec: {selector: {app: gw}, ports: [{port: 80, targetPort: 1}]}\n---", []string{"gateway: listener on port 80"}},
		"a port without target":                                  {gatewayService + istio("Gateway", "ingress", "selector: {istio: ours}, servers: [{port: {number: 90}}]"), []string{"gateway: listener on port 90"}},
		"a Gateway in another namespace":                         {gatewayService + istio("Gateway", "elsewhere", "selector: {app: gw}, servers: [{port: {number: 80}}]"), []string{listener}},
		"a Gateway of two servers":                               {gatewayService + istio("Gateway", "ingress", "selector: {app: gw}, servers: [{port: {number: 80}}, {port: {number: 15020}}]"), []string{listener, "gateway: listener on port 15020"}},
		"a Gateway of other pods":                                {gatewayService + istio("Gateway", "ingress", "selector: {istio: ingressgateway}, servers: [{port: {number: 80}}]") + virtualService("app", "ingress/default", toPage), nil},
		"a Gateway that needs one label more":                    {gatewayService + istio("Gateway", "ingress", "selector: {app: gw, zone: a}, servers: [{port: {number: 80}}]"), nil},
		"a Gateway without selector":                             {gatewayService + istio("Gateway", "ingress", "servers: [{port: {number: 80}}]"), nil},

		"a VirtualService of the mesh":                   {gatewayService + gatewayObject + virtualService("app", "mesh", toPage), []string{listener}},
		"a VirtualService of another Gateway":            {gatewayService + gatewayObject + virtualService("app", "ingress/other", toPage), []string{listener}},
		"a Gateway's bare name is of its own namespace":  {gatewayService + gatewayObject + virtualService("ingress", "default", "route: [{destination: {host: page.app.svc.cluster.local, port: {number: 9080}}}]"), []string{listener, route, endpoint}},
		"a Gateway's bare name is of no other namespace": {gatewayService + gatewayObject + virtualService("app", "default", toPage), []string{listener}},
		"a full host name":                               {gatewayService + gatewayObject + virtualService("elsewhere", "ingress/default", "route: [{destination: {host: page.app.svc.cluster.local, port: {number: 9080}}}]"), []string{listener, route, endpoint}},
		"a host of the VirtualService's namespace":       {gatewayObject + virtualService("elsewhere", "ingress/default", toPage), []string{"gateway: listener on port 80", "gateway: route api.lab to outbound|9080||page.elsewhere.svc.cluster.local", "gateway: endpoint of outbound|9080||page.elsewhere.svc.cluster.local"}},
		"a subset":                 {gatewayService + gatewayObject + virtualService("app", "ingress/default", "route: [{destination: {host: page, subset: v2, port: {number: 9080}}}]"), []string{listener, "gateway: route api.lab to outbound|9080|v2|page.app.svc.cluster.local", "gateway: endpoint of outbound|9080|v2|page.app.svc.cluster.local"}},
		"two destinations":         {gatewayService + gatewayObject + virtualService("app", "ingress/default", "route: [{destination: {host: page, port: {number: 9080}}, weight: 50}, {destination: {host: b.lab, port: {number: 1}}, weight: 50}]"), []string{listener, route, endpoint, "gateway: route api.lab to outbound|1||b.lab", "gateway: endpoint of outbound|1||b.lab"}},
		"a redirect leads nowhere": {gatewayService + gatewayObject + virtualService("app", "ingress/default", "redirect: {uri: /x}"), []string{listener}},
		"a port left out is the Service's only one":           {gatewayService + pageService + gatewayObject + virtualService("app", "ingress/default", "route: [{destination: {host: page}}]"), []string{listener, route, endpoint, sidecar}},
		"so it is for a full host name":                       {gatewayService + pageService + gatewayObject + virtualService("elsewhere", "ingress/default", "route: [{destination: {host: page.app.svc.cluster.local}}]"), []string{listener, route, endpoint, sidecar}},
		"a port left out of a host that is not known says no": {gatewayService + gatewayObject + virtualService("app", "ingress/default", "route: [{destination: {host: api.example.org}}]"), []string{listener}},

		"a Service of nobody's choosing":          {service("type: ExternalName, externalName: a.b, ports: [{port: 1}]") + pods, nil},
		"a Service of another namespace":          {strings.Replace(service("selector: {app: page}, ports: [{port: 1}]"), "namespace: app", "namespace: elsewhere", 1) + pods, nil},
		"a Service without pods":                  {service("selector: {app: page, version: v2}, ports: [{port: 1}]") + pods, nil},
		"a Service whose pods are elsewhere":      {service("selector: {app: page}, ports: [{port: 1}]") + strings.Replace(pods, "namespace: app", "namespace: ingress", 1), nil},
		"a Service of a Deployment of no pods":    {service("selector: {app: page}, ports: [{port: 1}]") + strings.Replace(pods, "spec: {", "spec: {replicas: 0, ", 1), nil},
		"a Service of a Deployment of two pods":   {service("selector: {app: page}, ports: [{port: 1}]") + strings.Replace(pods, "spec: {", "spec: {replicas: 2, ", 1), []string{"page: endpoint of outbound|1||two.app.svc.cluster.local"}},
		"a Service of two ports":                  {service("selector: {app: page}, ports: [{port: 1}, {port: 2, targetPort: 3}]") + pods, []string{"page: endpoint of outbound|1||two.app.svc.cluster.local", "page: endpoint of outbound|2||two.app.svc.cluster.local"}},
		"a UDP port is none of the mesh":          {service("selector: {app: page}, ports: [{port: 53, protocol: UDP}, {port: 54, protocol: TCP}]") + pods, []string{"page: endpoint of outbound|54||two.app.svc.cluster.local"}},
		"a Telemetry of another namespace":        {istio("Telemetry", "elsewhere", "accessLogging: [{}]"), nil},
		"a Telemetry of metrics":                  {istio("Telemetry", "app", "metrics: [{}]"), nil},
		"a Telemetry that switches the log off":   {istio("Telemetry", "app", "accessLogging: [{disabled: true}]"), nil},
		"a Telemetry of these pods":               {istio("Telemetry", "app", "selector: {matchLabels: {app: page}}, accessLogging: [{}]"), []string{"page: access log"}},
		"a Telemetry of other pods":               {istio("Telemetry", "app", "selector: {matchLabels: {app: ratings}}, accessLogging: [{}]"), nil},
		"mutual TLS permitted":                    {istio("PeerAuthentication", "app", "mtls: {mode: PERMISSIVE}"), []string{"page: inbound takes plain text"}},
		"mutual TLS permitted to the workload":    {istio("PeerAuthentication", "app", "selector: {matchLabels: {app: page}}, mtls: {mode: PERMISSIVE}"), []string{"page: inbound takes plain text"}},
		"mutual TLS of another namespace":         {istio("PeerAuthentication", "ingress", "mtls: {mode: STRICT}"), nil},
		"mutual TLS of some pods is not every's":  {istio("PeerAuthentication", "app", "selector: {matchLabels: {app: ratings}}, mtls: {mode: STRICT}"), nil},
		"a Gateway selects no sidecar's listener": {istio("Gateway", "app", "selector: {app: page}, servers: [{port: {number: 80}}]"), nil},

		"a workload's own mode before its namespace's": {istio("PeerAuthentication", "app", "selector: {matchLabels: {app: page}}, mtls: {mode: DISABLE}") + istio("PeerAuthentication", "app", "mtls: {mode: STRICT}"), []string{"page: inbound takes plain text"}},
		"so it is when the namespace's comes first":    {istio("PeerAuthentication", "app", "mtls: {mode: PERMISSIVE}") + istio("PeerAuthentication", "app", "selector: {matchLabels: {app: page}}, mtls: {mode: STRICT}"), []string{"page: inbound takes mutual TLS only"}},
		"other pods' mode leaves the namespace's":      {istio("PeerAuthentication", "app", "mtls: {mode: STRICT}") + istio("PeerAuthentication", "app", "selector: {matchLabels: {app: ratings}}, mtls: {mode: DISABLE}"), []string{"page: inbound takes mutual TLS only"}},
		"a workload's own modes by port say nothing":   {istio("PeerAuthentication", "app", "mtls: {mode: STRICT}") + istio("PeerAuthentication", "app", "selector: {matchLabels: {app: page}}, mtls: {mode: STRICT}, portLevelMtls: {9080: {mode: DISABLE}}"), nil},
		"other pods' modes by port neither":            {istio("PeerAuthentication", "app", "mtls: {mode: STRICT}") + istio("PeerAuthentication", "app", "selector: {matchLabels: {app: ratings}}, portLevelMtls: {9080: {mode: DISABLE}}"), []string{"page: inbound takes mutual TLS only"}},
		"a mode that is not said":                      {istio("PeerAuthentication", "app", "mtls: {mode: UNSET}"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, expectation := range Expectations(decode(t, row.objects), []Workload{gatewayWorkload, pageWorkload}) {
				got = append(got, expectation.Hop+": "+expectation.Text)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpectationsHold(t *testing.T) {
	const cluster = "outbound|9080||page.app.svc.cluster.local"
	expectations := map[string]Expectation{}
	objects := gatewayService + pageService + gatewayObject + virtualService("app", "ingress/default", toPage) +
		istio("PeerAuthentication", "app", "mtls: {mode: STRICT}") + istio("Telemetry", "app", "accessLogging: [{}]") +
		istio("PeerAuthentication", "other", "mtls: {mode: PERMISSIVE}")
	for _, expectation := range Expectations(decode(t, objects), []Workload{gatewayWorkload, pageWorkload, {Hop: "other", Namespace: "other"}}) {
		expectations[expectation.Text] = expectation
	}
	listener := func(port uint16, state envoy.State, rejected string) Snapshot {
		return Snapshot{Listeners: []envoy.Listener{
			{Name: "virtual", State: envoy.Active, Address: envoy.Address{Pipe: "/x"}},
			{Name: "l", State: state, Rejected: rejected, Address: envoy.Address{Host: "0.0.0.0", Port: port}},
		}}
	}
	routes := func(domain, target string) Snapshot {
		return Snapshot{Routes: []envoy.RouteConfig{{Name: "empty"}, {Name: "http.8080", VirtualHosts: []envoy.VirtualHost{
			{Domains: []string{"other.lab"}, Routes: []envoy.Route{{Clusters: []envoy.WeightedCluster{{Name: "outbound|1||other"}}}}},
			{Domains: []string{domain, domain + ":*"}, Routes: []envoy.Route{{Redirect: true}, {Clusters: []envoy.WeightedCluster{{Name: "outbound|1||canary"}, {Name: target}}}}},
		}}}}
	}
	endpoints := func(name string, hosts ...envoy.HostStatus) Snapshot {
		return Snapshot{Endpoints: []envoy.ClusterStatus{{Name: "other", Hosts: []envoy.HostStatus{{}}}, {Name: name, Hosts: hosts}}}
	}
	unhealthy, ejected := envoy.HostStatus{EDSHealth: "UNHEALTHY"}, envoy.HostStatus{Flags: []string{"failed_outlier_check"}}
	tls := envoy.FilterChain{Name: "inbound", Match: envoy.ChainMatch{TransportProtocol: "tls"}, TLS: &envoy.TLS{RequireClientCertificate: true}}
	plain := envoy.FilterChain{Name: "inbound-plain", Match: envoy.ChainMatch{TransportProtocol: "raw_buffer"}}
	blackhole := envoy.FilterChain{Name: "virtualInbound-blackhole", Match: envoy.ChainMatch{DestinationPort: 15006}}
	inbound := func(state envoy.State, chains ...envoy.FilterChain) Snapshot {
		return Snapshot{Listeners: []envoy.Listener{{Name: "virtualOutbound", State: envoy.Active}, {Name: "virtualInbound", State: state, Chains: chains}}}
	}
	both := func(a, b Snapshot) Snapshot { return Snapshot{Listeners: append(a.Listeners, b.Listeners...)} }

	const (
		onPort   = "listener on port 8080"
		route    = "route api.lab to " + cluster
		endpoint = "endpoint of " + cluster
		mutual   = "inbound takes mutual TLS only"
		permits  = "inbound takes plain text"
		log      = "access log"
	)
	for name, row := range map[string]struct {
		text     string
		snapshot Snapshot
		missing  string // what the state says; empty: it holds
	}{
		"log":                                    {log, Snapshot{Sinks: 1}, ""},
		"no log":                                 {log, Snapshot{}, "no listener writes a readable access log"},
		"listener":                               {onPort, listener(8080, envoy.Active, ""), ""},
		"listener, a later change of it refused": {onPort, listener(8080, envoy.Active, "bad"), ""},
		"listener on the Service's port":         {onPort, listener(80, envoy.Active, ""), "no listener has that port"},
		"listener that warms":                    {onPort, listener(8080, envoy.Warming, ""), "not active: warming"},
		"listener that drains":                   {onPort, listener(8080, envoy.Draining, ""), "not active: draining"},
		"listener that was refused":              {onPort, Snapshot{Listeners: []envoy.Listener{{Name: "0.0.0.0_8080", State: envoy.Refused, Rejected: "bad filter"}}}, "not active: refused (bad filter)"},
		"another listener that was refused":      {onPort, Snapshot{Listeners: []envoy.Listener{{Name: "0.0.0.0_18080", State: envoy.Refused, Rejected: "bad filter"}}}, "no listener has that port"},
		"listener that warms beside its old one": {onPort, both(listener(8080, envoy.Warming, ""), listener(8080, envoy.Active, "")), ""},
		"no listener":                            {onPort, Snapshot{}, "no listener has that port"},
		"route":                                  {route, routes("api.lab", cluster), ""},
		"route of another host":                  {route, routes("www.lab", cluster), "no virtual host for api.lab"},
		"route of a longer host":                 {route, routes("x.api.lab", cluster), "no virtual host for api.lab"},
		"route to another cluster":               {route, routes("api.lab", "outbound|9081||page.app.svc.cluster.local"), "its virtual host does not lead there"},
		"no route":                               {route, Snapshot{}, "no virtual host for api.lab"},
		"endpoint":                               {endpoint, endpoints(cluster, envoy.HostStatus{EDSHealth: "HEALTHY"}), ""},
		"endpoint among others":                  {endpoint, endpoints(cluster, unhealthy, ejected, envoy.HostStatus{}), ""},
		"endpoint unhealthy":                     {endpoint, endpoints(cluster, unhealthy), "1 hosts, none of which can be used"},
		"endpoints unhealthy and ejected":        {endpoint, endpoints(cluster, unhealthy, ejected), "2 hosts, none of which can be used"},
		"endpoint missing":                       {endpoint, endpoints(cluster), "0 hosts, none of which can be used"},
		"endpoint of another cluster":            {endpoint, endpoints("outbound|9080|v1|page.app.svc.cluster.local", envoy.HostStatus{}), "no such cluster"},
		"mutual TLS":                             {mutual, inbound(envoy.Active, blackhole, tls), ""},
		"mutual TLS and plain text":              {mutual, inbound(envoy.Active, blackhole, tls, plain), "filter chains that take plain text: inbound-plain"},
		"plain text":                             {mutual, inbound(envoy.Active, plain), "filter chains that take plain text: inbound-plain"},
		"neither":                                {mutual, inbound(envoy.Active, blackhole), "no filter chain takes TLS"},
		"mutual TLS warming":                     {mutual, inbound(envoy.Warming, tls), "no active listener virtualInbound"},
		"mutual TLS warming, plain text active":  {mutual, both(inbound(envoy.Warming, tls), inbound(envoy.Active, tls, plain)), "filter chains that take plain text: inbound-plain"},
		"no inbound listener":                    {mutual, Snapshot{}, "no active listener virtualInbound"},
		"plain text is taken":                    {permits, inbound(envoy.Active, blackhole, tls, plain), ""},
		"plain text alone is taken":              {permits, inbound(envoy.Active, plain), ""},
		"plain text is not taken":                {permits, inbound(envoy.Active, blackhole, tls), "only TLS is taken"},
		"plain text warming":                     {permits, inbound(envoy.Warming, tls, plain), "no active listener virtualInbound"},
		"plain text warming, TLS active":         {permits, both(inbound(envoy.Warming, tls, plain), inbound(envoy.Active, tls)), "only TLS is taken"},
		"no listener that could take plain text": {permits, Snapshot{}, "no active listener virtualInbound"},
	} {
		t.Run(name, func(t *testing.T) {
			expectation, found := expectations[row.text]
			if !found {
				t.Fatalf("no expectation %q", row.text)
			}
			holds, state := expectation.Holds(row.snapshot)
			if holds != (row.missing == "") || (!holds && state != row.missing) {
				t.Errorf("holds: %t, state %q; want the state %q", holds, state, row.missing)
			}
		})
	}
}
