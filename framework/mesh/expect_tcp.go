package mesh

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// gatewayConnections: a server of connections must lead them on as the VirtualServices say that are bound to it; port is its
// listener's. It tells whether any says so.
func (d *derivation) gatewayConnections(w Workload, s server, port int64) (routed bool) {
	field := s.carries()
	if field == "http" {
		return false
	}
	d.virtualServices(w, s.name(), func(object *unstructured.Unstructured) {
		if !s.binds(object) {
			return
		}
		for _, rule := range list(object.Object, "spec", field) {
			for _, match := range conditions(rule, object, w, s.name()) {
				if wanted := number(match, "port"); wanted != 0 && wanted != s.number() {
					continue
				}
				routed = true
				for _, to := range d.targets(rule, object.GetNamespace()) {
					d.connections(w, connections{port: port, names: texts(match, "sniHosts")}, to, withItsObject)
					d.destination(w, to)
				}
			}
		}
	})
	return routed
}

// meshConnections: a sidecar must lead the connections to a host as a VirtualService says.
func (d *derivation) meshConnections(w Workload, object *unstructured.Unstructured, host string) {
	for _, rule := range slices.Concat(list(object.Object, "spec", "tls"), list(object.Object, "spec", "tcp")) {
		for _, match := range conditions(rule, object, w, meshGateway) {
			port, known := d.matchedPort(match, host)
			if !known {
				continue
			}
			for _, to := range d.targets(rule, object.GetNamespace()) {
				gone := withItsObject
				if to == (target{port: port, host: host}) {
					gone = nil // without a VirtualService, a host's connections go to the host
				}
				for _, of := range d.destinationsOf(match, host, port) {
					d.connections(w, of, to, gone)
				}
				d.destination(w, to)
			}
		}
	}
}

// matchedPort is the port of a host that a match is for; it is not known when the host has no such port, or has several.
func (d *derivation) matchedPort(match map[string]any, host string) (port int64, known bool) {
	if port = number(match, "port"); port == 0 {
		return d.onlyPort(host)
	}
	return port, slices.ContainsFunc(d.providers(host), func(o *unstructured.Unstructured) bool { return slices.Contains(portsOf(o), port) })
}

// destinationsOf are the connections that a match takes, one for each subnet that it names.
func (d *derivation) destinationsOf(match map[string]any, host string, port int64) []connections {
	of := connections{port: port, names: texts(match, "sniHosts")}
	subnets := texts(match, "destinationSubnets")
	if len(subnets) == 0 {
		for _, object := range d.providers(host) {
			of.subnets = append(of.subnets, texts(object.Object, "spec", "addresses")...)
		}
		return []connections{of}
	}
	var each []connections
	for _, subnet := range subnets {
		of.subnets = []string{subnet}
		each = append(each, of)
	}
	return each
}

// connections are some that a listener takes.
type connections struct {
	port int64
	// subnets are those of the destination, any of which will do; names are TLS server names, all of which are meant.
	subnets, names []string
}

func (c connections) String() string {
	told := fmt.Sprintf("port %d", c.port)
	if len(c.subnets) > 0 {
		told += " of " + strings.Join(c.subnets, " or ")
	}
	if len(c.names) > 0 {
		told += " for " + strings.Join(c.names, ", ")
	}
	return told
}

// connections: an active listener must lead some connections to a cluster.
func (d *derivation) connections(w Workload, of connections, to target, gone func(*derivation) bool) {
	cluster := to.cluster()
	d.add(Expectation{Hop: w.Hop, Text: of.String() + " leads to " + cluster, gone: gone, Holds: func(s Snapshot) (bool, string) {
		return of.lead(s.Listeners, cluster)
	}})
}

func (c connections) lead(listeners []envoy.Listener, cluster string) (bool, string) {
	there, state := hasListener(listeners, c.port)
	if !there {
		return false, state
	}
	state = "no filter chain takes these connections"
	for _, listener := range listeners {
		if listener.State != envoy.Active || listener.Direction == "INBOUND" || !listens(listener, c.port) {
			continue
		}
		chains := listener.Chains
		if listener.Default != nil {
			chains = append(slices.Clone(chains), *listener.Default)
		}
		for _, chain := range chains {
			if !c.areOf(listener) && len(chain.Match.PrefixRanges) == 0 || !c.match(chain.Match) {
				continue
			}
			if slices.ContainsFunc(chain.Clusters, func(w envoy.WeightedCluster) bool { return w.Name == cluster }) {
				return true, ""
			}
			state = "its filter chain does not lead there"
		}
	}
	return false, state
}

// areOf tells whether the listener's address is one that the connections go to.
func (c connections) areOf(listener envoy.Listener) bool {
	addresses := append([]envoy.Address{listener.Address}, listener.More...)
	return len(c.subnets) == 0 || slices.ContainsFunc(addresses, func(a envoy.Address) bool {
		address, ok := a.AddrPort()
		return ok && (address.Addr().IsUnspecified() || slices.ContainsFunc(c.subnets, func(s string) bool {
			subnet, ok := prefixOf(s)
			return ok && subnet.Contains(address.Addr())
		}))
	})
}

// match tells whether a filter chain is for these connections, and not for some of another subnet or name.
func (c connections) match(m envoy.ChainMatch) bool {
	for _, name := range c.names {
		if !slices.Contains(m.ServerNames, name) && (name != "*" || len(m.ServerNames) > 0) {
			return false
		}
	}
	return len(c.subnets) == 0 || len(m.PrefixRanges) == 0 || slices.ContainsFunc(m.PrefixRanges, func(taken string) bool {
		a, ok := prefixOf(taken)
		return ok && slices.ContainsFunc(c.subnets, func(s string) bool {
			b, ok := prefixOf(s)
			return ok && a == b
		})
	})
}

// prefixOf reads "10.0.0.0/8", and an address as the subnet of it alone.
func prefixOf(text string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), true
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(address, address.BitLen()), true
}
