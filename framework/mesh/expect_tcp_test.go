package mesh

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// tcpGateway has one server of each way to take connections.
const tcpGateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: default, namespace: ingress}
spec:
  selector: {istio: ours}
  servers:
  - {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}
  - {port: {number: 9443, name: tls, protocol: TLS}, hosts: [echo.lab], tls: {mode: SIMPLE, credentialName: echo}}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [app/page.lab, ./own.lab], tls: {mode: PASSTHROUGH}}
---`

// Services and ServiceEntries of the tests.
const (
	echoService = `
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: app}
spec: {selector: {app: page}, ports: [{name: tcp, port: 9000}]}
---` + pods
	external = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: external, namespace: app}
spec: {hosts: [db.lab], addresses: [10.9.0.1], ports: [{number: 3306, name: tcp, protocol: TCP}], resolution: STATIC, endpoints: [{address: 10.0.0.9}]}
---`
	subsets = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo, namespace: app}
spec: {host: echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---`
)

// routes is a VirtualService of namespace app with these fields.
func routes(spec string) string { return istio("VirtualService", "app", spec) }

// textsFor are what is expected of the workloads, beside what is not wanted here.
func textsFor(t *testing.T, objects string, workloads ...Workload) []string {
	t.Helper()
	var got []string
	for _, expectation := range Expectations(decode(t, objects), workloads) {
		got = append(got, expectation.Text)
	}
	return got
}

func TestExpectationsOfAGatewaysConnections(t *testing.T) {
	const (
		toEcho   = "route: [{destination: {host: echo, port: {number: 9000}}}]"
		echo     = "outbound|9000||echo.app.svc.cluster.local"
		endpoint = "endpoint of " + echo
	)
	bound := func(fields string) string {
		return tcpGateway + routes("gateways: [ingress/default], "+fields)
	}
	everywhere := []string{"port 9000 leads to " + echo, endpoint, "listener on port 9000", "port 9443 leads to " + echo, "listener on port 9443", "secret kubernetes://echo", "TLS for echo.lab on port 9443"}
	for name, row := range map[string]struct {
		objects string
		want    []string
	}{
		"by port":                            {bound(`hosts: ["*"], tcp: [{match: [{port: 9000}], ` + toEcho + `}]`), []string{"port 9000 leads to " + echo, endpoint, "listener on port 9000"}},
		"by another port":                    {bound(`hosts: ["*"], tcp: [{match: [{port: 9001}], ` + toEcho + `}]`), nil},
		"on every port":                      {bound(`hosts: ["*"], tcp: [{` + toEcho + `}]`), everywhere},
		"TLS that the gateway takes":         {bound(`hosts: [echo.lab], tcp: [{match: [{port: 9443}], ` + toEcho + `}]`), []string{"port 9443 leads to " + echo, endpoint, "listener on port 9443", "secret kubernetes://echo", "TLS for echo.lab on port 9443"}},
		"of no host of the server":           {bound(`hosts: [other.lab], tcp: [{match: [{port: 9443}], ` + toEcho + `}]`), nil},
		"TLS by its name":                    {bound(`hosts: [page.lab], tls: [{match: [{port: 443, sniHosts: [page.lab]}], ` + toEcho + `}]`), []string{"port 443 for page.lab leads to " + echo, endpoint, "listener on port 443"}},
		"a host of another namespace's":      {bound(`hosts: [own.lab], tls: [{match: [{port: 443, sniHosts: [own.lab]}], ` + toEcho + `}]`), nil},
		"tcp rules of TLS that passes":       {bound(`hosts: [page.lab], tcp: [{match: [{port: 443}], ` + toEcho + `}]`), nil},
		"a rule of another gateway":          {tcpGateway + routes(`hosts: ["*"], gateways: [mesh, ingress/default], tcp: [{match: [{port: 9000, gateways: [mesh]}], `+toEcho+`}]`), nil},
		"a rule of this gateway":             {tcpGateway + routes(`hosts: ["*"], gateways: [mesh, ingress/default], tcp: [{match: [{port: 9000, gateways: [mesh]}, {port: 9000, gateways: [ingress/default]}], `+toEcho+`}]`), []string{"port 9000 leads to " + echo, endpoint, "listener on port 9000"}},
		"bound to no gateway":                {tcpGateway + routes(`hosts: ["*"], tcp: [{match: [{port: 9000}], `+toEcho+`}]`), nil},
		"exported to the gateway":            {bound(`exportTo: [ingress], hosts: ["*"], tcp: [{match: [{port: 9000}], ` + toEcho + `}]`), []string{"port 9000 leads to " + echo, endpoint, "listener on port 9000"}},
		"not exported to the gateway":        {bound(`exportTo: ["."], hosts: ["*"], tcp: [{match: [{port: 9000}], ` + toEcho + `}]`), nil},
		"shares":                             {bound(`hosts: ["*"], tcp: [{match: [{port: 9000}], route: [{destination: {host: echo, port: {number: 9000}}, weight: 100}, {destination: {host: b.lab, port: {number: 1}}, weight: 0}]}]`), []string{"port 9000 leads to " + echo, endpoint, "listener on port 9000"}},
		"a port left out is the only one":    {external + bound(`hosts: ["*"], tcp: [{match: [{port: 9000}], route: [{destination: {host: db.lab}}]}]`), []string{"port 9000 leads to outbound|3306||db.lab", "endpoint of outbound|3306||db.lab", "listener on port 9000"}},
		"a Service without pods has no host": {service("selector: {app: none}, ports: [{port: 9000}]") + bound(`hosts: ["*"], tcp: [{match: [{port: 9000}], route: [{destination: {host: two}}]}]`), []string{"port 9000 leads to outbound|9000||two.app.svc.cluster.local", "listener on port 9000"}},
		"a Service's target port":            {"\napiVersion: v1\nkind: Service\nmetadata: {name: gw, namespace: ingress}\nspec: {selector: {app: gw}, ports: [{port: 9000, targetPort: 19000}]}\n---" + bound(`hosts: ["*"], tcp: [{match: [{port: 9000}], `+toEcho+`}]`), []string{"port 19000 leads to " + echo, endpoint, "listener on port 19000"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, textsFor(t, row.objects, gatewayWorkload)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpectationsOfASidecarsConnections(t *testing.T) {
	const (
		echo = "outbound|9000||echo.app.svc.cluster.local"
		v1   = "outbound|9000|v1|echo.app.svc.cluster.local"
		toV1 = "route: [{destination: {host: echo, subset: v1}}]"
	)
	own := "endpoint of " + echo
	for name, row := range map[string]struct {
		objects string
		want    []string
	}{
		"by port":                          {routes("hosts: [echo], gateways: [mesh], tcp: [{match: [{port: 9000}], " + toV1 + "}]"), []string{own, "port 9000 leads to " + v1, "endpoint of " + v1}},
		"no gateway is the mesh":           {routes("hosts: [echo], tcp: [{" + toV1 + "}]"), []string{own, "port 9000 leads to " + v1, "endpoint of " + v1}},
		"another gateway":                  {routes("hosts: [echo], gateways: [default], tcp: [{" + toV1 + "}]"), []string{own}},
		"a rule of another gateway":        {routes("hosts: [echo], gateways: [mesh, default], tcp: [{match: [{gateways: [default]}], " + toV1 + "}]"), []string{own}},
		"a port that the host has not":     {routes("hosts: [echo], tcp: [{match: [{port: 9001}], " + toV1 + "}]"), []string{own}},
		"a host that nobody knows":         {routes("hosts: [unknown.lab], tcp: [{match: [{port: 9000}], " + toV1 + "}]"), []string{own}},
		"a subnet":                         {routes("hosts: [echo], tcp: [{match: [{port: 9000, destinationSubnets: [10.1.0.0/16]}], " + toV1 + "}]"), []string{own, "port 9000 of 10.1.0.0/16 leads to " + v1, "endpoint of " + v1}},
		"a ServiceEntry's address":         {external + routes("hosts: [db.lab], tcp: [{match: [{port: 3306}], "+toV1+"}]"), []string{own, "port 3306 of 10.9.0.1 leads to " + v1, "endpoint of " + v1, "endpoint of outbound|3306||db.lab"}},
		"a TLS name":                       {routes("hosts: [echo], tls: [{match: [{port: 9000, sniHosts: [echo.lab]}], " + toV1 + "}]"), []string{own, "port 9000 for echo.lab leads to " + v1, "endpoint of " + v1}},
		"from these pods":                  {routes("hosts: [echo], tcp: [{match: [{sourceLabels: {app: page}}], " + toV1 + "}]"), []string{own, "port 9000 leads to " + v1, "endpoint of " + v1}},
		"from other pods":                  {routes("hosts: [echo], tcp: [{match: [{sourceLabels: {app: other}}], " + toV1 + "}]"), []string{own}},
		"from another namespace":           {routes("hosts: [echo], tcp: [{match: [{sourceNamespace: other}], " + toV1 + "}]"), []string{own}},
		"exported elsewhere":               {routes("exportTo: [other], hosts: [echo], tcp: [{" + toV1 + "}]"), []string{own}},
		"exported to its own namespace":    {routes(`exportTo: ["."], hosts: [echo], tcp: [{` + toV1 + "}]"), []string{own, "port 9000 leads to " + v1, "endpoint of " + v1}},
		"a subset that no pod is of":       {routes("hosts: [echo], tcp: [{route: [{destination: {host: echo, subset: v2}}]}]"), []string{own, "port 9000 leads to outbound|9000|v2|echo.app.svc.cluster.local"}},
		"a request's subset":               {routes("hosts: [echo], http: [{" + toV1 + "}]"), []string{own, "route echo.app.svc.cluster.local to " + v1, "endpoint of " + v1}},
		"a request's subset by full name":  {routes("hosts: [echo.app.svc.cluster.local], gateways: [mesh], http: [{" + toV1 + "}]"), []string{own, "route echo.app.svc.cluster.local to " + v1, "endpoint of " + v1}},
		"requests of another gateway only": {routes("hosts: [echo], gateways: [mesh, default], http: [{match: [{gateways: [default]}], " + toV1 + "}]"), []string{own}},
		"a host that a Sidecar hides":      {routes("hosts: [echo], http: [{"+toV1+"}]") + istio("Sidecar", "app", "egress: [{hosts: [other/*]}]"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, textsFor(t, echoService+subsets+row.objects, pageWorkload)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// listening is a listener as Istio's sidecars have it, with the chains of one port.
func listening(address string, port uint16, chains ...envoy.FilterChain) envoy.Listener {
	return envoy.Listener{Name: address, State: envoy.Active, Direction: "OUTBOUND", Address: envoy.Address{Host: address, Port: port}, Chains: chains}
}

func chain(cluster string, match envoy.ChainMatch) envoy.FilterChain {
	return envoy.FilterChain{Name: "chain of " + cluster, Match: match, Filters: []string{"envoy.filters.network.tcp_proxy"}, Clusters: []envoy.WeightedCluster{{Name: "outbound|1||canary"}, {Name: cluster}}}
}

func TestConnectionsLead(t *testing.T) {
	const cluster = "outbound|9000|v1|echo.app.svc.cluster.local"
	plain := connections{port: 9000}
	subnet := connections{port: 9000, subnets: []string{"10.1.0.0/16"}}
	address := connections{port: 9000, subnets: []string{"10.9.0.1"}}
	named := connections{port: 9000, names: []string{"echo.lab"}}
	state := func(l envoy.Listener, change func(*envoy.Listener)) envoy.Listener { change(&l); return l }
	blackhole := chain("BlackHoleCluster", envoy.ChainMatch{})
	const other, unmatched = "its filter chain does not lead there", "no filter chain takes these connections"
	for name, row := range map[string]struct {
		of       connections
		listener envoy.Listener
		missing  string // what the state says; empty: they lead there
	}{
		"there":                     {plain, listening("0.0.0.0", 9000, chain(cluster, envoy.ChainMatch{})), ""},
		"of one address":            {plain, listening("10.96.0.7", 9000, chain(cluster, envoy.ChainMatch{})), ""},
		"elsewhere":                 {plain, listening("0.0.0.0", 9000, chain("outbound|9000||echo.app.svc.cluster.local", envoy.ChainMatch{})), other},
		"on another port":           {plain, listening("0.0.0.0", 9001, chain(cluster, envoy.ChainMatch{})), "no listener has that port"},
		"warming":                   {plain, state(listening("0.0.0.0", 9000, chain(cluster, envoy.ChainMatch{})), func(l *envoy.Listener) { l.State = envoy.Warming }), "not active: warming"},
		"inbound":                   {plain, state(listening("0.0.0.0", 9000, chain(cluster, envoy.ChainMatch{})), func(l *envoy.Listener) { l.Direction = "INBOUND" }), unmatched},
		"by default":                {plain, state(listening("0.0.0.0", 9000, blackhole), func(l *envoy.Listener) { c := chain(cluster, envoy.ChainMatch{}); l.Default = &c }), ""},
		"by another default":        {plain, state(listening("0.0.0.0", 9000), func(l *envoy.Listener) { l.Default = &blackhole }), other},
		"the subnet's chain":        {subnet, listening("0.0.0.0", 9000, blackhole, chain(cluster, envoy.ChainMatch{PrefixRanges: []string{"10.1.0.0/16"}})), ""},
		"another subnet's chain":    {subnet, listening("0.0.0.0", 9000, chain(cluster, envoy.ChainMatch{PrefixRanges: []string{"10.2.0.0/16"}})), unmatched},
		"an address in the subnet":  {subnet, listening("10.1.2.3", 9000, chain(cluster, envoy.ChainMatch{})), ""},
		"one outside of the subnet": {subnet, listening("10.2.2.3", 9000, chain(cluster, envoy.ChainMatch{})), unmatched},
		"the address":               {address, listening("10.9.0.1", 9000, chain(cluster, envoy.ChainMatch{})), ""},
		"the address as a subnet":   {address, listening("0.0.0.0", 9000, chain(cluster, envoy.ChainMatch{PrefixRanges: []string{"10.9.0.1/32"}})), ""},
		"another address":           {address, listening("10.9.0.2", 9000, chain(cluster, envoy.ChainMatch{})), unmatched},
		"an additional address":     {address, state(listening("10.9.0.2", 9000, chain(cluster, envoy.ChainMatch{})), func(l *envoy.Listener) { l.More = []envoy.Address{{Host: "10.9.0.1", Port: 9000}} }), ""},
		"the name":                  {named, listening("0.0.0.0", 9000, chain(cluster, envoy.ChainMatch{ServerNames: []string{"a.lab", "echo.lab"}})), ""},
		"another name":              {named, listening("0.0.0.0", 9000, chain(cluster, envoy.ChainMatch{ServerNames: []string{"a.lab"}})), unmatched},
		"any name":                  {connections{port: 9000, names: []string{"*"}}, listening("0.0.0.0", 9000, chain(cluster, envoy.ChainMatch{})), ""},
	} {
		t.Run(name, func(t *testing.T) {
			leads, state := row.of.lead([]envoy.Listener{listening("0.0.0.0", 15001), row.listener}, cluster)
			if leads != (row.missing == "") || !leads && state != row.missing {
				t.Errorf("leads there: %t, state %q; want the state %q", leads, state, row.missing)
			}
		})
	}
}

func TestTakesTLS(t *testing.T) {
	secure := func(names ...string) envoy.FilterChain {
		return envoy.FilterChain{Name: "secure", Match: envoy.ChainMatch{ServerNames: names}, TLS: &envoy.TLS{}}
	}
	plain := func(names ...string) envoy.FilterChain {
		return envoy.FilterChain{Name: "plain", Match: envoy.ChainMatch{ServerNames: names}}
	}
	for name, row := range map[string]struct {
		host    string
		chains  []envoy.FilterChain
		missing string
	}{
		"of the host":               {"a.lab", []envoy.FilterChain{plain("b.lab"), secure("a.lab")}, ""},
		"of another host":           {"a.lab", []envoy.FilterChain{secure("b.lab")}, "no filter chain is for a.lab"},
		"plain":                     {"a.lab", []envoy.FilterChain{plain("a.lab")}, "filter chain plain takes no TLS"},
		"of any host":               {"", []envoy.FilterChain{secure()}, ""},
		"plain of any host":         {"", []envoy.FilterChain{plain()}, "no filter chain takes TLS"},
		"without any chain of them": {"", nil, "no filter chain takes TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			takes, state := takesTLS([]envoy.Listener{listening("0.0.0.0", 80, secure("a.lab")), listening("0.0.0.0", 8443, row.chains...)}, 8443, row.host)
			if takes != (row.missing == "") || !takes && state != row.missing {
				t.Errorf("takes TLS: %t, state %q; want the state %q", takes, state, row.missing)
			}
		})
	}
	if takes, state := takesTLS(nil, 8443, ""); takes || state != "no listener has that port" {
		t.Errorf("without a listener: %t, %q", takes, state)
	}
}
