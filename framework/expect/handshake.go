package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// TakeTLS is true of a probe that the application of this hop got over TLS of its own whose handshake asked for this name.
// End: the server's own record.
func TakeTLS(hop, name string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the server %s took it over TLS that asked for %s", hop, name),
		end:       hop + " server",
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			records := flow.RecordsAt(hop)
			if len(records) == 0 {
				return lacks(flows, hop, "has no record of the application %s", hop)
			}
			for _, r := range records {
				switch {
				case r.TLS == nil:
					return contradicts(string(pattern.PlainText), "came to %s in plain text", hop)
				case r.TLS.ServerName != name:
					return contradicts(string(pattern.WrongServerName), "asked %s for the server name %q", hop, r.TLS.ServerName)
				}
			}
			return holds()
		},
	}
}

// BeFrom is true of a probe that the application of this hop got from one of these addresses, which are those of who: its
// peer's, or, behind a router that ends the TLS, the one that the router names last in X-Forwarded-For. End: the server's own
// record.
func BeFrom(hop, who string, addresses []string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the server %s saw it come from %s", hop, who),
		end:       hop + " server",
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			records := flow.RecordsAt(hop)
			if len(records) == 0 {
				return lacks(flows, hop, "has no record of the application %s", hop)
			}
			for _, r := range records {
				if from := r.Source(); !slices.Contains(addresses, from) {
					return contradicts(string(pattern.WrongPeer), "came to %s from %s, which is not %s (%v)", hop, from, who, addresses)
				}
			}
			return holds()
		},
	}
}

// Handshakes are those that the server of a hop has, for one name, with who comes from these addresses.
type Handshakes struct {
	Hop, Name string
	// Who has the addresses, in words.
	Who       string
	Addresses []string
}

// during are those while the probe was under way: a handshake carries no request, and only its peer's address, its name and its
// time lead to the probe.
func (h Handshakes) during(flows evidence.Flows, flow evidence.Flow) []evidence.Handshake {
	var found []evidence.Handshake
	for _, one := range flows.Handshakes {
		if one.Hop == h.Hop && one.TLS.ServerName == h.Name && slices.Contains(h.Addresses, hostOf(one.Peer)) && flow.Spans(one.Time) {
			found = append(found, one)
		}
	}
	return found
}

// missing is what it means that there is none.
func (h Handshakes) missing(flows evidence.Flows) verdict {
	return lacks(flows, h.Hop, "has no handshake of %s for %s in the record of %s at its time", h.Who, h.Name, h.Hop)
}

// EndHandshake is true of a probe during which there were such handshakes, and every one of them was given up. End: the server's
// own record of handshakes.
func EndHandshake(handshakes Handshakes) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the server %s saw %s give the handshake for %s up", handshakes.Hop, handshakes.Who, handshakes.Name),
		end:       handshakes.Hop + " handshakes",
		controls:  true,
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			found := handshakes.during(flows, flow)
			if len(found) == 0 {
				return handshakes.missing(flows)
			}
			if slices.ContainsFunc(found, func(h evidence.Handshake) bool { return h.Error == "" }) {
				return contradicts(string(pattern.NotRefused), "was under way when %s completed a handshake with %s for %s", handshakes.Hop, handshakes.Who, handshakes.Name)
			}
			return holds()
		},
	}
}

// RefuseCertificate is true of a probe that a proxy of this hop logged exactly once, as refused because of the certificate that
// the server presented in these handshakes. Where the proxy logs that it refused it, and not why, as Envoy 1.36 does, the alert
// that it sent to the server tells the cause. Ends: the access log of the hop, and there the server's own record of handshakes.
func RefuseCertificate(hop string, cause pattern.Cause, handshakes Handshakes) types.GomegaMatcher {
	signs := how(cause)
	if len(signs.failures) == 0 {
		panic(fmt.Sprintf("%q is no cause for which a proxy refuses a certificate", cause))
	}
	return &flowMatcher{
		statement: fmt.Sprintf("%s refused the certificate for %s (%s)", hop, handshakes.Name, cause),
		end:       hop + " log",
		logs:      []string{hop},
		controls:  true,
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			return refusedBy(flows, flow, hop, signs, func(line evidence.Line) verdict {
				found := handshakes.during(flows, flow)
				if len(found) == 0 {
					return handshakes.missing(flows)
				}
				for _, h := range found {
					switch {
					case !strings.HasPrefix(h.Error, remoteAlert):
						return untold(flows, hop, line)
					case h.Error != remoteAlert+signs.alert:
						return contradicts(string(pattern.OtherRefusal), "was refused by %s with the alert %q", hop, strings.TrimPrefix(h.Error, remoteAlert))
					}
				}
				return holds()
			})
		},
	}
}

// remoteAlert is how Go's TLS begins the text of an alert that the other side sent.
const remoteAlert = "remote error: tls: "

// bare tells whether a proxy's reason says that it refused a certificate, and not why.
func bare(reason string) bool {
	_, detail, refused := strings.Cut(strings.ReplaceAll(reason, " ", "_"), verification)
	return refused && strings.Trim(strings.TrimSuffix(detail, "TLS_error_end"), ":") == ""
}

// untold is what it means that nobody says why a proxy refused a certificate.
func untold(flows evidence.Flows, hop string, line evidence.Line) verdict {
	v := lacks(flows, hop, "was refused by %s, whose log says that it refused a certificate, and not why (%s)", hop, line.UpstreamFailure)
	v.remedy = "run it with an Envoy that logs why it refuses a certificate, such as 1.40"
	return v
}
