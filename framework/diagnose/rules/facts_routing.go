package rules

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// routed says which object of Istio's has made a proxy send a probe to a cluster. The control plane notes it in the configuration of
// the proxy; where it does not, as for the connections of a gateway, it is a rule for such a proxy that leads there.
func routed(ctx context.Context, s *Scene) ([]Fact, error) {
	all, err := lines(ctx, s)
	if err != nil {
		return nil, err
	}
	rules, err := s.routings(ctx)
	var facts []Fact
	for _, line := range all {
		if line["side"] != "out" || line["cluster"] == none {
			continue
		}
		var makers []string
		for _, resource := range []string{"dynamic_route_configs", "dynamic_listeners"} {
			dump, problem := s.Dump(ctx, line["hop"], resource)
			if problem != nil {
				return facts, problem
			}
			makers = append(makers, makersOf(dump, line["cluster"], line["path"])...)
		}
		hop, _ := s.named(line["hop"])
		for _, r := range rules {
			if len(makers) == 0 && r.kind != "http" && slices.Contains(r.gateways, meshGateway) != hop.Gateway && leadTo(r.to, line["cluster"]) {
				makers = append(makers, nameOf(r.of))
			}
		}
		for _, by := range makers {
			facts = append(facts, Fact{"hop": line["hop"], "cluster": line["cluster"], "by": "VirtualService " + by})
		}
	}
	return facts, err
}

// leadTo tells whether one of the destinations is a cluster.
func leadTo(to []destination, cluster string) bool {
	port, subset, host := clusterOf(cluster)
	return slices.ContainsFunc(to, func(d destination) bool {
		return d.host == host && d.subset == subset && (d.port == "" || d.port == port)
	})
}

// ofVirtualService stands in the name that the control plane notes, between a namespace and the name of a VirtualService.
const ofVirtualService = "/virtual-service/"

// makersOf are the VirtualServices, as namespace/name, of which the parts of a dump were made that lead to a cluster. Routes that do
// not take a path are passed over; an empty one is that of a connection.
func makersOf(dump []byte, cluster, path string) []string {
	var content any
	if json.Unmarshal(dump, &content) != nil {
		return nil
	}
	found := map[string]bool{}
	var walk func(value any, maker string)
	walk = func(value any, maker string) {
		switch v := value.(type) {
		case map[string]any:
			if match, isRoute := v["match"].(map[string]any); isRoute && path != "" && !takes(match, path) {
				return
			}
			if of := field(v, "metadata", "filter_metadata", "istio", "config"); strings.Contains(of, ofVirtualService) {
				maker = of
			}
			for name, part := range v {
				if text, ok := part.(string); ok && (name == "cluster" || name == "name") && text == cluster && maker != "" {
					found[maker] = true
				}
				walk(part, maker)
			}
		case []any:
			for _, part := range v {
				walk(part, maker)
			}
		}
	}
	walk(content, "")
	var names []string
	for _, of := range slices.Sorted(maps.Keys(found)) {
		place, name, _ := strings.Cut(of, ofVirtualService)
		names = append(names, place[strings.LastIndexByte(place, '/')+1:]+"/"+name)
	}
	return names
}

// takes tells whether the match of a route takes a path; what else it compares is left aside.
func takes(match map[string]any, path string) bool {
	if exact := field(match, "path"); exact != "" {
		return exact == path
	}
	if parted := field(match, "path_separated_prefix"); parted != "" {
		return path == parted || strings.HasPrefix(path, parted+"/")
	}
	if expression := field(match, "safe_regex", "regex"); expression != "" {
		compiled, err := regexp.Compile("^(?:" + expression + ")$")
		return err != nil || compiled.MatchString(path)
	}
	return strings.HasPrefix(path, field(match, "prefix"))
}

// rulesOf are the VirtualServices for each host that was asked for.
func rulesOf(ctx context.Context, s *Scene) ([]Fact, error) {
	asked := map[string]bool{}
	for _, look := range []func(context.Context, *Scene) ([]Fact, error){lines, answers} {
		found, _ := look(ctx, s)
		for _, fact := range found {
			asked[fact["host"]] = true
		}
	}
	virtualServices, err := s.of(ctx, "VirtualService")
	var facts []Fact
	for _, host := range slices.Sorted(maps.Keys(asked)) {
		var names []string
		bare, _, _ := strings.Cut(host, ":")
		for _, object := range virtualServices {
			if slices.Contains(hostsOf(object), bare) || slices.Contains(hostsOf(object), "*") {
				names = append(names, nameOf(object))
			}
		}
		text := "there is no VirtualService for this host"
		if len(names) > 0 {
			text = "none of the VirtualServices for this host (" + strings.Join(names, ", ") + ") has a rule for it"
		}
		facts = append(facts, Fact{"host": host, "virtual-services": text})
	}
	return facts, err
}

// hostsTwice are hosts for which two VirtualServices have rules for sidecars.
func hostsTwice(ctx context.Context, s *Scene) ([]Fact, error) {
	virtualServices, err := s.of(ctx, "VirtualService")
	return s.twice(slices.DeleteFunc(virtualServices, func(object *unstructured.Unstructured) bool { return !slices.Contains(gateways(object), meshGateway) })), err
}

// registeredTwice are hosts that two ServiceEntries register.
func registeredTwice(ctx context.Context, s *Scene) ([]Fact, error) {
	serviceEntries, err := s.of(ctx, "ServiceEntry")
	return s.twice(serviceEntries), err
}

func (s *Scene) twice(objects []*unstructured.Unstructured) []Fact {
	first := map[string]*unstructured.Unstructured{}
	var facts []Fact
	for _, object := range objects {
		for _, host := range hostsOf(object) {
			if before := first[host]; before != nil {
				facts = append(facts, Fact{"host": host, "first": nameOf(before), "second": nameOf(object)})
			}
			first[host] = object
		}
	}
	return facts
}

