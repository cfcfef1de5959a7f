package expect

import (
	"fmt"
	"net/http"
	"slices"
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
	// flag and details are what the refusing proxy logs; details is compared where the log's format has it. Without a flag no
	// proxy refuses for this cause.
	flag, details string
	// cluster is where the proxy sends what it refuses.
	cluster string
	// failures are parts of the reason why its own handshake with a server failed, of which one must be there; others are parts
	// of the reasons of other causes.
	failures, others []string
	// alert is how the server of that handshake is told of it, in the words of its TLS library; empty where no alert tells it.
	alert string
	// connection says that a connection was refused, before there was any request on it; tried, that the proxy had already
	// chosen a server. requests says that the proxy refuses requests too, which it had taken before it found that it cannot send
	// them on.
	connection, tried, requests bool
}

// names tells whether the reason why a proxy's handshake with a server failed is of this cause. Proxies write it with its
// spaces, or with "_" in their place.
func (r refusal) names(reason string) bool {
	reason = strings.ReplaceAll(reason, " ", "_")
	said := func(part string) bool { return strings.Contains(reason, part) }
	return (len(r.failures) == 0 || slices.ContainsFunc(r.failures, said)) && !slices.ContainsFunc(r.others, said)
}

// closed is how a client sees that a proxy refuses a connection that it had to accept first.
const closed = "the connection closed without an answer"

// misnamed is what proxies say, the older and the newer ones, of a certificate for another name; verification what they say of
// every certificate that they refuse.
var misnamed = []string{"verify_SAN_list", "SAN_matcher"}

const verification = "CERTIFICATE_VERIFY_FAILED"

// expired is what they say of one that is no longer valid.
const expired = "certificate_has_expired"

// refusals are those that matchers can tell apart.
var refusals = map[pattern.Cause]refusal{
	pattern.RouteNotFound: {
		client: "status 404 without a body", flag: "NR", details: "route_not_found",
		seen: func(r traffic.Result) bool { return r.Status == http.StatusNotFound && r.Body == "" && r.Err == "" },
	},
	pattern.NoFilterChain: {client: closed, seen: cutOff, flag: "NR", details: "filter_chain_not_found", connection: true},
	pattern.BlackHole:     {client: closed, seen: cutOff, flag: "UH", cluster: "BlackHoleCluster", connection: true},
	pattern.NoHealthyUpstream: {
		client: closed + ", or status 503 that says so", flag: "UH", connection: true, requests: true,
		seen: func(r traffic.Result) bool {
			return cutOff(r) || r.Err == "" && r.Status == http.StatusServiceUnavailable && r.Body == "no healthy upstream"
		},
	},
	pattern.ExpiredCertificate: {
		client: "the server's certificate is no longer valid", flag: "UF", alert: "expired certificate", failures: []string{expired}, connection: true, tried: true, requests: true,
		seen: func(r traffic.Result) bool { return strings.Contains(r.Err, "certificate has expired") },
	},
	// In TLS 1.3 the client has ended its handshake before the server refuses it: what it writes next may meet the closed
	// connection before it reads why, and only the server's counter tells the cause.
	pattern.NoClientCertificate: {
		client: "the server demands a certificate that the client has not, or closes the connection", connection: true,
		seen: func(r traffic.Result) bool { return strings.Contains(r.Err, "tls: certificate required") || cutOff(r) },
	},
	pattern.UnknownAuthority: {
		client: "the server's certificate is not of a trusted authority", flag: "UF", alert: "unknown certificate authority", connection: true, tried: true, requests: true,
		failures: []string{verification}, others: append([]string{expired}, misnamed...),
		seen: func(r traffic.Result) bool { return strings.Contains(r.Err, "certificate signed by unknown authority") },
	},
	pattern.WrongCertificateName: {
		client: "the server's certificate is for another name", flag: "UF", alert: "unknown certificate", failures: misnamed, connection: true, tried: true, requests: true,
		seen: func(r traffic.Result) bool {
			return strings.Contains(r.Err, "certificate is valid for ") || strings.Contains(r.Err, "certificate is not valid for any names")
		},
	},
	pattern.NotLoggedIn: {
		client: "the database does not know the user by this password",
		seen:   func(r traffic.Result) bool { return strings.Contains(r.Err, "AuthenticationFailed") },
	},
	pattern.Unreachable: {
		client: "nothing takes the connection", flag: "UF", others: []string{"TLS_error"}, connection: true, tried: true, requests: true,
		seen: func(r traffic.Result) bool {
			return strings.Contains(r.Err, "connection refused") || strings.Contains(r.Err, "no whole answer within") || strings.Contains(r.Err, "no route to host")
		},
	},
	pattern.Ejected: {
		client: "status 503 of a proxy on the way", flag: "UH", details: "no_healthy_upstream",
		seen: func(r traffic.Result) bool {
			return r.Status == http.StatusServiceUnavailable && r.Err == "" && strings.Contains(r.Body, "no healthy upstream")
		},
	},
	pattern.NotPublished: {
		client: "status 503 of the router itself", seen: func(r traffic.Result) bool {
			return r.Status == http.StatusServiceUnavailable && r.Err == "" && r.Header.Get("X-Envoy-Upstream-Service-Time") == "" && r.Header.Get("Server") != "istio-envoy"
		},
	},
}

