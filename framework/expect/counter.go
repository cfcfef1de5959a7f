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

// InboundConnections are the gauges of the connections that a hop's sidecars hold for an application's port: all, and
// those with TLS.
func InboundConnections(hop string, port int) (all, withTLS evidence.Counter) {
	prefix := fmt.Sprintf("inbound_0.0.0.0_%d", port)
	return evidence.Counter{Hop: hop, HTTP: prefix, Name: "downstream_cx_active", Gauge: true}, evidence.Counter{Hop: hop, HTTP: prefix, Name: "downstream_cx_ssl_active", Gauge: true}
}

// TakeTLSOnly is true when every connection that the hop's sidecars hold for this port, when the probes have come, is of
// TLS, and there is one: proxies keep the connections that the probes came by. The probes are measured with both gauges of
// InboundConnections. End: the receiving proxies' statistics.
func TakeTLSOnly(hop string, port int) types.GomegaMatcher {
	all, withTLS := InboundConnections(hop, port)
	return &flowMatcher{
		statement: fmt.Sprintf("every connection that %s:%d holds is of TLS", hop, port),
		end:       hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			total, unknown := movementOf(flows, all)
			if unknown != nil {
				return *unknown
			}
			encrypted := flows.Counters[withTLS].After.Value
			switch {
			case total.After.Value == 0:
				return verdict{outcome: evidence.Unknown, cause: string(pattern.EvidenceMissing), detail: fmt.Sprintf("%s holds no connection for port %d", hop, port)}
			case encrypted < total.After.Value:
				return contradicts(string(pattern.PlainText), "%.0f of %.0f connections to %s:%d are plain text", total.After.Value-encrypted, total.After.Value, hop, port)
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%.0f connections", total.After.Value)}
		},
	}
}

// OutboundConnections are the counters of the connections that a hop's proxies make to a cluster: all, those that could
// not be made, and TLS handshakes that succeeded.
func OutboundConnections(hop, cluster string) (all, failed, handshakes evidence.Counter) {
	counter := func(name string) evidence.Counter { return evidence.Counter{Hop: hop, Cluster: cluster, Name: name} }
	return counter("upstream_cx_total"), counter("upstream_cx_connect_fail"), counter("ssl.handshake")
}

// ConnectWithTLSOnly is true when every connection that the hop's proxies made to this cluster since the probes began has
// had its TLS handshake, and the cluster has had one at all: later probes use the connections of earlier ones. The probes
// are measured with the counters of OutboundConnections. End: the sending proxies' statistics.
func ConnectWithTLSOnly(hop, cluster string) types.GomegaMatcher {
	all, failed, handshakes := OutboundConnections(hop, cluster)
	return &flowMatcher{
		statement: fmt.Sprintf("%s connects to %s with a TLS handshake", hop, cluster),
		end:       hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			total, unknown := movementOf(flows, all)
			if unknown != nil {
				return *unknown
			}
			made := total.Delta() - flows.Counters[failed].Delta()
			encrypted := flows.Counters[handshakes]
			switch {
			case encrypted.Delta() < made:
				return contradicts(string(pattern.PlainText), "%.0f of %.0f connections of %s to %s began without a TLS handshake", made-encrypted.Delta(), made, hop, cluster)
			case encrypted.After.Value == 0:
				return contradicts(string(pattern.PlainText), "%s has never made a TLS handshake with %s", hop, cluster)
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%.0f handshakes", encrypted.After.Value)}
		},
	}
}

// ConnectWithoutTLS is true when the hop's proxies made no TLS handshake with this cluster while at least one connection for
// every probe was made: they carry what the application sends. The probes are measured with the counters of
// OutboundConnections. End: the sending proxies' statistics.
func ConnectWithoutTLS(hop, cluster string) types.GomegaMatcher {
	all, _, handshakes := OutboundConnections(hop, cluster)
	return &flowMatcher{
		statement: fmt.Sprintf("%s connects to %s without a TLS handshake of its own", hop, cluster),
		end:       hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			total, unknown := movementOf(flows, all)
			if unknown != nil {
				return *unknown
			}
			// A proxy that begins no TLS publishes no counter of handshakes.
			added, measured := flows.Counters[handshakes]
			switch {
			case !measured:
				_, unknown = movementOf(flows, handshakes)
				return *unknown
			case added.Delta() > 0:
				return contradicts(string(pattern.TLSAdded), "%.0f of %.0f connections of %s to %s began with a TLS handshake of its own", added.Delta(), total.Delta(), hop, cluster)
			case total.Delta() < float64(len(flows.List)):
				return contradicts(string(pattern.CounterDisagrees), "%s of %s moved by %.0f over %d probes", all.Name, all.Scope(), total.Delta(), len(flows.List))
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%.0f connections", total.Delta())}
		},
	}
}

// StayStill is true when this counter, with which the probes were measured as one of their Totals, did not move. A counter
// that nothing can move says nothing: another matcher must show the same proxies at work. End: the proxy's statistics.
func StayStill(counter evidence.Counter) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("%s of %s at %s does not move", counter.Name, counter.Scope(), counter.Hop),
		end:       counter.Hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			movement, unknown := movementOf(flows, counter)
			if unknown != nil {
				return *unknown
			}
			if movement.Delta() != 0 {
				return contradicts(string(pattern.Bypassed), "%s of %s at %s moved by %.0f over %d probes", counter.Name, counter.Scope(), counter.Hop, movement.Delta(), len(flows.List))
			}
			return verdict{outcome: evidence.True, detail: counter.Name + " +0"}
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
