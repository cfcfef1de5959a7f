package expect

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// BeServed is true of a probe that the path served: for HTTP with status 200 and the text that the request asks for, for a
// database with a reply to every command. End: the client.
func BeServed() types.GomegaMatcher {
	return &flowMatcher{
		statement: "the client is served",
		end:       "client",
		judge: func(_ evidence.Flows, flow evidence.Flow) verdict {
			result := flow.Result
			switch {
			case result.Served():
				return holds()
			case result.Err != "":
				return contradicts(string(pattern.NotAnswered), "got %s", result.Outcome())
			case result.Database == nil && result.Status != http.StatusOK:
				return contradicts(string(pattern.WrongStatus), "got %s: %s", result.Outcome(), beginning(result.Body))
			}
			return contradicts(string(pattern.WrongContent), "got %s without %q", result.Outcome(), result.Probe.Request.Serves)
		},
	}
}

// ConnectOnce is true of a probe for which the application of this hop recorded exactly one connection over which it asked.
// End: the application's own record.
func ConnectOnce(hop string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the application %s asked over one connection", hop),
		end:       hop + " application",
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			switch queries := flow.QueriesFrom(hop); len(queries) {
			case 0:
				return lacks(flows, hop, "has no record of a connection of the application %s", hop)
			case 1:
				return holds()
			default:
				return contradicts(string(pattern.Repeated), "has %d connections of the application %s", len(queries), hop)
			}
		},
	}
}

// CarryInTurn is true of a probe whose connection each of these hops carried exactly once, each from where the hop before it
// had connected: the address pair is the same in both logs, or, where a translation on the way gave it another port, the
// address, the bytes and the time are. Ends: the access logs of all of them.
func CarryInTurn(hops ...string) types.GomegaMatcher {
	return &flowMatcher{
		statement: "it went in turn through " + strings.Join(hops, ", ") + ", each connected to by the one before",
		end:       strings.Join(hops, " = ") + " logs",
		logs:      hops,
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			var before evidence.Line
			for index, hop := range hops {
				lines := connectionsAt(flow, hop)
				switch {
				case len(lines) == 0:
					return missingConnection(flows, flow, hop)
				case len(lines) > 1:
					return contradicts(string(pattern.Repeated), "has %d connections in the access log of %s", len(lines), hop)
				case index > 0 && lines[0].From() != before.UpstreamLocal:
					return contradicts(string(pattern.Bypassed), "came to %s from %s, and %s had connected from %s", hop, lines[0].DownstreamRemote, hops[index-1], before.UpstreamLocal)
				}
				before = lines[0]
			}
			return holds()
		},
	}
}

// missingConnection says what is known of a connection that a hop has no joined line of.
func missingConnection(flows evidence.Flows, flow evidence.Flow, hop string) verdict {
	return translated(flows, flow, hop, lacks(flows, hop, "has no connection in the access log of %s that a hop before it leads to", hop))
}

// translated adds to what is lacking that the hop took a connection at that time which is of no known probe: an address
// translation on the way leaves a line to which no hop before leads.
func translated(flows evidence.Flows, flow evidence.Flow, hop string, v verdict) verdict {
	if v.remedy != "" {
		return v
	}
	for _, line := range flows.Others {
		if line.Hop == hop && flow.Spans(line.Start) {
			v.detail += fmt.Sprintf(", which at that time took one from %s that is of no known probe", line.DownstreamRemote)
			v.remedy = "see whether addresses are translated before " + hop + ": a LoadBalancer Service with externalTrafficPolicy: Local keeps them"
			break
		}
	}
	return v
}

// ComeFrom is true of a probe whose connection this hop took from one of these addresses, which are those of who. End: the
// access log of the hop.
func ComeFrom(hop, who string, addresses []string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("%s saw it come from %s", hop, who),
		end:       hop + " log",
		logs:      []string{hop},
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			lines := connectionsAt(flow, hop)
			if len(lines) == 0 {
				return missingConnection(flows, flow, hop)
			}
			for _, line := range lines {
				if address := hostOf(line.DownstreamRemote); !slices.Contains(addresses, address) {
					return contradicts(string(pattern.WrongPeer), "came to %s from %s, which is not %s (%s)", hop, address, who, strings.Join(addresses, ", "))
				}
			}
			return holds()
		},
	}
}

// AskForName is true of a probe whose TLS handshake asked this hop for the server name, or by whose connection its request
// came; an empty name is that of a connection without one, in plain text. End: the access log of the hop.
func AskForName(hop, name string) types.GomegaMatcher {
	statement := fmt.Sprintf("its TLS handshake asked %s for %s", hop, name)
	if name == "" {
		statement = fmt.Sprintf("it came to %s without a server name", hop)
	}
	return &flowMatcher{
		statement: statement,
		end:       hop + " log",
		logs:      []string{hop},
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			lines := connectionsAt(flow, hop)
			if requests := flow.At(hop, false); slices.ContainsFunc(requests, ofRequest) {
				lines = requests
			}
			if len(lines) == 0 {
				return missingConnection(flows, flow, hop)
			}
			for _, line := range lines {
				if line.Format() != nil && !line.Format().Has("REQUESTED_SERVER_NAME") {
					v := lacks(flows, hop, "has a line in the access log of %s, whose format has no server name", hop)
					v.remedy = "add %REQUESTED_SERVER_NAME% to the format"
					return v
				}
				if line.SNI != name {
					cause := pattern.WrongServerName
					if line.SNI == "" {
						cause = pattern.PlainText
					}
					return contradicts(string(cause), "asked %s for the server name %q", hop, line.SNI)
				}
			}
			return holds()
		},
	}
}

