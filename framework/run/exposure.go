package run

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
)

// Exposure is a way in that an object opens.
type Exposure struct {
	// Object is the one that opens it, as "Service shop/ingress".
	Object string `json:"object"`
	// As is LoadBalancer, NodePort, Route or Gateway.
	As string `json:"as"`
	// Ports are "443/TCP", or a gateway's "443/HTTPS"; a Route has none, but the router's.
	Ports []string `json:"ports,omitempty"`
	// Hosts are those that it serves.
	Hosts []string `json:"hosts,omitempty"`
	// From are the sources that a load balancer lets in; none for any.
	From []string `json:"from,omitempty"`
	// Internal says that the load balancer's annotations ask for one inside the network.
	Internal bool `json:"internal,omitempty"`
}

// String tells the exposure in one line.
func (e Exposure) String() string {
	parts := []string{e.Object}
	if e.As == "LoadBalancer" || e.As == "NodePort" {
		parts = []string{e.As, e.Object}
	}
	if len(e.Ports) > 0 {
		parts = append(parts, "on "+strings.Join(e.Ports, ", "))
	}
	if len(e.Hosts) > 0 {
		parts = append(parts, "for "+strings.Join(e.Hosts, ", "))
	}
	switch {
	case len(e.From) > 0:
		parts = append(parts, "from "+strings.Join(e.From, ", "))
	case e.As == "LoadBalancer":
		parts = append(parts, "from anywhere that reaches it")
	}
	if e.Internal {
		parts = append(parts, "(internal)")
	}
	return strings.Join(parts, " ")
}

// internalAnnotations ask the clouds for a load balancer inside the network.
var internalAnnotations = map[string][]string{
	"networking.gke.io/load-balancer-type":                    {"Internal"},
	"service.beta.kubernetes.io/azure-load-balancer-internal": {"true"},
	"service.beta.kubernetes.io/aws-load-balancer-internal":   {"true", "0.0.0.0/0"},
	"service.beta.kubernetes.io/aws-load-balancer-scheme":     {"internal"},
}

// exposuresOf are the ways in that the objects open, in their order.
func exposuresOf(objects []*unstructured.Unstructured) []Exposure {
	var found []Exposure
	for _, object := range objects {
		one := Exposure{Object: kube.Describe(object)}
		switch object.GetKind() {
		case "Service":
			one.As, _, _ = unstructured.NestedString(object.Object, "spec", "type")
			if one.As != "LoadBalancer" && one.As != "NodePort" {
				continue
			}
			// A load balancer has ports on the nodes too, unless it is told to do without.
			allocated, stated, _ := unstructured.NestedBool(object.Object, "spec", "allocateLoadBalancerNodePorts")
			one.Ports = portsOf(object, one.As == "NodePort" || allocated || !stated)
			one.From, _, _ = unstructured.NestedStringSlice(object.Object, "spec", "loadBalancerSourceRanges")
			for name, values := range internalAnnotations {
				one.Internal = one.Internal || slices.Contains(values, object.GetAnnotations()[name])
			}
		case "Route":
			one.As = "Route"
			host, _, _ := unstructured.NestedString(object.Object, "spec", "host")
			one.Hosts = []string{cmp.Or(host, "a host that the cluster chooses")}
		case "Gateway":
			one.As = "Gateway"
			servers, _, _ := unstructured.NestedSlice(object.Object, "spec", "servers")
			for _, server := range servers {
				fields, _ := server.(map[string]any)
				number, _, _ := unstructured.NestedInt64(fields, "port", "number")
				protocol, _, _ := unstructured.NestedString(fields, "port", "protocol")
				hosts, _, _ := unstructured.NestedStringSlice(fields, "hosts")
				one.Ports = append(one.Ports, fmt.Sprintf("%d/%s", number, protocol))
				one.Hosts = append(one.Hosts, hosts...)
			}
			one.Ports, one.Hosts = once(one.Ports), once(one.Hosts)
		default:
			continue
		}
		found = append(found, one)
	}
	return found
}

func portsOf(service *unstructured.Unstructured, nodePorts bool) []string {
	var told []string
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	for _, port := range ports {
		fields, _ := port.(map[string]any)
		number := numberAt(fields, "port")
		protocol, _, _ := unstructured.NestedString(fields, "protocol")
		text := fmt.Sprintf("%d/%s", number, cmp.Or(protocol, "TCP"))
		if nodePorts {
			if node := numberAt(fields, "nodePort"); node > 0 {
				text += fmt.Sprintf(" (on every node: %d)", node)
			} else {
				text += " (on every node: a port that the cluster chooses)"
			}
		}
		told = append(told, text)
	}
	return told
}

func once(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// Intent is what a plan would do with a cluster.
type Intent struct {
	Pattern    string   `json:"pattern"`
	Namespaces []string `json:"namespaces"`
	// Adopted says that the namespaces are there, and stay.
	Adopted bool `json:"adopted,omitempty"`
	// Objects are all that is applied, as "Kind namespace/name".
	Objects     []string     `json:"objects"`
	Exposures   []Exposure   `json:"exposures"`
	Permissions []Permission `json:"permissions"`
}

// Intents are what the plan would do, pattern by pattern. No cluster is asked.
func (p *Plan) Intents() ([]Intent, error) {
	var intents []Intent
	for _, job := range p.Jobs {
		one := p.byName[job.Pattern]
		objects, err := Objects(one, job)
		if err != nil {
			return nil, err
		}
		intent := Intent{Pattern: one.Name, Namespaces: one.Namespaces(job.Values), Adopted: job.Options.Adopt, Exposures: exposuresOf(objects)}
		for _, object := range objects {
			intent.Objects = append(intent.Objects, kube.Describe(object))
		}
		if intent.Permissions, err = permissions(one, job, objects, nil); err != nil {
			return nil, err
		}
		intents = append(intents, intent)
	}
	return intents, nil
}

func numberAt(fields map[string]any, name string) int64 {
	number, _, _ := unstructured.NestedInt64(fields, name)
	return number
}