// cutOff tells whether the result is of a connection that the other side ended: by a FIN, or by a reset.
func cutOff(result traffic.Result) bool {
	text := strings.TrimRight(result.Err, ")] }")
	return result.Status == 0 && (strings.HasSuffix(text, "EOF") || strings.Contains(text, "connection reset by peer") || strings.Contains(text, "broken pipe"))
}

// explains tells whether a line is of a refusal for this cause.
func (r refusal) explains(line evidence.Line) bool {
	hasDetails := line.Format() != nil && line.Format().Has("RESPONSE_CODE_DETAILS")
	switch {
	case !line.HasFlag(r.flag), r.details != "" && hasDetails && line.Details != r.details:
		return false
	case r.cluster != "" && line.UpstreamCluster != r.cluster, r.cluster == "" && line.UpstreamCluster == refusals[pattern.BlackHole].cluster:
		return false
	}
	return r.names(line.UpstreamFailure)
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
			case result.Served():
				return contradicts(string(pattern.NotRefused), "was answered with %s: %s", result.Outcome(), beginning(result.Body))
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
			return refusedBy(flows, flow, hop, signs, func(line evidence.Line) verdict {
				if signs.explains(line) { // which a check by another authority alone makes of it
					return holds()
				}
				return untold(flows, hop, line)
			})
		},
	}
}

// refusedBy is what the access log of a hop says of a probe that was refused; why judges a line that says of a certificate only
// that it was refused.
func refusedBy(flows evidence.Flows, flow evidence.Flow, hop string, signs refusal, why func(evidence.Line) verdict) verdict {
	lines := flow.At(hop, false)
	asked := len(lines) > 0
	for _, line := range flow.At(hop, true) {
		if !asked || line.UpstreamHost == "" { // else its application took the request, and asked for what was refused
			lines = append(lines, line)
		}
	}
	taken := signs.requests && slices.ContainsFunc(lines, ofRequest)
	if signs.connection && !taken {
		lines = connectionsAt(flow, hop)
	}
	if len(lines) == 0 {
		v := lacks(flows, hop, "has no line in the access log of %s", hop)
		if gap, found := flows.RefusalGaps[hop]; found && signs.connection && v.remedy == "" {
			v.detail, v.remedy = v.detail+": "+gap.Why, gap.Remedy
		}
		return translated(flows, flow, hop, v)
	}
	line := lines[0]
	switch {
	case len(lines) > 1:
		return contradicts(string(pattern.Repeated), "has %d lines in the access log of %s", len(lines), hop)
	case line.UpstreamHost != "" && !signs.tried || line.UpstreamCluster != "" && !line.HasFlag(signs.flag):
		return contradicts(string(pattern.NotRefused), "was sent on by %s to %s", hop, orNone(line.UpstreamCluster))
	case signs.alert != "" && line.HasFlag(signs.flag) && bare(line.UpstreamFailure):
		return why(line)
	case !signs.explains(line):
		return contradicts(string(pattern.OtherRefusal), "was refused by %s with the flags %q (%s) for %s", hop, strings.Join(line.Flags, ","), strings.Join(reasonsOf(line), ", "), orNone(line.UpstreamCluster))
	}
	return holds()
}

// ofRequest tells whether a line is of a request rather than of a connection.
func ofRequest(line evidence.Line) bool {
	return line.Method != "" || line.Path != "" || line.RequestID != ""
}

// reasonsOf is all that a line says of why it was refused.
func reasonsOf(line evidence.Line) []string {
	var reasons []string
	for _, reason := range []string{line.Details, line.TerminationDetails, line.UpstreamFailure} {
		if reason != "" {
			reasons = append(reasons, reason)
		}
	}
	return reasons
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
			for _, line := range flows.Others {
				if line.Hop == hop && line.UpstreamHost != "" && flow.Spans(line.Start) {
					return lacks(flows, hop, "cannot be judged by the silence of %s, which at that time carried a connection from %s that is of no known probe", hop, line.DownstreamRemote)
				}
			}
			for _, control := range flows.Controls {
				if !seenAt(control, hop) {
					return translated(flows, control, hop, lacks(flows, hop, "proves nothing: %s recorded nothing of control %s either", hop, control.ID()))
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
	return len(flow.RecordsAt(hop)) > 0 || len(flow.AcceptedAt(hop)) > 0
}

// failedControls are those that were not served, after or before the refused probes, and what that makes of the judgement.
func failedControls(flows evidence.Flows) (failed []evidence.Flow, v verdict) {
	if len(flows.Controls) == 0 {
		return nil, verdict{outcome: evidence.Unknown, cause: string(pattern.ControlFailed), detail: "there is no control: a dead server would look the same"}
	}
	for _, control := range flows.Controls {
		if !control.Result.Served() {
			failed = append(failed, control)
		}
	}
	if len(failed) == 0 {
		return nil, holds()
	}
	return failed, verdict{
		outcome: evidence.Unknown, cause: string(pattern.ControlFailed), remedy: "make what the control asks for work first",
		detail: fmt.Sprintf("the control on the same path was not served either (%d of %d: %s)", len(failed), len(flows.Controls), failed[0].Result.Outcome()),
	}
}
