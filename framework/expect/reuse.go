package expect

import (
	"fmt"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// joined is a list of texts in one.
func joined(texts []string) string { return strings.Join(texts, ", ") }

// ConnectionOf names the connection on which a proxy of this hop sent a probe on, by both its ends; empty without a line.
func ConnectionOf(hop string) func(evidence.Flow) string {
	return func(flow evidence.Flow) string {
		for _, line := range flow.At(hop, false) {
			if line.UpstreamLocal != "" {
				return line.UpstreamLocal + " -> " + line.UpstreamHost
			}
		}
		return ""
	}
}

// TakenBy names the connection on which the server of this hop got a probe, as it counted them; empty without a record.
func TakenBy(server string) func(evidence.Flow) string {
	return func(flow evidence.Flow) string {
		for _, r := range flow.RecordsAt(server) {
			if r.Load != nil && r.Load.Connection > 0 {
				return fmt.Sprintf("connection %d from %s", r.Load.Connection, r.Peer)
			}
		}
		return ""
	}
}

// HaveOwnConnections is true of probes each of which had a connection of its own, as of tells. End: the named hop.
func HaveOwnConnections(hop, end string, of func(evidence.Flow) string) types.GomegaMatcher {
	return connections(hop, end, "every request has a connection of its own", of, func(requests, connections int) (pattern.Cause, string) {
		if connections < requests {
			return pattern.Reused, fmt.Sprintf("%d requests came on %d connections", requests, connections)
		}
		return "", ""
	})
}

// ShareConnections is true of probes of which some had a connection that another had before, as of tells. End: the named hop.
func ShareConnections(hop, end string, of func(evidence.Flow) string) types.GomegaMatcher {
	return connections(hop, end, "requests share connections", of, func(requests, connections int) (pattern.Cause, string) {
		if connections == requests {
			return pattern.NotReused, fmt.Sprintf("%d requests came on as many connections", requests)
		}
		return "", ""
	})
}

// ConnectionCounters are the counters of the connections and of the requests of a cluster.
func ConnectionCounters(hop, cluster string) (connections, requests evidence.Counter) {
	return evidence.Counter{Hop: hop, Cluster: cluster, Name: "upstream_cx_total"}, evidence.Counter{Hop: hop, Cluster: cluster, Name: "upstream_rq_total"}
}

// CountConnections is true of probes over which the proxies of a hop made at least one connection of this cluster for every
// request of it, or, with shared, fewer. The probes are measured with both of ConnectionCounters. End: the proxies' statistics.
func CountConnections(hop, cluster string, shared bool) types.GomegaMatcher {
	made, sent := ConnectionCounters(hop, cluster)
	wanted := "a connection for every request"
	if shared {
		wanted = "fewer connections than requests"
	}
	return &flowMatcher{
		statement: fmt.Sprintf("%s makes %s of %s", hop, wanted, cluster),
		end:       hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			connections, unknown := movementOf(flows, made)
			if unknown != nil {
				return *unknown
			}
			requests, unknown := movementOf(flows, sent)
			if unknown != nil {
				return *unknown
			}
			detail := fmt.Sprintf("%.0f connections for %.0f requests", connections.Delta(), requests.Delta())
			switch {
			case requests.Delta() < float64(len(flows.List)):
				return contradicts(string(pattern.CounterDisagrees), "%s of %s moved by %.0f over %d probes", sent.Name, cluster, requests.Delta(), len(flows.List))
			case !shared && connections.Delta() < requests.Delta():
				return contradicts(string(pattern.Reused), "%s", detail)
			case shared && connections.Delta() >= requests.Delta():
				return contradicts(string(pattern.NotReused), "%s", detail)
			}
			return verdict{outcome: evidence.True, detail: detail}
		},
	}
}

func connections(hop, end, statement string, of func(evidence.Flow) string, judge func(requests, connections int) (pattern.Cause, string)) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("%s, as %s tells", statement, end),
		end:       end,
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			if of(flow) == "" {
				return lacks(flows, hop, "has no connection that %s tells", end)
			}
			return holds()
		},
		whole: func(flows evidence.Flows) verdict {
			seen := map[string]bool{}
			for _, flow := range flows.List {
				seen[of(flow)] = true
			}
			if cause, problem := judge(len(flows.List), len(seen)); problem != "" {
				return contradicts(string(cause), "%s", problem)
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%d requests on %d connections", len(flows.List), len(seen))}
		},
	}
}
