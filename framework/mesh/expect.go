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
			d.peers(workload)
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
		switchesOn := func(entry any) bool {
			fields, ok := entry.(map[string]any)
			return ok && fields["disabled"] != true
		}
		pods, _, _ := unstructured.NestedStringMap(object.Object, "spec", "selector", "matchLabels")
		if !found || !slices.ContainsFunc(logging, switchesOn) || !labels.SelectorFromSet(pods).Matches(labels.Set(w.Labels)) {
			return
		}
		d.add(w.Hop, "access log", func(s Snapshot) (bool, string) {
			return s.Sinks > 0, "no listener writes a readable access log"
		})
	})
}

// services: a sidecar must know every Service of its namespace that has pods, with a healthy endpoint.
func (d *derivation) services(w Workload) {
	d.each("Service", w.Namespace, func(object *unstructured.Unstructured) {
		selector, found, _ := unstructured.NestedStringMap(object.Object, "spec", "selector")
		if !found || len(selector) == 0 || !HasPods(d.objects, w.Namespace, labels.SelectorFromSet(selector)) {
			return
		}
		ports, _, _ := unstructured.NestedSlice(object.Object, "spec", "ports")
		for _, entry := range ports {
			port, ok := entry.(map[string]any)
			if !ok || (port["protocol"] != nil && port["protocol"] != "TCP") {
				continue // the mesh carries TCP only
			}
			d.endpoint(w.Hop, fmt.Sprintf("outbound|%v||%s.%s.svc.cluster.local", port["port"], object.GetName(), object.GetNamespace()))
		}
	})
}

// HasPods tells whether a Deployment of the objects makes pods in the namespace that the selector matches.
func HasPods(objects []*unstructured.Unstructured, namespace string, selector labels.Selector) bool {
	return slices.ContainsFunc(objects, func(object *unstructured.Unstructured) bool {
		podLabels, _, _ := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
		replicas, set, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
		return object.GetKind() == "Deployment" && object.GetNamespace() == namespace && (!set || replicas > 0) && selector.Matches(labels.Set(podLabels))
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

// peers: what the PeerAuthentication that counts for the workload (its own before its namespace's) says of plain text must
// show in its inbound listener. What its own says by port is not derived.
func (d *derivation) peers(w Workload) {
	mode, own := "", false
	d.each("PeerAuthentication", w.Namespace, func(object *unstructured.Unstructured) {
		selector, selective, _ := unstructured.NestedStringMap(object.Object, "spec", "selector", "matchLabels")
		given, _, _ := unstructured.NestedString(object.Object, "spec", "mtls", "mode")
		_, byPort, _ := unstructured.NestedMap(object.Object, "spec", "portLevelMtls")
		matches := selective && labels.SelectorFromSet(selector).Matches(labels.Set(w.Labels))
		switch {
		case matches && byPort:
			mode, own = "", true
		case matches:
			mode, own = given, true
		case !selective && !own:
			mode = given
		}
	})
	switch mode {
	case "STRICT":
		d.add(w.Hop, "inbound takes mutual TLS only", func(s Snapshot) (bool, string) { return takesOnlyTLS(s.Listeners) })
	case "PERMISSIVE", "DISABLE":
		d.add(w.Hop, "inbound takes plain text", func(s Snapshot) (bool, string) { return takesPlainText(s.Listeners) })
	}
}

// inboundListener is the name of the listener that takes all inbound connections of a sidecar.
const inboundListener = "virtualInbound"

// inbound is that listener; missing says why there is none. One that warms counts as absent.
func inbound(listeners []envoy.Listener) (found envoy.Listener, missing string) {
	for _, listener := range listeners {
		if listener.Name == inboundListener && listener.State == envoy.Active {
			return listener, ""
		}
	}
	return envoy.Listener{}, "no active listener " + inboundListener
}

func takesOnlyTLS(listeners []envoy.Listener) (bool, string) {
	listener, missing := inbound(listeners)
	if missing != "" {
		return false, missing
	}
	var plain []string
	tls := false
	for _, chain := range listener.Chains {
		if chain.Match.TransportProtocol == "raw_buffer" {
			plain = append(plain, chain.Name)
		}
		tls = tls || chain.TLS != nil
	}
	if len(plain) > 0 {
		return false, "filter chains that take plain text: " + strings.Join(plain, ", ")
	}
	return tls, "no filter chain takes TLS"
}

func takesPlainText(listeners []envoy.Listener) (bool, string) {
	if _, missing := inbound(listeners); missing != "" {
		return false, missing
	}
	only, _ := takesOnlyTLS(listeners)
	return !only, "only TLS is taken"
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
		d.virtualServices(w, object.GetNamespace(), object.GetName())
	})
}

func hasListener(listeners []envoy.Listener, port int64) (bool, string) {
	var states []string
	for _, listener := range listeners {
		address, ok := listener.Address.AddrPort()
		there := ok && int64(address.Port()) == port
		// One that was refused from the start has no address; Istio puts the port into its name.
		refused := listener.State == envoy.Refused && strings.HasSuffix(listener.Name, fmt.Sprintf("_%d", port))
		if there && listener.State == envoy.Active {
			return true, ""
		}
		if !there && !refused {
			continue
		}
		state := string(listener.State)
		if listener.Rejected != "" {
			state += " (" + listener.Rejected + ")"
		}
		states = append(states, state)
	}
	if len(states) == 0 {
		return false, "no listener has that port"
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

func (d *derivation) virtualServices(w Workload, namespace, gateway string) {
	d.each("VirtualService", "", func(object *unstructured.Unstructured) {
		gateways, _, _ := unstructured.NestedStringSlice(object.Object, "spec", "gateways")
		// A name without a namespace is of the VirtualService's own.
		bare := object.GetNamespace() == namespace && slices.Contains(gateways, gateway)
		if !bare && !slices.Contains(gateways, namespace+"/"+gateway) {
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
				cluster, known := d.clusterOf(destination, object.GetNamespace())
				if !known {
					continue
				}
				for _, host := range hosts {
					d.add(w.Hop, "route "+host+" to "+cluster, func(s Snapshot) (bool, string) { return hasRoute(s.Routes, host, cluster) })
				}
				d.endpoint(w.Hop, cluster)
			}
		}
	})
}

// clusterOf is the cluster that Istio makes for a destination; a host without dots is of the VirtualService's namespace, and
// a port that is left out is the only one of the host's Service. It is not known when that Service is not among the objects.
func (d *derivation) clusterOf(destination any, namespace string) (cluster string, known bool) {
	fields, _ := destination.(map[string]any)
	host, _, _ := unstructured.NestedString(fields, "destination", "host")
	subset, _, _ := unstructured.NestedString(fields, "destination", "subset")
	port, known, _ := unstructured.NestedInt64(fields, "destination", "port", "number")
	if !strings.Contains(host, ".") {
		host += "." + namespace + ".svc.cluster.local"
	}
	if !known {
		port, known = d.onlyPort(host)
	}
	return fmt.Sprintf("outbound|%d|%s|%s", port, subset, host), known
}

func (d *derivation) onlyPort(host string) (port int64, known bool) {
	d.each("Service", "", func(object *unstructured.Unstructured) {
		ports, _, _ := unstructured.NestedSlice(object.Object, "spec", "ports")
		if len(ports) == 1 && host == object.GetName()+"."+object.GetNamespace()+".svc.cluster.local" {
			fields, _ := ports[0].(map[string]any)
			port, known, _ = unstructured.NestedInt64(fields, "port")
		}
	})
	return port, known
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
