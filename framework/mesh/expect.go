package mesh

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// Expectation is one thing that the configuration of every proxy of a workload must come to hold.
type Expectation struct {
	// Hop is the workload.
	Hop string
	// Text is what is expected, for example "route api.lab/productpage to outbound|9080||productpage...".
	Text string
	// Holds judges a snapshot; state says what is there instead.
	Holds func(Snapshot) (holds bool, state string)
}

// Snapshot is the configuration of one proxy at one moment, as the proxy itself states it.
type Snapshot struct {
	Listeners []envoy.Listener
	Routes    []envoy.RouteConfig
	Clusters  []envoy.Cluster
	Endpoints []envoy.ClusterStatus
	// Sinks counts the readable access logs.
	Sinks int
}

// Workload is what expectations are derived for: the labels of a hop's pods, and whether it is a gateway.
type Workload struct {
	Hop, Namespace string
	Labels         map[string]string
	Gateway        bool
}

// Expectations derives, from the objects that are applied, what the proxies of the workloads must hold.
func Expectations(objects []*unstructured.Unstructured, workloads []Workload) []Expectation {
	d := derivation{objects: objects}
	for _, workload := range workloads {
		d.accessLog(workload)
		if workload.Gateway {
			d.gateways(workload)
		} else {
			d.services(workload)
			d.strict(workload)
		}
	}
	return d.result
}

type derivation struct {
	objects []*unstructured.Unstructured
	result  []Expectation
}

func (d *derivation) add(hop, text string, holds func(Snapshot) (bool, string)) {
	d.result = append(d.result, Expectation{Hop: hop, Text: text, Holds: holds})
}

// each calls visit with every object of a kind in a namespace; an empty namespace means all.
func (d *derivation) each(kind, namespace string, visit func(*unstructured.Unstructured)) {
	for _, object := range d.objects {
		if object.GetKind() == kind && (namespace == "" || object.GetNamespace() == namespace) {
			visit(object)
		}
	}
}

// accessLog: a Telemetry of the namespace that switches the access log on must show in every proxy.
func (d *derivation) accessLog(w Workload) {
	d.each("Telemetry", w.Namespace, func(object *unstructured.Unstructured) {
		logging, found, _ := unstructured.NestedSlice(object.Object, "spec", "accessLogging")
		if !found || len(logging) == 0 {
			return
		}
		d.add(w.Hop, "access log", func(s Snapshot) (bool, string) {
			return s.Sinks > 0, "no listener writes a readable access log"
		})
	})
}

// services: a sidecar must know every Service of its namespace that selects pods, with a healthy endpoint.
func (d *derivation) services(w Workload) {
	d.each("Service", w.Namespace, func(object *unstructured.Unstructured) {
		selector, found, _ := unstructured.NestedStringMap(object.Object, "spec", "selector")
		if !found || len(selector) == 0 {
			return
		}
		ports, _, _ := unstructured.NestedSlice(object.Object, "spec", "ports")
		for _, entry := range ports {
			port, ok := entry.(map[string]any)
			if !ok {
				continue
			}
			d.endpoint(w.Hop, fmt.Sprintf("outbound|%v||%s.%s.svc.cluster.local", port["port"], object.GetName(), object.GetNamespace()))
		}
	})
}

// endpoint: a cluster is there, and one of its hosts can be used.
func (d *derivation) endpoint(hop, cluster string) {
	d.add(hop, "endpoint of "+cluster, func(s Snapshot) (bool, string) {
		index := slices.IndexFunc(s.Endpoints, func(c envoy.ClusterStatus) bool { return c.Name == cluster })
		if index < 0 {
			return false, "no such cluster"
		}
		available := 0
		for _, host := range s.Endpoints[index].Hosts {
			if host.Available() {
				available++
			}
		}
		return available > 0, fmt.Sprintf("%d hosts, none of which can be used", len(s.Endpoints[index].Hosts))
	})
}

// strict: a namespace's PeerAuthentication of mode STRICT leaves no inbound filter chain that takes plain text.
func (d *derivation) strict(w Workload) {
	d.each("PeerAuthentication", w.Namespace, func(object *unstructured.Unstructured) {
		mode, _, _ := unstructured.NestedString(object.Object, "spec", "mtls", "mode")
		if _, selective, _ := unstructured.NestedMap(object.Object, "spec", "selector"); selective || mode != "STRICT" {
			return
		}
		d.add(w.Hop, "inbound takes mutual TLS only", func(s Snapshot) (bool, string) {
			return takesOnlyTLS(s.Listeners)
		})
	})
}

