package expect

import (
	"fmt"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// BeCounted is true when this counter, with which the probes were measured, moved by at least their number: a counter has
// no identity, so it bounds from below, and equality is never asked. End: the proxy's statistics.
func BeCounted(counter evidence.Counter) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the counter of %s moved by at least the number of probes", counter.Hop),
		end:       counter.Hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			movement, unknown := movementOf(flows, counter)
			if unknown != nil {
				return *unknown
			}
			if movement.Delta() < float64(len(flows.List)) {
				return contradicts(string(pattern.CounterDisagrees), "%s of %s moved by %.0f over %d probes", counter.Name, counter.Scope(), movement.Delta(), len(flows.List))
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%s +%.0f", counter.Name, movement.Delta())}
		},
	}
}

// InboundConnections are the counters of the connections that a hop's sidecars took for an application's port since they
// started: all, and those with TLS.
func InboundConnections(hop string, port int) (all, withTLS evidence.Counter) {
	prefix := fmt.Sprintf("inbound_0.0.0.0_%d", port)
	return evidence.Counter{Hop: hop, HTTP: prefix, Name: "downstream_cx_total"}, evidence.Counter{Hop: hop, HTTP: prefix, Name: "downstream_cx_ssl_total"}
}

// TakeTLSOnly is true when every connection that the hop's sidecars took for this port since they started was of TLS, and
// there was one. The probes are measured with both counters of InboundConnections. End: the proxy's statistics.
func TakeTLSOnly(hop string, port int) types.GomegaMatcher {
	all, withTLS := InboundConnections(hop, port)
	return &flowMatcher{
		statement: fmt.Sprintf("every connection to %s:%d was of TLS", hop, port),
		end:       hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			total, unknown := movementOf(flows, all)
			if unknown != nil {
				return *unknown
			}
			// A proxy publishes a counter of TLS only once it has counted.
			encrypted := flows.Counters[withTLS].After.Value
			switch {
			case total.After.Value == 0:
				return verdict{outcome: evidence.Unknown, cause: string(pattern.EvidenceMissing), detail: fmt.Sprintf("%s took no connection for port %d", hop, port)}
			case encrypted < total.After.Value:
				return contradicts(string(pattern.PlainText), "%.0f of %.0f connections to %s:%d were plain text", total.After.Value-encrypted, total.After.Value, hop, port)
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%.0f connections", total.After.Value)}
		},
	}
}

// OutboundConnections are the counters of the connections that a hop's proxies made to a cluster since they started: all,
// those that could not be made, and TLS handshakes that succeeded.
func OutboundConnections(hop, cluster string) (all, failed, handshakes evidence.Counter) {
	counter := func(name string) evidence.Counter { return evidence.Counter{Hop: hop, Cluster: cluster, Name: name} }
	return counter("upstream_cx_total"), counter("upstream_cx_connect_fail"), counter("ssl.handshake")
}

// ConnectWithTLSOnly is true when every connection that the hop's proxies made to this cluster since they started has had
// its TLS handshake, and there was one. The probes are measured with the counters of OutboundConnections. End: the
// proxy's statistics.
func ConnectWithTLSOnly(hop, cluster string) types.GomegaMatcher {
	all, failed, handshakes := OutboundConnections(hop, cluster)
	return &flowMatcher{
		statement: fmt.Sprintf("every connection of %s to %s began with a TLS handshake", hop, cluster),
		end:       hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			total, unknown := movementOf(flows, all)
			if unknown != nil {
				return *unknown
			}
			made := total.After.Value - flows.Counters[failed].After.Value
			encrypted := flows.Counters[handshakes].After.Value
			switch {
			case made <= 0:
				return verdict{outcome: evidence.Unknown, cause: string(pattern.EvidenceMissing), detail: fmt.Sprintf("%s made no connection to %s", hop, cluster)}
			case encrypted < made:
				return contradicts(string(pattern.PlainText), "%.0f of %.0f connections of %s to %s began without a TLS handshake", made-encrypted, made, hop, cluster)
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%.0f connections", made)}
		},
	}
}

// movementOf is what a counter did, or why that is not known.
func movementOf(flows evidence.Flows, counter evidence.Counter) (evidence.CounterMovement, *verdict) {
	movement, measured := flows.Counters[counter]
	switch {
	case !measured:
		return movement, &verdict{outcome: evidence.Unknown, cause: string(pattern.EvidenceMissing),
			detail: fmt.Sprintf("the check did not measure %s of %s", counter.Name, counter.Hop), remedy: "name it in the Counters of its Measure"}
	case !movement.After.Known:
		return movement, &verdict{outcome: evidence.Unknown, cause: string(pattern.EvidenceMissing),
			detail: fmt.Sprintf("the proxies of %s publish no %s of %s", counter.Hop, counter.Name, counter.Scope()),
			remedy: "annotate the pods with proxyStatsMatcher inclusionPrefixes: [cluster.outbound, http]"}
	}
	return movement, nil
}
