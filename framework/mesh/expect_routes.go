package mesh

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// meshGateway is the name of the gateway that stands for all sidecars.
const meshGateway = "mesh"

// virtualServices calls visit with every VirtualService that a workload has from a gateway: "mesh", or namespace/name.
func (d *derivation) virtualServices(w Workload, gateway string, visit func(*unstructured.Unstructured)) {
	d.each("VirtualService", "", func(object *unstructured.Unstructured) {
		gateways := texts(object.Object, "spec", "gateways")
		if len(gateways) == 0 {
			gateways = []string{meshGateway}
		}
		if names(gateways, object, gateway) && exported(object, w.Namespace) {
			visit(object)
		}
	})
}

// names tells whether a gateway is in a list of a VirtualService's; a name without a namespace is of the VirtualService's own.
func names(gateways []string, virtualService *unstructured.Unstructured, gateway string) bool {
	return slices.ContainsFunc(gateways, func(name string) bool {
		return name == gateway || virtualService.GetNamespace()+"/"+name == gateway
	})
}

// conditions are the matches of a rule that count for a workload at a gateway; a rule without any takes everything.
func conditions(rule map[string]any, virtualService *unstructured.Unstructured, w Workload, gateway string) []map[string]any {
	matches := list(rule, "match")
	if len(matches) == 0 {
		return []map[string]any{{}}
	}
	return slices.DeleteFunc(matches, func(match map[string]any) bool {
		if gateways := texts(match, "gateways"); len(gateways) > 0 && !names(gateways, virtualService, gateway) {
			return true
		}
		_, labelled := match["sourceLabels"]
		namespace := text(match, "sourceNamespace")
		return gateway == meshGateway && (labelled && !selects(match, w.Labels, "sourceLabels") || namespace != "" && namespace != w.Namespace)
	})
}

// targets are where a rule leads; a share of nothing is not in the proxy's configuration.
func (d *derivation) targets(rule map[string]any, namespace string) []target {
	routes := list(rule, "route")
	var found []target
	for _, route := range routes {
		if to, known := d.targetOf(route, namespace); known && (len(routes) == 1 || number(route, "weight") > 0) {
			found = append(found, to)
		}
	}
	return found
}

// gatewayRoutes: a gateway must have the HTTP routes of the VirtualServices that are bound to it.
func (d *derivation) gatewayRoutes(w Workload, gateway *unstructured.Unstructured) {
	name := gateway.GetNamespace() + "/" + gateway.GetName()
	d.virtualServices(w, name, func(object *unstructured.Unstructured) {
		for _, rule := range list(object.Object, "spec", "http") {
			if len(conditions(rule, object, w, name)) == 0 {
				continue
			}
			for _, to := range d.targets(rule, object.GetNamespace()) {
				for _, host := range texts(object.Object, "spec", "hosts") {
					d.route(w, host, to, withItsObject)
				}
				d.destination(w, to)
			}
		}
	})
}

// meshRoutes: a sidecar must have the routes of the VirtualServices of the mesh.
func (d *derivation) meshRoutes(w Workload) {
	d.virtualServices(w, meshGateway, func(object *unstructured.Unstructured) {
		for _, host := range texts(object.Object, "spec", "hosts") {
			host = fullName(host, object.GetNamespace())
			// A sidecar has a listener, or a virtual host, for what it knows only.
			known := slices.ContainsFunc(d.providers(host), func(o *unstructured.Unstructured) bool { return d.visible(w, o, host) })
			if !known || !d.imported(w, object.GetNamespace(), host) {
				continue
			}
			d.meshRequests(w, object, host)
			d.meshConnections(w, object, host)
		}
	})
}

func (d *derivation) meshRequests(w Workload, object *unstructured.Unstructured, host string) {
	for _, rule := range list(object.Object, "spec", "http") {
		if len(conditions(rule, object, w, meshGateway)) == 0 {
			continue
		}
		for _, to := range d.targets(rule, object.GetNamespace()) {
			gone := withItsObject
			if to.host == host && to.subset == "" {
				gone = nil // without a VirtualService, a host's requests go to the host
			}
			d.route(w, host, to, gone)
			d.destination(w, to)
		}
	}
}

// isDestination tells whether a VirtualService of the mesh leads a workload to a host.
func (d *derivation) isDestination(w Workload, host string) bool {
	found := false
	d.virtualServices(w, meshGateway, func(object *unstructured.Unstructured) {
		for _, field := range []string{"http", "tls", "tcp"} {
			for _, rule := range list(object.Object, "spec", field) {
				for _, route := range list(rule, "route") {
					found = found || fullName(text(route, "destination", "host"), object.GetNamespace()) == host
				}
			}
		}
	})
	return found
}

func (d *derivation) route(w Workload, host string, to target, gone func(*derivation) bool) {
	cluster := to.cluster()
	d.add(Expectation{Hop: w.Hop, Text: "route " + host + " to " + cluster, gone: gone, Holds: func(s Snapshot) (bool, string) {
		return hasRoute(s.Routes, host, cluster)
	}})
}

func hasRoute(configs []envoy.RouteConfig, host, cluster string) (bool, string) {
	state := "no virtual host for " + host
	for _, config := range configs {
		for _, virtualHost := range config.VirtualHosts {
			// Where Istio has the proxy find out the protocol, a virtual host's only domain is "*", and its name has the host.
			if !slices.Contains(virtualHost.Domains, host) && !strings.HasPrefix(virtualHost.Name, host+":") {
				continue
			}
			state = "its virtual host does not lead there"
			for _, route := range virtualHost.Routes {
				if slices.ContainsFunc(route.Clusters, func(c envoy.WeightedCluster) bool { return c.Name == cluster }) {
					return true, ""
				}
			}
		}
	}
	return false, state
}
