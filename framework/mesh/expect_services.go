package mesh

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// target is where traffic is led: a port of a host, of all its endpoints or of a subset of them.
type target struct {
	port         int64
	subset, host string
}

// cluster is the name that Istio gives it.
func (t target) cluster() string { return fmt.Sprintf("outbound|%d|%s|%s", t.port, t.subset, t.host) }

// services: a sidecar must know every Service of its namespace that has pods, with a healthy endpoint.
func (d *derivation) services(w Workload) {
	d.each("Service", w.Namespace, func(object *unstructured.Unstructured) {
		selector, _, _ := unstructured.NestedStringMap(object.Object, "spec", "selector")
		if len(selector) == 0 || !d.visible(w, object, hostsOf(object)[0]) {
			return
		}
		for _, port := range portsOf(object) {
			if to := (target{port: port, host: hostsOf(object)[0]}); d.supplies(object, to) {
				d.endpoint(w, to)
			}
		}
	})
}

// serviceEntries: a proxy must know every host of the ServiceEntries that it may have.
func (d *derivation) serviceEntries(w Workload) {
	d.each("ServiceEntry", "", func(object *unstructured.Unstructured) {
		for _, host := range hostsOf(object) {
			for _, port := range portsOf(object) {
				if to := (target{port: port, host: host}); d.visible(w, object, host) && d.supplies(object, to) {
					d.endpoint(w, to)
				}
			}
		}
	})
}

// hostsOf are the hosts of a Service or ServiceEntry.
func hostsOf(object *unstructured.Unstructured) []string {
	if object.GetKind() == "Service" {
		return []string{object.GetName() + "." + object.GetNamespace() + ".svc.cluster.local"}
	}
	return texts(object.Object, "spec", "hosts")
}

// portsOf are the ports of a Service or ServiceEntry that the mesh carries, which is TCP only.
func portsOf(object *unstructured.Unstructured) []int64 {
	var ports []int64
	for _, port := range list(object.Object, "spec", "ports") {
		if object.GetKind() != "Service" {
			ports = append(ports, number(port, "number"))
		} else if protocol := text(port, "protocol"); protocol == "" || protocol == "TCP" {
			ports = append(ports, number(port, "port"))
		}
	}
	return ports
}

// providers are the Services and ServiceEntries of a host.
func (d *derivation) providers(host string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, kind := range []string{"Service", "ServiceEntry"} {
		d.each(kind, "", func(object *unstructured.Unstructured) {
			if slices.Contains(hostsOf(object), host) {
				found = append(found, object)
			}
		})
	}
	return found
}

// supplies tells whether a Service or ServiceEntry of the target's host gives it endpoints.
func (d *derivation) supplies(object *unstructured.Unstructured, to target) bool {
	if !slices.Contains(portsOf(object), to.port) {
		return false
	}
	pods, selective, _ := unstructured.NestedStringMap(object.Object, "spec", "selector")
	if object.GetKind() == "ServiceEntry" {
		pods, selective, _ = unstructured.NestedStringMap(object.Object, "spec", "workloadSelector", "labels")
	}
	subset, known := d.subset(to)
	if !selective || len(pods) == 0 || !known {
		return true // what makes its endpoints is not among the objects
	}
	pods = maps.Clone(pods)
	maps.Copy(pods, subset)
	return HasPods(d.objects, object.GetNamespace(), labels.SelectorFromSet(pods))
}

// subset are the labels that a DestinationRule has for the target's subset.
func (d *derivation) subset(to target) (pods map[string]string, known bool) {
	if to.subset == "" {
		return nil, true
	}
	d.each("DestinationRule", "", func(object *unstructured.Unstructured) {
		if fullName(text(object.Object, "spec", "host"), object.GetNamespace()) != to.host {
			return
		}
		for _, subset := range list(object.Object, "spec", "subsets") {
			if text(subset, "name") == to.subset {
				pods, _, _ = unstructured.NestedStringMap(subset, "labels")
				known = true
			}
		}
	})
	return pods, known
}

