package rules

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// redirectsLost are VirtualServices that are for sidecars as well as for a gateway, and have no rule for sidecars.
func redirectsLost(ctx context.Context, s *Scene) ([]Fact, error) {
	virtualServices, err := s.of(ctx, "VirtualService")
	if err != nil {
		return nil, err
	}
	rules, err := s.routings(ctx)
	var facts []Fact
	for _, object := range virtualServices {
		named := gateways(object)
		covered := slices.ContainsFunc(rules, func(r routing) bool { return r.of == object && slices.Contains(r.gateways, meshGateway) })
		if len(named) > 1 && slices.Contains(named, meshGateway) && !covered && s.concerns(hostsOf(object)) {
			facts = append(facts, Fact{"virtual-service": nameOf(object), "host": strings.Join(hostsOf(object), ", "), "gateway": other(named)})
		}
	}
	return facts, err
}

// other are the gateways that are not all sidecars.
func other(named []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(named), func(name string) bool { return name == meshGateway }), ", ")
}

// concerns tells whether the check's evidence or its statements name one of the hosts; where it names no host at all, every one counts.
func (s *Scene) concerns(hosts []string) bool {
	named := s.hosts()
	return len(named) == 0 || slices.ContainsFunc(hosts, func(host string) bool { return slices.Contains(named, host) })
}

// hosts are those that clients asked for, and to whose clusters proxies sent, of hosts outside the cluster.
func (s *Scene) hosts() []string {
	var hosts []string
	add := func(host string) {
		if host != "" && !strings.HasSuffix(host, ".svc.cluster.local") {
			hosts = append(hosts, host)
		}
	}
	for _, flow := range s.Flows {
		for _, line := range flow.Lines {
			_, _, host := clusterOf(line.UpstreamCluster)
			add(host)
			if line.Authority != "" {
				bare, _, _ := strings.Cut(line.Authority, ":")
				add(bare)
			}
			add(line.SNI)
		}
	}
	for _, part := range strings.FieldsFunc(s.Judgement.Statement+" "+s.Judgement.Detail, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-'
	}) {
		if strings.Count(part, ".") > 1 && !strings.HasSuffix(part, ".") && net.ParseIP(part) == nil {
			add(part)
		}
	}
	return hosts
}

// redirectsNarrow are rules for sidecars that are for certain subnets, in which an address that an application connected to is not.
func redirectsNarrow(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.routings(ctx)
	var facts []Fact
	for _, r := range rules {
		if !slices.Contains(r.gateways, meshGateway) {
			continue
		}
		var subnets []string
		for _, condition := range entries(r.rule, "match") {
			subnets = append(subnets, fields(condition, "destinationSubnets")...)
		}
		for _, flow := range s.Flows {
			for _, made := range flow.Attempts() {
				host, _, _ := net.SplitHostPort(made.Remote)
				if address, err := netip.ParseAddr(host); err == nil && len(subnets) > 0 && !within(address, subnets) {
					facts = append(facts, Fact{"virtual-service": nameOf(r.of), "subnets": strings.Join(subnets, ", "), "address": host})
				}
			}
		}
	}
	return facts, err
}

func within(address netip.Addr, subnets []string) bool {
	return slices.ContainsFunc(subnets, func(text string) bool {
		if subnet, err := netip.ParsePrefix(text); err == nil {
			return subnet.Contains(address)
		}
		return text == address.String()
	})
}

// redirectsAstray are rules for sidecars, of a VirtualService that is also for a gateway, which lead to something else than the
// pods of that gateway.
func redirectsAstray(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.routings(ctx)
	if err != nil {
		return nil, err
	}
	var facts []Fact
	for _, r := range rules {
		named := gateways(r.of)
		if len(named) < 2 || !slices.Contains(r.gateways, meshGateway) || len(r.gateways) > 1 || !s.concerns(hostsOf(r.of)) {
			continue
		}
		for _, to := range r.to {
			leads, err := s.leadsToGateway(ctx, to.host, named)
			if err != nil {
				return facts, err
			}
			if !leads {
				facts = append(facts, Fact{"virtual-service": nameOf(r.of), "destination": to.String(), "gateway": other(named)})
			}
		}
	}
	return facts, nil
}

// leadsToGateway tells whether a host is a Service whose pods one of the Gateways selects.
func (s *Scene) leadsToGateway(ctx context.Context, host string, named []string) (bool, error) {
	services, err := s.of(ctx, "Service")
	if err != nil {
		return false, err
	}
	gateways, err := s.of(ctx, "Gateway")
	if err != nil {
		return false, err
	}
	workloads, err := s.workloads(ctx)
	for _, service := range services {
		if fullHost(service.GetName(), service.GetNamespace()) != host {
			continue
		}
		for _, workload := range workloads {
			if selects(service, workload) && slices.ContainsFunc(gateways, func(gateway *unstructured.Unstructured) bool {
				selector := labels.SelectorFromSet(stringMap(gateway.Object, "spec", "selector"))
				return slices.Contains(named, nameOf(gateway)) && selector.Matches(labels.Set(podLabels(workload)))
			}) {
				return true, err
			}
		}
	}
	return false, err
}
