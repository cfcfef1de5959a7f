package expect

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// refusal is how one cause shows at the ends.
type refusal struct {
	// client says how the client sees it, in words.
	client string
	seen   func(traffic.Result) bool
	// flag and details are what the refusing proxy logs; details is compared where the log's format has it.
	flag, details string
	// connection says that a connection was refused, before there was any request on it.
	connection bool
}

// refusals are those that matchers can tell apart.
var refusals = map[pattern.Cause]refusal{
	pattern.RouteNotFound: {
		client: "status 404 without a body", flag: "NR", details: "route_not_found",
		seen: func(r traffic.Result) bool { return r.Status == http.StatusNotFound && r.Body == "" && r.Err == "" },
	},
	pattern.NoFilterChain: {
		client: "the connection closed without an answer", flag: "NR", details: "filter_chain_not_found", connection: true,
		seen: func(r traffic.Result) bool { return r.Status == 0 && cutOff(r.Err) },
	},
	pattern.NotPublished: {
		client: "status 503 of the router itself", seen: func(r traffic.Result) bool {
			return r.Status == http.StatusServiceUnavailable && r.Err == "" && r.Header.Get("X-Envoy-Upstream-Service-Time") == "" && r.Header.Get("Server") != "istio-envoy"
		},
	},
}

// cutOff tells whether the error is of a connection that the other side ended: by a FIN, or by a reset.
func cutOff(text string) bool {
	return strings.HasSuffix(text, "EOF") || strings.Contains(text, "connection reset by peer")
}

// how returns the signs of a cause; asking for one that no matcher knows is a mistake of the author.
func how(cause pattern.Cause) refusal {
	signs, known := refusals[cause]
	if !known {
		panic(fmt.Sprintf("%q is no cause of a refusal that matchers can recognise", cause))
	}
	return signs
}

// BeRefused is true of a probe that the client saw refused, in the way that this cause shows; the controls on the same
// path must have been served. End: the client.
func BeRefused(cause pattern.Cause) types.GomegaMatcher {
	signs := how(cause)
	return &flowMatcher{
		statement: fmt.Sprintf("the client is refused (%s): %s", cause, signs.client),
		end:       "client",
		controls:  true,
		judge: func(_ evidence.Flows, flow evidence.Flow) verdict {
			result := flow.Result
			switch {
			case signs.seen(result):
				return holds()
			case result.Status == 0:
				return contradicts(string(pattern.OtherRefusal), "got no answer, but for another reason: %s", result.Err)
			case result.Status < http.StatusBadRequest:
				return contradicts(string(pattern.NotRefused), "was answered with status %d: %s", result.Status, beginning(result.Body))
			default:
				return contradicts(string(pattern.OtherRefusal), "was refused otherwise, with status %d: %s", result.Status, beginning(result.Body))
			}
		},
	}
}

// BeRefusedBy is true of a probe that a proxy of this hop logged exactly once, as refused for this cause, and sent
// nowhere. End: the access log of the hop.
func BeRefusedBy(hop string, cause pattern.Cause) types.GomegaMatcher {
	signs := how(cause)
	if signs.flag == "" {
		panic(fmt.Sprintf("%q leaves no line in the access log of %s", cause, hop))
	}
	return &flowMatcher{
		statement: fmt.Sprintf("%s refused it (%s)", hop, cause),
		end:       hop + " log",
		logs:      []string{hop},
		controls:  true,
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			lines := append(flow.At(hop, false), flow.At(hop, true)...)
			if len(lines) == 0 {
				v := lacks(flows, hop, "has no line in the access log of %s", hop)
				if gap, found := flows.RefusalGaps[hop]; found && signs.connection && v.remedy == "" {
					v.detail, v.remedy = v.detail+": "+gap.Why, gap.Remedy
				}
				return v
			}
			line := lines[0]
			has := line.Format() != nil && line.Format().Has("RESPONSE_CODE_DETAILS")
			switch {
			case len(lines) > 1:
				return contradicts(string(pattern.Repeated), "has %d lines in the access log of %s", len(lines), hop)
			case line.UpstreamHost != "" || line.UpstreamCluster != "" && !line.HasFlag(signs.flag):
				return contradicts(string(pattern.NotRefused), "was sent on by %s to %s", hop, orNone(line.UpstreamCluster))
			case !line.HasFlag(signs.flag) || has && line.Details != signs.details:
				return contradicts(string(pattern.OtherRefusal), "was refused by %s with the flags %q (%s)", hop, strings.Join(line.Flags, ","), line.Details)
			}
			return holds()
		},
	}
}

// NeverReach is true of a probe of which this hop has recorded nothing, neither its sidecars nor its application, while it
// recorded every control. End: the silence of the hop, which only its records of the controls make a witness.
func NeverReach(hop string) types.GomegaMatcher {
	return &flowMatcher{
		statement: hop + " sees nothing of it, and sees the controls",
		end:       hop + " silent",
		controls:  true,
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			// What it did record counts, whatever is missing beside it.
			if seenAt(flow, hop) {
				return contradicts(string(pattern.Reached), "reached %s", hop)
			}
			if gap, found := flows.Gaps[hop]; found {
				return verdict{outcome: evidence.Unknown, cause: string(pattern.EvidenceMissing), detail: "cannot be judged by the silence of " + hop + ": " + gap.Why, remedy: gap.Remedy}
			}
			for _, control := range flows.Controls {
				if !seenAt(control, hop) {
					return lacks(flows, hop, "proves nothing: %s recorded nothing of control %s either", hop, control.ID())
				}
			}
			return holds()
		},
	}
}

// seenAt tells whether a hop has sent the probe on or served it; a line by which it refused it is neither.
func seenAt(flow evidence.Flow, hop string) bool {
	for _, line := range flow.Lines {
		if line.Hop == hop && line.UpstreamHost != "" {
			return true
		}
	}
	return len(flow.RecordsAt(hop)) > 0
}

// failedControl is the first control that was not served, after or before the refused probes.
func failedControl(flows evidence.Flows) (verdict, bool) {
	if len(flows.Controls) == 0 {
		return verdict{outcome: evidence.Unknown, cause: string(pattern.ControlFailed), detail: "there is no control: a dead server would look the same"}, true
	}
	for _, control := range flows.Controls {
		if result := control.Result; result.Status != http.StatusOK || result.Err != "" {
			return verdict{outcome: evidence.Unknown, cause: string(pattern.ControlFailed),
				detail: fmt.Sprintf("the control on the same path was not served either (status %d %s)", result.Status, result.Err),
				remedy: "make what the control asks for work first"}, true
		}
	}
	return verdict{}, false
}
