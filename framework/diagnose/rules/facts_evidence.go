package rules

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// noLogs are hops whose proxies write no access log that can be read, with the Telemetry that is the reason.
func noLogs(ctx context.Context, s *Scene) ([]Fact, error) {
	telemetries, err := s.of(ctx, "Telemetry")
	var facts []Fact
	for _, hop := range s.used() {
		gap, found := s.Gaps[hop.Name]
		if !found || gap.Silent {
			continue
		}
		reason := "no Telemetry of namespace " + hop.Namespace + " switches one on"
		for _, telemetry := range telemetries {
			if telemetry.GetNamespace() != hop.Namespace {
				continue
			}
			for _, logging := range entries(telemetry.Object, "spec", "accessLogging") {
				switch {
				case field(logging, "disabled") == "true":
					reason = describe(telemetry) + " disables it"
				case field(logging, "filter", "expression") != "":
					reason = describe(telemetry) + " filters it by " + field(logging, "filter", "expression")
				}
			}
		}
		facts = append(facts, Fact{"hop": hop.Name, "why": gap.Why, "telemetry": reason})
	}
	return facts, err
}

// noStatistics are hops whose proxies publish nothing of any cluster of the mesh: Istio leaves it out unless it is asked for.
func noStatistics(ctx context.Context, s *Scene) ([]Fact, error) {
	var facts []Fact
	for _, hop := range s.used() {
		if !hop.Proxy {
			continue
		}
		statistics, err := s.Statistics(ctx, hop.Name)
		if err != nil {
			return facts, err
		}
		if !slices.ContainsFunc(statistics.Lines(), ofCluster) {
			facts = append(facts, Fact{"hop": hop.Name, "what": "clusters and listeners"})
		}
	}
	return facts, nil
}

// translating are Services of type LoadBalancer before a hop, for which nodes may put their own addresses in place of clients'.
func translating(ctx context.Context, s *Scene) ([]Fact, error) {
	return s.services(ctx, func(hop Hop, service *unstructured.Unstructured) []Fact {
		if field(service.Object, "spec", "type") != "LoadBalancer" || field(service.Object, "spec", "externalTrafficPolicy") == "Local" {
			return nil
		}
		return []Fact{{"hop": hop.Name, "service": nameOf(service)}}
	})
}

// ofCluster tells whether a line of statistics is of a cluster, or of a listener, that the mesh has made.
func ofCluster(line string) bool {
	return strings.HasPrefix(line, "envoy_cluster_") && (strings.Contains(line, "outbound|") || strings.Contains(line, "inbound|"))
}
