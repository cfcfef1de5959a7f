package rules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// field is the text at a place in an object; empty when there is none.
func field(object map[string]any, path ...string) string {
	value, found, _ := unstructured.NestedFieldNoCopy(object, path...)
	if !found || value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// fields are the texts of a list at a place in an object.
func fields(object map[string]any, path ...string) []string {
	found, _, _ := unstructured.NestedStringSlice(object, path...)
	return found
}

// entries are the objects of a list at a place in an object.
func entries(object map[string]any, path ...string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(object, path...)
	var found []map[string]any
	for _, entry := range list {
		if fields, ok := entry.(map[string]any); ok {
			found = append(found, fields)
		}
	}
	return found
}

// stringMap is a map of texts at a place in an object.
func stringMap(object map[string]any, path ...string) map[string]string {
	found, _, _ := unstructured.NestedStringMap(object, path...)
	return found
}

func nameOf(object *unstructured.Unstructured) string {
	return object.GetNamespace() + "/" + object.GetName()
}

// describe names an object with its kind.
func describe(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + nameOf(object)
}

// fullHost is a host as Istio completes it: a name without dots is of the object's namespace.
func fullHost(host, namespace string) string {
	if host == "*" || host == "" || strings.Contains(host, ".") {
		return host
	}
	return host + "." + namespace + ".svc.cluster.local"
}

// sees tells whether an object of Istio's is exported to a namespace.
func sees(object *unstructured.Unstructured, namespace string) bool {
	to := fields(object.Object, "spec", "exportTo")
	return len(to) == 0 || slices.ContainsFunc(to, func(entry string) bool {
		return entry == "*" || entry == namespace || entry == "." && object.GetNamespace() == namespace
	})
}

// meshGateway is the name by which a VirtualService names all sidecars.
const meshGateway = "mesh"

// routing is one rule of a VirtualService.
type routing struct {
	of *unstructured.Unstructured
	// kind is http, tcp or tls.
	kind string
	rule map[string]any
	// gateways are those that it applies to, with their namespaces; "mesh" is every sidecar.
	gateways []string
	to       []destination
}

type destination struct{ host, subset, port string }

func (d destination) String() string {
	text := d.host
	if d.port != "" {
		text += ":" + d.port
	}
	if d.subset != "" {
		text += " subset " + d.subset
	}
	return text
}

// routings are the rules of all VirtualServices.
func (s *Scene) routings(ctx context.Context) ([]routing, error) {
	virtualServices, err := s.of(ctx, "VirtualService")
	var all []routing
	for _, object := range virtualServices {
		for _, kind := range []string{"http", "tcp", "tls"} {
			for _, rule := range entries(object.Object, "spec", kind) {
				all = append(all, routing{of: object, kind: kind, rule: rule, gateways: gatewaysOf(object, rule), to: destinationsOf(object, rule)})
			}
		}
	}
	return all, err
}

// gateways are those that a VirtualService names.
func gateways(object *unstructured.Unstructured) []string {
	named := fields(object.Object, "spec", "gateways")
	if len(named) == 0 {
		return []string{meshGateway}
	}
	return qualified(named, object.GetNamespace())
}

func qualified(names []string, namespace string) []string {
	var all []string
	for _, name := range names {
		if name != meshGateway && !strings.Contains(name, "/") {
			name = namespace + "/" + name
		}
		all = append(all, name)
	}
	return all
}

func gatewaysOf(object *unstructured.Unstructured, rule map[string]any) []string {
	conditions := entries(rule, "match")
	if len(conditions) == 0 {
		return gateways(object)
	}
	var all []string
	for _, condition := range conditions {
		if own := fields(condition, "gateways"); len(own) > 0 {
			all = append(all, qualified(own, object.GetNamespace())...)
		} else {
			all = append(all, gateways(object)...)
		}
	}
	return all
}

func destinationsOf(object *unstructured.Unstructured, rule map[string]any) []destination {
	var all []destination
	for _, route := range entries(rule, "route") {
		all = append(all, destination{
			host:   fullHost(field(route, "destination", "host"), object.GetNamespace()),
			subset: field(route, "destination", "subset"), port: field(route, "destination", "port", "number"),
		})
	}
	return all
}

// hostsOf are the full hosts of a VirtualService or ServiceEntry.
func hostsOf(object *unstructured.Unstructured) []string {
	var all []string
	for _, host := range fields(object.Object, "spec", "hosts") {
		all = append(all, fullHost(host, object.GetNamespace()))
	}
	return all
}

// clusterOf takes the name of a cluster of Istio's apart; of another one nothing is known.
func clusterOf(name string) (port, subset, host string) {
	parts := strings.Split(name, "|")
	if len(parts) != 4 {
		return "", "", ""
	}
	return parts[1], parts[2], parts[3]
}

// policies are a policy with, where it has such, those of single ports, each with its name: a subset's, or empty for the whole.
type policy struct {
	subset string
	fields map[string]any
}

// policiesOf are the traffic policies of a DestinationRule.
func policiesOf(rule *unstructured.Unstructured) []policy {
	var all []policy
	add := func(subset string, of map[string]any) {
		if of == nil {
			return
		}
		all = append(all, policy{subset, of})
		for _, port := range entries(of, "portLevelSettings") {
			all = append(all, policy{subset, port})
		}
	}
	whole, _, _ := unstructured.NestedMap(rule.Object, "spec", "trafficPolicy")
	add("", whole)
	for _, subset := range entries(rule.Object, "spec", "subsets") {
		own, _, _ := unstructured.NestedMap(subset, "trafficPolicy")
		if own == nil {
			own = map[string]any{}
		}
		add(field(subset, "name"), own)
	}
	return all
}
