package rules

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// peerAuthentications are the modes that objects ask for at each hop: of its workload before those of its namespace.
func peerAuthentications(ctx context.Context, s *Scene) ([]Fact, error) {
	objects, err := s.of(ctx, "PeerAuthentication")
	if err != nil {
		return nil, err
	}
	workloads, err := s.workloads(ctx)
	var own, general []Fact
	for _, hop := range s.used() {
		for _, object := range objects {
			fact := Fact{"hop": hop.Name, "object": nameOf(object), "mode": field(object.Object, "spec", "mtls", "mode")}
			selector := stringMap(object.Object, "spec", "selector", "matchLabels")
			switch {
			case object.GetNamespace() != hop.Namespace || hop.Gateway || !hop.Proxy:
			case len(selector) == 0:
				general = append(general, fact)
			case slices.ContainsFunc(workloads, func(w *unstructured.Unstructured) bool {
				return hop.Matches(w.GetNamespace(), podLabels(w)) && labels.SelectorFromSet(selector).Matches(labels.Set(podLabels(w)))
			}):
				own = append(own, fact)
			}
		}
	}
	return append(own, general...), err
}

// destinationTLS is what DestinationRules say of TLS towards hosts.
func destinationTLS(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.of(ctx, "DestinationRule")
	var facts []Fact
	for _, rule := range rules {
		for _, p := range policiesOf(rule) {
			if mode := field(p.fields, "tls", "mode"); mode != "" {
				facts = append(facts, Fact{
					"rule": nameOf(rule), "host": fullHost(field(rule.Object, "spec", "host"), rule.GetNamespace()), "subset": p.subset, "mode": mode,
					"sni": field(p.fields, "tls", "sni"), "unchecked": yes(field(p.fields, "tls", "insecureSkipVerify") == "true"),
				})
			}
		}
	}
	return facts, err
}

// begins are the modes by which a proxy begins TLS of its own, other than the mesh's.
func begins(mode string) bool { return mode == "SIMPLE" || mode == "MUTUAL" }

// beginsTLS are sidecars that sent probes to a host for which a DestinationRule that they see has them begin TLS.
func beginsTLS(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.of(ctx, "DestinationRule")
	all, _ := lines(ctx, s)
	var facts []Fact
	for _, line := range all {
		hop, _ := s.named(line["hop"])
		port, subset, host := clusterOf(line["cluster"])
		for _, rule := range rules {
			if line["side"] != "out" || hop.Gateway || host == "" || fullHost(field(rule.Object, "spec", "host"), rule.GetNamespace()) != host || !sees(rule, hop.Namespace) {
				continue
			}
			for _, p := range policiesOf(rule) {
				of := field(p.fields, "port", "number")
				if begins(field(p.fields, "tls", "mode")) && (p.subset == "" || p.subset == subset) && (of == "" || of == port) {
					facts = append(facts, Fact{"hop": hop.Name, "rule": nameOf(rule), "host": host, "cluster": line["cluster"]})
				}
			}
		}
	}
	return facts, err
}

// originationsUnused are subsets by which a DestinationRule has TLS begun, and to which no VirtualService leads, while one leads
// to the same host otherwise.
func originationsUnused(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.of(ctx, "DestinationRule")
	if err != nil {
		return nil, err
	}
	all, err := s.routings(ctx)
	var facts []Fact
	for _, rule := range rules {
		host := fullHost(field(rule.Object, "spec", "host"), rule.GetNamespace())
		for _, p := range policiesOf(rule) {
			if p.subset == "" || !begins(field(p.fields, "tls", "mode")) {
				continue
			}
			var otherwise *routing
			to, used := destination{}, false
			for index, r := range all {
				for _, leads := range r.to {
					used = used || leads.host == host && leads.subset == p.subset
					if leads.host == host && leads.subset != p.subset && !slices.Contains(r.gateways, meshGateway) {
						otherwise, to = &all[index], leads
					}
				}
			}
			if !used && otherwise != nil {
				facts = append(facts, Fact{"rule": nameOf(rule), "subset": p.subset, "host": host, "virtual-service": nameOf(otherwise.of), "destination": to.String()})
			}
		}
	}
	return facts, err
}

// inWords tells whether a name stands in what the check says.
func (s *Scene) inWords(name string) bool {
	return name != "" && (word(s.Judgement.Detail, name) >= 0 || word(s.Judgement.Statement, name) >= 0 || strings.Contains(s.Judgement.Detail+s.Judgement.Statement, "|"+name+"|"))
}
