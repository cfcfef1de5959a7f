package expect

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// InFlight is the most requests of the flows' plan that the server of this hop had under way at once, as it counted itself.
func InFlight(flows evidence.Flows, server string) int {
	most := 0
	for _, flow := range flows.List {
		for _, r := range flow.RecordsAt(server) {
			if r.Load != nil {
				most = max(most, r.Load.InFlight)
			}
		}
	}
	return most
}

// AtOnce is the most of the flows that the client had under way at once.
func AtOnce(flows evidence.Flows) int {
	type edge struct {
		at   time.Time
		step int
	}
	var edges []edge
	for _, flow := range flows.List {
		edges = append(edges, edge{flow.Result.StartedAt, 1}, edge{flow.Result.StartedAt.Add(flow.Result.Duration), -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.step, b.step)) })
	now, most := 0, 0
	for _, e := range edges {
		now += e.step
		most = max(most, now)
	}
	return most
}

// Waited is how long a proxy of this hop kept a probe before the server of another got it; false when one of both has no
// record of it.
func Waited(flow evidence.Flow, hop, server string) (time.Duration, bool) {
	lines, records := flow.At(hop, false), flow.RecordsAt(server)
	if len(lines) == 0 || len(records) == 0 {
		return 0, false
	}
	return records[0].Time.Sub(lines[0].Start), true
}

// counted judges whether a flow's server has counted it.
func counted(flows evidence.Flows, flow evidence.Flow, server string) verdict {
	records := flow.RecordsAt(server)
	switch {
	case len(records) == 0:
		return lacks(flows, server, "has no record of the application %s", server)
	case records[0].Load == nil:
		return lacks(flows, server, "has a record of %s that tells no load", server)
	}
	return holds()
}

// KeepLimit is true of a load when the server had exactly as many requests under way at once as the limit allows, while the
// client had more than that and the leeway. What lies between the limit and its leeway cannot be told apart from a limit that
// is higher; and where the proxies of hop held connections up to the limit, though less came to the server at once, the
// machine was too busy to tell. The load is measured with both of LimitCounters. Ends: the server's own count, and the
// proxies' statistics.
func KeepLimit(server, hop, cluster string, ceiling pattern.Ceiling) types.GomegaMatcher {
	_, active := LimitCounters(hop, cluster)
	return &flowMatcher{
		statement: fmt.Sprintf("%s has %d requests of %s in flight at most, which is the limit", server, ceiling.Limit(), ceiling.Subset),
		end:       server + " record",
		judge:     func(flows evidence.Flows, flow evidence.Flow) verdict { return counted(flows, flow, server) },
		whole: func(flows evidence.Flows) verdict {
			measured, offered, limit := InFlight(flows, server), AtOnce(flows), ceiling.Limit()
			switch {
			case measured > ceiling.Most():
				return contradicts(string(pattern.OverLimit), "%s had %d requests of %s in flight at once, and the limit of %d allows %d", server, measured, ceiling.Subset, limit, ceiling.Most())
			case offered <= ceiling.Most():
				return verdict{outcome: evidence.Unknown, cause: string(pattern.NotSaturated), remedy: "send more at once",
					detail: fmt.Sprintf("the client had %d requests of %s under way at once, which the ceiling of %d takes", offered, ceiling.Subset, ceiling.Most())}
			case measured > limit:
				return verdict{outcome: evidence.Unknown, cause: string(pattern.Undecidable), remedy: "run the proxy with one worker, and the server behind one endpoint",
					detail: fmt.Sprintf("%s had %d requests of %s in flight at once: more than the limit of %d, and within its leeway of %d", server, measured, ceiling.Subset, limit, ceiling.Leeway())}
			case measured < limit && flows.Peaks[active].Value >= float64(limit):
				return verdict{outcome: evidence.Unknown, cause: string(pattern.Undecidable), remedy: "run it on a machine that is less busy",
					detail: fmt.Sprintf("%s had %d requests of %s in flight at once, and %s %.0f connections", server, measured, ceiling.Subset, hop, flows.Peaks[active].Value)}
			case measured < limit:
				return contradicts(string(pattern.UnderLimit), "%s had %d requests of %s in flight at once while the client waited for %d, and the limit is %d", server, measured, ceiling.Subset, offered, limit)
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%d in flight of %d offered", measured, offered)}
		},
	}
}

// HaveNoLimit is true of a load when the server had as many requests under way at once as the client, so that nothing between
// them has a limit. End: the server's own count.
func HaveNoLimit(server string, fewest int) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("%s has as many requests in flight as the client sends, %d", server, fewest),
		end:       server + " record",
		judge:     func(flows evidence.Flows, flow evidence.Flow) verdict { return counted(flows, flow, server) },
		whole: func(flows evidence.Flows) verdict {
			measured, offered := InFlight(flows, server), AtOnce(flows)
			switch {
			case offered < fewest:
				return verdict{outcome: evidence.Unknown, cause: string(pattern.NotSaturated), detail: fmt.Sprintf("the client had %d requests under way at once, and not %d", offered, fewest), remedy: "run it on a machine that is less busy"}
			case measured < fewest:
				return contradicts(string(pattern.UnderLimit), "%s had %d requests in flight at once, and the client %d", server, measured, offered)
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%d in flight of %d offered", measured, offered)}
		},
	}
}