// subsetsOf are the subsets that DestinationRules define for a host.
func (s *Scene) subsetsOf(ctx context.Context, host string) (subsets map[string]map[string]string, known bool, err error) {
	rules, err := s.of(ctx, "DestinationRule")
	subsets = map[string]map[string]string{}
	for _, rule := range rules {
		if fullHost(field(rule.Object, "spec", "host"), rule.GetNamespace()) != host {
			continue
		}
		known = true
		for _, subset := range entries(rule.Object, "spec", "subsets") {
			subsets[field(subset, "name")] = stringMap(subset, "labels")
		}
	}
	return subsets, known, err
}

// undefinedSubsets are subsets that a VirtualService leads to, and no DestinationRule defines.
func undefinedSubsets(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.routings(ctx)
	var facts []Fact
	for _, r := range rules {
		for _, to := range r.to {
			subsets, _, problem := s.subsetsOf(ctx, to.host)
			if problem != nil {
				return facts, problem
			}
			if _, defined := subsets[to.subset]; to.subset != "" && !defined {
				facts = append(facts, Fact{"virtual-service": nameOf(r.of), "host": to.host, "subset": to.subset})
			}
		}
	}
	return facts, err
}

// unregistered are ports that a VirtualService leads to, and that the registry does not have of the host, which it knows.
func unregistered(ctx context.Context, s *Scene) ([]Fact, error) {
	ports := map[string][]string{}
	for kind, number := range map[string][]string{"Service": {"port"}, "ServiceEntry": {"number"}} {
		objects, err := s.of(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			hosts := []string{fullHost(object.GetName(), object.GetNamespace())}
			if kind == "ServiceEntry" {
				hosts = hostsOf(object)
			}
			for _, host := range hosts {
				for _, port := range entries(object.Object, "spec", "ports") {
					ports[host] = append(ports[host], field(port, number...))
				}
			}
		}
	}
	rules, err := s.routings(ctx)
	var facts []Fact
	for _, r := range rules {
		for _, to := range r.to {
			if known := ports[to.host]; len(known) > 0 && to.port != "" && !slices.Contains(known, to.port) {
				facts = append(facts, Fact{"virtual-service": nameOf(r.of), "host": to.host, "port": to.port})
			}
		}
	}
	return facts, err
}

// mirrors are rules that send a copy of every request elsewhere.
func mirrors(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.routings(ctx)
	var facts []Fact
	for _, r := range rules {
		mirrored := entries(r.rule, "mirrors")
		if one, found, _ := unstructured.NestedMap(r.rule, "mirror"); found {
			mirrored = append(mirrored, map[string]any{"destination": one})
		}
		for _, to := range mirrored {
			facts = append(facts, Fact{"virtual-service": nameOf(r.of), "to": destination{host: field(to, "destination", "host"), subset: field(to, "destination", "subset")}.String()})
		}
	}
	return facts, err
}

// oneVersion are VirtualServices that send all of a host's requests to one of its subsets.
func oneVersion(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.routings(ctx)
	var facts []Fact
	for _, r := range rules {
		// One that others stand before gets only what those leave.
		alone := len(entries(r.of.Object, "spec", "http")) == 1 && len(entries(r.rule, "match")) == 0
		if r.kind == "http" && alone && len(r.to) == 1 && r.to[0].subset != "" {
			facts = append(facts, Fact{"virtual-service": nameOf(r.of), "host": r.to[0].host, "subset": r.to[0].subset})
		}
	}
	return facts, err
}

// everyPath are VirtualServices of a gateway, for a host that was asked for, that have a rule which takes every path.
func everyPath(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.routings(ctx)
	asked, _ := rulesOf(ctx, s)
	var facts []Fact
	for _, r := range rules {
		conditions := entries(r.rule, "match")
		every := len(conditions) == 0 || slices.ContainsFunc(conditions, func(condition map[string]any) bool {
			return field(condition, "uri", "prefix") == "/" && len(condition) == 1
		})
		for _, fact := range asked {
			if r.kind == "http" && every && !slices.Contains(r.gateways, meshGateway) && slices.Contains(hostsOf(r.of), fact["host"]) {
				facts = append(facts, Fact{"virtual-service": nameOf(r.of), "host": fact["host"]})
			}
		}
	}
	return facts, err
}

// everyHost are servers of Gateways that take every host.
func everyHost(ctx context.Context, s *Scene) ([]Fact, error) {
	gateways, err := s.of(ctx, "Gateway")
	var facts []Fact
	for _, gateway := range gateways {
		for _, server := range entries(gateway.Object, "spec", "servers") {
			for _, host := range fields(server, "hosts") {
				if _, name, _ := strings.Cut("/"+host, "/"); host == "*" || strings.HasSuffix(name, "/*") {
					facts = append(facts, Fact{"gateway": nameOf(gateway), "port": field(server, "port", "number")})
				}
			}
		}
	}
	return facts, err
}

// outboundPolicies are what Sidecars say of destinations that the registry does not know, for each hop.
func outboundPolicies(ctx context.Context, s *Scene) ([]Fact, error) {
	sidecars, err := s.of(ctx, "Sidecar")
	var facts []Fact
	for _, hop := range s.used() {
		for _, sidecar := range sidecars {
			mode := field(sidecar.Object, "spec", "outboundTrafficPolicy", "mode")
			if sidecar.GetNamespace() == hop.Namespace && hop.Proxy && !hop.Gateway && mode != "" {
				facts = append(facts, Fact{"hop": hop.Name, "sidecar": nameOf(sidecar), "mode": mode})
			}
		}
	}
	return facts, err
}
