package expect

import (
	"fmt"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// PassThrough is true of a probe that the proxy of this hop logged exactly once, as sent on to this cluster. End: the
// access log of the hop. A probe without a line there lacks evidence: whether it came another way, ComeAs tells.
func PassThrough(hop, cluster string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("%s sent it on, once, to %s", hop, cluster),
		end:       hop + " log",
		logs:      []string{hop},
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			lines := flow.At(hop, false)
			switch {
			case len(lines) == 0:
				return translated(flows, flow, hop, lacks(flows, hop, "has no line in the access log of %s", hop))
			case len(lines) > 1:
				return contradicts(string(pattern.Repeated), "has %d lines in the access log of %s", len(lines), hop)
			case lines[0].UpstreamCluster != cluster:
				return contradicts(string(pattern.WrongCluster), "was sent by %s to %s", hop, orNone(lines[0].UpstreamCluster))
			}
			return holds()
		},
	}
}

// ArriveAt is true of a probe that the hop before sent to one of this hop's pods, and that the sidecar of that very pod
// logged exactly once as inbound, under the request ID that the hop before had given it. Ends: the access logs of both.
func ArriveAt(hop, before string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the sidecar of %s took it once, as %s sent it", hop, before),
		end:       hop + " sidecar log",
		logs:      []string{before, hop},
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			sent, taken := flow.At(before, false), flow.At(hop, true)
			switch {
			case len(sent) == 0:
				return lacks(flows, before, "has no line in the access log of %s", before)
			case len(taken) == 0:
				return lacks(flows, hop, "has no inbound line in the access log of %s", hop)
			case len(taken) > 1:
				return contradicts(string(pattern.Repeated), "has %d inbound lines in the access log of %s", len(taken), hop)
			case sent[0].RequestID != taken[0].RequestID:
				return contradicts(string(pattern.Bypassed), "arrived at %s with the request ID %s, and %s had given it %s", hop, taken[0].RequestID, before, sent[0].RequestID)
			case sent[0].UpstreamHost != taken[0].DownstreamLocal:
				return contradicts(string(pattern.WrongPeer), "was sent by %s to %s and taken at %s", before, sent[0].UpstreamHost, taken[0].DownstreamLocal)
			}
			return holds()
		},
	}
}

// Serve is true of a probe that the application of this hop recorded exactly once, in the pod whose sidecar logged it.
// End: the server's own record.
func Serve(hop string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the application %s served it once", hop),
		end:       hop + " server",
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			records, taken := flow.RecordsAt(hop), flow.At(hop, true)
			switch {
			case len(records) == 0:
				return lacks(flows, hop, "has no record of the application %s", hop)
			case len(records) > 1:
				return contradicts(string(pattern.Repeated), "was served %d times by %s", len(records), hop)
			case len(taken) > 0 && taken[0].Pod != records[0].LogPod:
				return contradicts(string(pattern.Bypassed), "was served in pod %s, and taken by the sidecar of %s", records[0].LogPod, taken[0].Pod)
			}
			return holds()
		},
	}
}

// ComeAs is true of a probe that the application of this hop got with a client certificate of exactly this identity, as
// the sidecar that ended the mutual TLS wrote it into X-Forwarded-Client-Cert: one element, so one peer. A client cannot
// set it, because the sidecar replaces what an outside peer sends. End: the server's own record.
func ComeAs(hop, identity string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("it came to %s from %s", hop, identity),
		end:       "peer certificate",
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			records := flow.RecordsAt(hop)
			if len(records) == 0 {
				return lacks(flows, hop, "has no record of the application %s", hop)
			}
			for _, r := range records {
				peers := r.Peers()
				switch {
				case len(peers) == 0:
					return contradicts(string(pattern.WrongIdentity), "came to %s without a client certificate", hop)
				case len(peers) > 1 || peers[0] != identity:
					return contradicts(string(pattern.WrongIdentity), "came to %s from %s", hop, sorted(peers))
				}
			}
			return holds()
		},
	}
}

func orNone(text string) string {
	if text == "" {
		return "no cluster"
	}
	return text
}