// OverflowAt is true of a load when the proxies of a hop refused to open connections beyond the limit of a cluster, and were
// never seen to hold more of them than the limit with its leeway. The load is measured with both of LimitCounters. End: the
// proxies' statistics.
func OverflowAt(hop, cluster string, ceiling pattern.Ceiling) types.GomegaMatcher {
	overflow, active := LimitCounters(hop, cluster)
	return &flowMatcher{
		statement: fmt.Sprintf("%s holds %d connections of %s at most, and counts what it refuses", hop, ceiling.Most(), ceiling.Subset),
		end:       hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			movement, unknown := movementOf(flows, overflow)
			if unknown != nil {
				return *unknown
			}
			peak := flows.Peaks[active]
			switch {
			case !peak.Known:
				return verdict{outcome: evidence.Unknown, cause: string(pattern.EvidenceMissing), detail: fmt.Sprintf("%s publishes no %s of %s", hop, active.Name, cluster)}
			case peak.Value > float64(ceiling.Most()):
				return contradicts(string(pattern.OverLimit), "%s held %.0f connections of %s at once, and the limit of %d allows %d", hop, peak.Value, ceiling.Subset, ceiling.Limit(), ceiling.Most())
			case movement.Delta() == 0:
				return contradicts(string(pattern.OverLimit), "%s of %s did not move: nothing was kept from opening a connection", overflow.Name, cluster)
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%.0f connections seen at once, %s +%.0f", peak.Value, overflow.Name, movement.Delta())}
		},
	}
}

// LimitCounters are the counter of the connections that a limit of a cluster refused, and the gauge of those that are open.
func LimitCounters(hop, cluster string) (overflow, active evidence.Counter) {
	return evidence.Counter{Hop: hop, Cluster: cluster, Name: "upstream_cx_overflow"}, evidence.Counter{Hop: hop, Cluster: cluster, Name: "upstream_cx_active", Gauge: true}
}

// NeverOverflow is true of a load while which the proxies of a hop refused no connection of this cluster, so that nothing
// waited for one. The load is measured with both of LimitCounters. End: the proxies' statistics.
func NeverOverflow(hop, cluster string) types.GomegaMatcher {
	overflow, _ := LimitCounters(hop, cluster)
	return &flowMatcher{
		statement: fmt.Sprintf("%s keeps nothing of %s waiting", hop, cluster),
		end:       hop + " statistics",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			movement, unknown := movementOf(flows, overflow)
			if unknown != nil {
				return *unknown
			}
			if movement.Delta() > 0 {
				return contradicts(string(pattern.Queued), "%s of %s moved by %.0f over %d probes", overflow.Name, cluster, movement.Delta(), len(flows.List))
			}
			return verdict{outcome: evidence.True, detail: overflow.Name + " +0"}
		},
	}
}

// QueueAt is true of a load of which at least one request waited this long at a proxy of the hop before the server got it.
// Ends: the access log of the hop, and the server's own record.
func QueueAt(hop, server string, atLeast time.Duration) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("what is too much waits at %s", hop),
		end:       hop + " log",
		logs:      []string{hop},
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			if _, known := Waited(flow, hop, server); !known {
				return lacks(flows, hop, "has no line of %s, or no record of %s", hop, server)
			}
			return holds()
		},
		whole: func(flows evidence.Flows) verdict {
			queued := Queued(flows, hop, server, atLeast)
			if queued == 0 {
				return verdict{outcome: evidence.Unknown, cause: string(pattern.NotSaturated), detail: "no request waited at " + hop, remedy: "send more at once"}
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("%d of %d waited", queued, len(flows.List))}
		},
	}
}

// Queued is how many probes a proxy of this hop kept at least so long before the server of another got them.
func Queued(flows evidence.Flows, hop, server string, atLeast time.Duration) int {
	queued := 0
	for _, flow := range flows.List {
		if waited, known := Waited(flow, hop, server); known && waited >= atLeast {
			queued++
		}
	}
	return queued
}

// FinishInSteps is true of requests that began together when the client got so many answers after every step: the limit lets
// no more through at once, and keeps none back. From one step to the next may be half a step more or less; what a busy machine
// adds to each is not added up. End: the client.
func FinishInSteps(width int, step time.Duration) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the client gets %d answer(s) after every %s", width, step),
		end:       "client",
		judge:     func(evidence.Flows, evidence.Flow) verdict { return holds() },
		whole: func(flows evidence.Flows) verdict {
			var took []time.Duration
			for _, flow := range flows.List {
				took = append(took, flow.Result.Duration)
			}
			slices.Sort(took)
			var told []string
			for index, duration := range took {
				told = append(told, fmt.Sprintf("%.1f", duration.Seconds()))
				since := duration
				if index >= width {
					since -= took[index-width]
				}
				switch {
				case since < step/2:
					return contradicts(string(pattern.OverLimit), "answer %d came %.2f s after the turn before it, and a limit of %d lets it come after %.2f s", index+1, since.Seconds(), width, step.Seconds())
				case since > step+step/2:
					return contradicts(string(pattern.UnderLimit), "answer %d came only %.2f s after the turn before it, and a limit of %d lets it come after %.2f s", index+1, since.Seconds(), width, step.Seconds())
				}
			}
			return verdict{outcome: evidence.True, detail: fmt.Sprintf("answers after %s s", joined(told))}
		},
	}
}