// inboundListener is the name of the listener that takes all inbound connections of a sidecar.
const inboundListener = "virtualInbound"

func takesOnlyTLS(listeners []envoy.Listener) (bool, string) {
	for _, listener := range listeners {
		if listener.Name != inboundListener || listener.State != envoy.Active {
			continue
		}
		var plain []string
		tls := false
		for _, chain := range listener.Chains {
			if chain.Match.TransportProtocol == "raw_buffer" {
				plain = append(plain, chain.Name)
			}
			tls = tls || chain.TLS != nil
		}
		return tls && len(plain) == 0, "filter chains that take plain text: " + strings.Join(plain, ", ")
	}
	return false, "no active listener " + inboundListener
}

// gateways: every Gateway that selects the workload must have its listener, and every VirtualService bound to it its routes.
func (d *derivation) gateways(w Workload) {
	d.each("Gateway", "", func(object *unstructured.Unstructured) {
		selector, _, _ := unstructured.NestedStringMap(object.Object, "spec", "selector")
		if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(w.Labels)) {
			return
		}
		servers, _, _ := unstructured.NestedSlice(object.Object, "spec", "servers")
		for _, entry := range servers {
			server, ok := entry.(map[string]any)
			if !ok {
				continue
			}
			number, _, _ := unstructured.NestedInt64(server, "port", "number")
			port := d.targetPort(w, number)
			d.add(w.Hop, fmt.Sprintf("listener on port %d", port), func(s Snapshot) (bool, string) {
				return hasListener(s.Listeners, port)
			})
		}
		d.virtualServices(w, object.GetNamespace()+"/"+object.GetName())
	})
}

func hasListener(listeners []envoy.Listener, port int64) (bool, string) {
	var states []string
	for _, listener := range listeners {
		if address, ok := listener.Address.AddrPort(); ok && int64(address.Port()) == port {
			if listener.State == envoy.Active {
				return true, ""
			}
			states = append(states, string(listener.State)+" "+listener.Rejected)
		}
	}
	return false, "not active: " + strings.Join(states, ", ")
}

// targetPort is the container's port behind a Service port of the gateway.
func (d *derivation) targetPort(w Workload, number int64) int64 {
	target := number
	d.each("Service", w.Namespace, func(object *unstructured.Unstructured) {
		selector, _, _ := unstructured.NestedStringMap(object.Object, "spec", "selector")
		if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(w.Labels)) {
			return
		}
		ports, _, _ := unstructured.NestedSlice(object.Object, "spec", "ports")
		for _, entry := range ports {
			if port, ok := entry.(map[string]any); ok && port["port"] == number {
				if value, ok := port["targetPort"].(int64); ok {
					target = value
				}
			}
		}
	})
	return target
}

func (d *derivation) virtualServices(w Workload, gateway string) {
	d.each("VirtualService", "", func(object *unstructured.Unstructured) {
		gateways, _, _ := unstructured.NestedStringSlice(object.Object, "spec", "gateways")
		if !slices.Contains(gateways, gateway) {
			return
		}
		hosts, _, _ := unstructured.NestedStringSlice(object.Object, "spec", "hosts")
		routes, _, _ := unstructured.NestedSlice(object.Object, "spec", "http")
		for _, entry := range routes {
			route, ok := entry.(map[string]any)
			if !ok {
				continue
			}
			destinations, _, _ := unstructured.NestedSlice(route, "route")
			for _, destination := range destinations {
				cluster := clusterOf(destination, object.GetNamespace())
				for _, host := range hosts {
					d.add(w.Hop, "route "+host+" to "+cluster, func(s Snapshot) (bool, string) { return hasRoute(s.Routes, host, cluster) })
				}
				d.endpoint(w.Hop, cluster)
			}
		}
	})
}

// clusterOf is the cluster that Istio makes for a destination; a host without dots is of the VirtualService's namespace.
func clusterOf(destination any, namespace string) string {
	fields, _ := destination.(map[string]any)
	host, _, _ := unstructured.NestedString(fields, "destination", "host")
	subset, _, _ := unstructured.NestedString(fields, "destination", "subset")
	port, _, _ := unstructured.NestedInt64(fields, "destination", "port", "number")
	if !strings.Contains(host, ".") {
		host += "." + namespace + ".svc.cluster.local"
	}
	return fmt.Sprintf("outbound|%d|%s|%s", port, subset, host)
}

func hasRoute(configs []envoy.RouteConfig, host, cluster string) (bool, string) {
	state := "no virtual host for " + host
	for _, config := range configs {
		for _, virtualHost := range config.VirtualHosts {
			if !slices.Contains(virtualHost.Domains, host) {
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