// BeAccepted is true of a probe whose connection the database of this hop recorded exactly once, from where the proxy before
// it had connected. End: the database's own log.
func BeAccepted(hop string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the database %s accepted it once", hop),
		end:       hop + " server",
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			switch accepted := flow.AcceptedAt(hop); len(accepted) {
			case 0:
				return lacks(flows, hop, "has no connection in the log of the database %s", hop)
			case 1:
				return holds()
			default:
				return contradicts(string(pattern.Repeated), "has %d connections in the log of the database %s", len(accepted), hop)
			}
		},
	}
}

// SeeCertificate is true of a probe to whose client the server presented the certificate with this fingerprint (SHA-256 in
// hex): who has its key has ended the TLS. End: the client's handshake.
func SeeCertificate(whose, fingerprint string) types.GomegaMatcher {
	return &flowMatcher{
		statement: "the client sees the certificate of " + whose,
		end:       "client handshake",
		judge: func(_ evidence.Flows, flow evidence.Flow) verdict {
			state := flow.Result.TLS
			switch {
			case state == nil || len(state.Chain) == 0:
				return contradicts(string(pattern.PlainText), "made no TLS handshake: %s", flow.Result.Outcome())
			case state.Chain[0].SHA256 != fingerprint:
				return contradicts(string(pattern.WrongIdentity), "saw the certificate of %s (%s)", state.Chain[0].Subject, strings.Join(state.Chain[0].DNSNames, ", "))
			}
			return holds()
		},
	}
}

// NeverUse is true of a probe during which no proxy of this hop has sent anything to this cluster, for whomever. End: the
// access log of the hop.
func NeverUse(hop, cluster string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("%s sends nothing to %s", hop, cluster),
		end:       hop + " log",
		logs:      []string{hop},
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			if len(flow.At(hop, false))+len(flow.At(hop, true)) == 0 {
				return lacks(flows, hop, "has no line in the access log of %s", hop)
			}
			for _, line := range slices.Concat(flow.Lines, flows.Others) {
				if line.Hop == hop && line.UpstreamCluster == cluster && flow.Spans(line.Start) {
					return contradicts(string(pattern.Bypassed), "was under way when %s sent a connection to %s (%s)", hop, cluster, line.UpstreamHost)
				}
			}
			return holds()
		},
	}
}

// CarryNothing is true of a probe whose connection this hop took, and carried no byte of it to anybody: the client gave up
// before it was through with the TLS handshake. End: the access log of the hop.
func CarryNothing(hop string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("%s carries no byte of it", hop),
		end:       hop + " log",
		logs:      []string{hop},
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			lines := connectionsAt(flow, hop)
			if len(lines) == 0 {
				return missingConnection(flows, flow, hop)
			}
			for _, line := range lines {
				if line.BytesReceived+line.BytesSent > 0 {
					return contradicts(string(pattern.Reached), "had %d bytes carried by %s to %s", line.BytesReceived, hop, orNone(line.UpstreamHost))
				}
			}
			return holds()
		},
	}
}

// BeGivenUpAt is true of a probe during which this hop took a connection from one of these addresses, which are those of who,
// and carried no byte of it. It is for a TLS handshake that the proxy before gave up: its line does not tell from where it had
// connected, so that only its pod's address and the time lead to the connection. End: the access log of the hop.
func BeGivenUpAt(hop, who string, addresses []string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("%s took it from %s, and carried no byte of it", hop, who),
		end:       hop + " log",
		logs:      []string{hop},
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			taken := 0
			for _, line := range flows.Others {
				if line.Hop != hop || !slices.Contains(addresses, hostOf(line.DownstreamRemote)) || !flow.Spans(line.Start) {
					continue
				}
				if taken++; line.BytesReceived+line.BytesSent > 0 {
					return contradicts(string(pattern.Reached), "had %d bytes carried by %s to %s", line.BytesReceived, hop, orNone(line.UpstreamHost))
				}
			}
			if taken == 0 {
				return lacks(flows, hop, "has no connection from %s in the access log of %s at its time", who, hop)
			}
			return holds()
		},
	}
}

// connectionsAt are the lines of connections that a hop has of a probe, on either side.
func connectionsAt(flow evidence.Flow, hop string) []evidence.Line {
	return append(flow.ConnectionsAt(hop, false), flow.ConnectionsAt(hop, true)...)
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
