package expect

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// Ejections is the gauge of the hosts of a cluster that outlier detection keeps out at a hop's proxies.
func Ejections(hop, cluster string) evidence.Counter {
	return evidence.Counter{Hop: hop, Cluster: cluster, Name: "outlier_detection.ejections_active", Gauge: true}
}

// Attribute says why a proxy answered a request with an error, by its access-log line: because of a limit, of ejected hosts,
// of a cluster that it does not have, of a fault that it injects, or because what it sent the request to answered so.
func Attribute(flows evidence.Flows, line evidence.Line) pattern.Cause {
	switch {
	case line.HasFlag("UO"):
		return pattern.Overflow
	case line.HasFlag("NC"):
		return pattern.NoCluster
	case line.HasFlag("NR"):
		return pattern.RouteNotFound
	case line.HasFlag("FI"):
		return pattern.Injected
	case line.HasFlag("UH"):
		if flows.Peaks[Ejections(line.Hop, line.UpstreamCluster)].Value > 0 {
			return pattern.Ejected
		}
		return pattern.NoHealthyUpstream
	case line.UpstreamHost != "" && len(line.Flags) == 0:
		return pattern.UpstreamFailed
	}
	return pattern.WrongStatus
}

// BeServedThrough is true of a probe that the client got answered with 200. One that was not has the cause to which the log
// of this hop attributes it. Ends: the client, and for the cause the access log of the hop.
func BeServedThrough(hop string) types.GomegaMatcher {
	return &flowMatcher{
		statement: "the client gets 200",
		end:       "client",
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			result := flow.Result
			if result.Served() {
				return holds()
			}
			if result.Status == 0 {
				return contradicts(string(pattern.NotAnswered), "got no answer: %s", result.Err)
			}
			for _, line := range flow.At(hop, false) {
				if cause := Attribute(flows, line); line.ResponseCode >= http.StatusBadRequest {
					return contradicts(string(cause), "got status %d: %s answered %d, flags %q, for %s", result.Status, hop, line.ResponseCode, strings.Join(line.Flags, ","), orNone(line.UpstreamCluster))
				}
			}
			return contradicts(string(pattern.WrongStatus), "got %s: %s", result.Outcome(), beginning(result.Body))
		},
	}
}

// FailBecause is true of a probe that the client got answered with this status, and whose error the log of this hop
// attributes to this cause. Ends: the client, and the access log of the hop.
func FailBecause(hop string, status int, cause pattern.Cause) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the client gets %d, and %s says why (%s)", status, hop, cause),
		end:       hop + " log",
		logs:      []string{hop},
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			lines := flow.At(hop, false)
			switch {
			case flow.Result.Served():
				return contradicts(string(pattern.NotRefused), "was answered with %s", flow.Result.Outcome())
			case len(lines) == 0:
				return lacks(flows, hop, "has no line in the access log of %s", hop)
			case flow.Result.Status != status || Attribute(flows, lines[0]) != cause:
				return contradicts(string(pattern.OtherRefusal), "got %s, which %s attributes to %s", flow.Result.Outcome(), hop, Attribute(flows, lines[0]))
			}
			return holds()
		},
	}
}

// BeBelow is true of a load while which no reading of this gauge was so high; the load is measured with it. End: the proxy's
// statistics.
func BeBelow(gauge evidence.Counter, limit float64) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("%s of %s at %s stays below %g", gauge.Name, gauge.Scope(), gauge.Hop, limit),
		end:       gauge.Hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			peak := flows.Peaks[gauge]
			switch {
			case !peak.Known:
				return verdict{outcome: evidence.Unknown, cause: string(pattern.EvidenceMissing), detail: fmt.Sprintf("%s publishes no %s of %s", gauge.Hop, gauge.Name, gauge.Scope()),
					remedy: "annotate the pods with proxyStatsMatcher inclusionPrefixes: [cluster.outbound, http]"}
			case peak.Value >= limit:
				return contradicts(string(pattern.Ejected), "%s of %s was %g", gauge.Name, gauge.Scope(), peak.Value)
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%s %g", gauge.Name, peak.Value)}
		},
	}
}
