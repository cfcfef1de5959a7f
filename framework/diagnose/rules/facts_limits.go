package rules

import (
	"cmp"
	"context"
)

// pools are the limits that DestinationRules set: of the subsets that the check names, or, where it names none, of all.
func pools(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.of(ctx, "DestinationRule")
	var named, others []Fact
	for _, rule := range rules {
		for _, p := range policiesOf(rule) {
			fact := Fact{
				"rule": nameOf(rule), "host": fullHost(field(rule.Object, "spec", "host"), rule.GetNamespace()), "subset": p.subset,
				"connections":             cmp.Or(field(p.fields, "connectionPool", "tcp", "maxConnections"), none),
				"pending":                 cmp.Or(field(p.fields, "connectionPool", "http", "http1MaxPendingRequests"), none),
				"requests-per-connection": cmp.Or(field(p.fields, "connectionPool", "http", "maxRequestsPerConnection"), none),
			}
			if s.inWords(p.subset) {
				named = append(named, fact)
			} else {
				others = append(others, fact)
			}
		}
	}
	if len(named) > 0 {
		return named, err
	}
	return others, err
}

// thresholds are the fields of outlier detection that Istio heeds.
var thresholds = []string{"consecutive5xxErrors", "consecutiveGatewayErrors", "consecutiveLocalOriginFailures"}

// outliers are what DestinationRules say of when hosts are ejected.
func outliers(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.of(ctx, "DestinationRule")
	var facts []Fact
	for _, rule := range rules {
		for _, p := range policiesOf(rule) {
			for _, threshold := range thresholds {
				if value := field(p.fields, "outlierDetection", threshold); value != "" {
					facts = append(facts, Fact{"rule": nameOf(rule), "subset": cmp.Or(p.subset, "all"), "field": threshold, "value": value})
				}
			}
		}
	}
	return facts, err
}

// hashes are load balancers that send what has the same key to the same host.
func hashes(ctx context.Context, s *Scene) ([]Fact, error) {
	rules, err := s.of(ctx, "DestinationRule")
	var facts []Fact
	for _, rule := range rules {
		for _, p := range policiesOf(rule) {
			if by := field(p.fields, "loadBalancer", "consistentHash"); by != "" {
				facts = append(facts, Fact{
					"rule": nameOf(rule), "host": fullHost(field(rule.Object, "spec", "host"), rule.GetNamespace()),
					"by": cmp.Or(field(p.fields, "loadBalancer", "consistentHash", "httpHeaderName"), by),
				})
			}
		}
	}
	return facts, err
}

// protocols are the ports that ServiceEntries register.
func protocols(ctx context.Context, s *Scene) ([]Fact, error) {
	objects, err := s.of(ctx, "ServiceEntry")
	var facts []Fact
	for _, object := range objects {
		for _, port := range entries(object.Object, "spec", "ports") {
			for _, host := range hostsOf(object) {
				facts = append(facts, Fact{"entry": nameOf(object), "host": host, "port": field(port, "number"), "protocol": field(port, "protocol")})
			}
		}
	}
	return facts, err
}
