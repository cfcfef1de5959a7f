package mesh

import (
	"slices"

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
	// gone tells whether it cannot hold with other objects, of which it is not expected. Nil says that this does not follow:
	// what a PeerAuthentication no longer asks for may be what the whole mesh does anyway.
	gone func(next *derivation) bool
}

// Snapshot is the configuration of one proxy at one moment, as the proxy itself states it.
type Snapshot struct {
	Listeners []envoy.Listener
	Routes    []envoy.RouteConfig
	Clusters  []envoy.Cluster
	Endpoints []envoy.ClusterStatus
	Secrets   []envoy.Secret
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
			d.meshRoutes(workload)
			d.peers(workload)
		}
		d.serviceEntries(workload)
	}
	return d.result
}

type derivation struct {
	objects []*unstructured.Unstructured
	result  []Expectation
}

// add notes an expectation once, however many objects ask for it.
func (d *derivation) add(e Expectation) {
	if !slices.ContainsFunc(d.result, func(o Expectation) bool { return o.Hop == e.Hop && o.Text == e.Text }) {
		d.result = append(d.result, e)
	}
}

// withItsObject is the gone of what is there because of nothing but the objects that ask for it.
func withItsObject(*derivation) bool { return true }

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
		d.add(Expectation{Hop: w.Hop, Text: "access log", Holds: func(s Snapshot) (bool, string) {
			return s.Sinks > 0, "no listener writes a readable access log"
		}})
	})
}

// list is the objects in a list of an object's fields; what is none is left out.
func list(fields map[string]any, path ...string) []map[string]any {
	entries, _, _ := unstructured.NestedSlice(fields, path...)
	var found []map[string]any
	for _, entry := range entries {
		if object, ok := entry.(map[string]any); ok {
			found = append(found, object)
		}
	}
	return found
}

func texts(fields map[string]any, path ...string) []string {
	found, _, _ := unstructured.NestedStringSlice(fields, path...)
	return found
}

func text(fields map[string]any, path ...string) string {
	found, _, _ := unstructured.NestedString(fields, path...)
	return found
}

func number(fields map[string]any, path ...string) int64 {
	found, _, _ := unstructured.NestedInt64(fields, path...)
	return found
}

// selects tells whether the labels at path are among some pods'; no labels select nothing.
func selects(fields map[string]any, pods map[string]string, path ...string) bool {
	selector, _, _ := unstructured.NestedStringMap(fields, path...)
	return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(pods))
}