// HasPods tells whether a workload of the objects makes pods in the namespace that the selector matches.
func HasPods(objects []*unstructured.Unstructured, namespace string, selector labels.Selector) bool {
	return slices.ContainsFunc(objects, func(object *unstructured.Unstructured) bool {
		podLabels, _, _ := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
		replicas, set, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
		return MakesPods(object) && object.GetNamespace() == namespace && (!set || replicas > 0) && selector.Matches(labels.Set(podLabels))
	})
}

// destination: what a route leads to must have an endpoint, unless the objects say that there is none.
func (d *derivation) destination(w Workload, to target) {
	providers := d.providers(to.host)
	supplied := slices.ContainsFunc(providers, func(o *unstructured.Unstructured) bool { return d.supplies(o, to) })
	if len(providers) == 0 || supplied {
		d.endpoint(w, to)
	}
}

// endpoint: a cluster is there, and one of its hosts can be used.
func (d *derivation) endpoint(w Workload, to target) {
	name := to.cluster()
	e := Expectation{Hop: w.Hop, Text: "endpoint of " + name, Holds: func(s Snapshot) (bool, string) { return hasEndpoint(s.Endpoints, name) }}
	providers := d.providers(to.host)
	if slices.ContainsFunc(providers, func(o *unstructured.Unstructured) bool { return passesThrough(o, w) }) {
		e.Text, e.Holds = "cluster "+name, func(s Snapshot) (bool, string) { return hasCluster(s.Clusters, name) }
	}
	if len(providers) > 0 {
		e.gone = func(next *derivation) bool { return !next.mayReach(w, to) }
	}
	d.add(e)
	d.transport(w, to)
}

// passesThrough tells whether the cluster of a host has no endpoints of its own: its connections go where they were going.
func passesThrough(object *unstructured.Unstructured, w Workload) bool {
	if object.GetKind() == "Service" {
		return !w.Gateway && text(object.Object, "spec", "clusterIP") == "None"
	}
	resolution := text(object.Object, "spec", "resolution")
	return resolution == "" || resolution == "NONE"
}

func hasEndpoint(clusters []envoy.ClusterStatus, name string) (bool, string) {
	index := slices.IndexFunc(clusters, func(c envoy.ClusterStatus) bool { return c.Name == name })
	if index < 0 {
		return false, "no such cluster"
	}
	available := 0
	for _, host := range clusters[index].Hosts {
		if host.Available() {
			available++
		}
	}
	if available > 0 {
		return true, fmt.Sprintf("%d hosts that can be used", available)
	}
	return false, fmt.Sprintf("%d hosts, none of which can be used", len(clusters[index].Hosts))
}

func hasCluster(clusters []envoy.Cluster, name string) (bool, string) {
	return slices.ContainsFunc(clusters, func(c envoy.Cluster) bool { return c.Name == name }), "no such cluster"
}

// mayReach tells whether a workload can have usable endpoints of a target: a Service, subset or ServiceEntry that is there
// makes them without any route.
func (d *derivation) mayReach(w Workload, to target) bool {
	if _, known := d.subset(to); !known {
		return false
	}
	return slices.ContainsFunc(d.providers(to.host), func(object *unstructured.Unstructured) bool {
		// A VirtualService brings its destinations with it, whatever a Sidecar imports.
		reachable := d.visible(w, object, to.host) || exported(object, w.Namespace) && d.isDestination(w, to.host)
		return reachable && d.supplies(object, to)
	})
}

// targetOf is the target of a destination; a host without dots is of the VirtualService's namespace, and a port that is
// left out is the only one of the host's Service or ServiceEntry. It is not known when that is not among the objects.
func (d *derivation) targetOf(route map[string]any, namespace string) (to target, known bool) {
	to.host, to.subset = fullName(text(route, "destination", "host"), namespace), text(route, "destination", "subset")
	to.port, known, _ = unstructured.NestedInt64(route, "destination", "port", "number")
	if !known {
		to.port, known = d.onlyPort(to.host)
	}
	return to, known
}

func (d *derivation) onlyPort(host string) (port int64, known bool) {
	for _, object := range d.providers(host) {
		if ports := list(object.Object, "spec", "ports"); len(ports) == 1 && len(portsOf(object)) == 1 {
			return portsOf(object)[0], true
		}
	}
	return 0, false
}
