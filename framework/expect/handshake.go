package expect

import (
	"fmt"
	"slices"

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

// EndHandshake is true of a probe during which the server of this hop took connections from one of these addresses, which are
// those of who, that asked for this name, and every handshake of them was given up. Such a handshake carries no request: only
// its peer's address, its name and its time lead to the probe. End: the server's own record of handshakes.
func EndHandshake(hop, who string, addresses []string, name string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the server %s saw %s give the handshake for %s up", hop, who, name),
		end:       hop + " handshakes",
		controls:  true,
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			found := 0
			for _, h := range flows.Handshakes {
				if h.Hop != hop || h.TLS.ServerName != name || !slices.Contains(addresses, hostOf(h.Peer)) || !flow.Spans(h.Time) {
					continue
				}
				if found++; h.Error == "" {
					return contradicts(string(pattern.NotRefused), "was under way when %s completed a handshake with %s for %s", hop, who, name)
				}
			}
			if found == 0 {
				return lacks(flows, hop, "has no handshake of %s for %s in the record of %s at its time", who, name, hop)
			}
			return holds()
		},
	}
}
