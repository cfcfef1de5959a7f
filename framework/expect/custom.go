package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// Each is true of a probe about which find returns no problem; a problem completes the sentence "probe 3 of 20 ...". It is
// for what only one pattern knows. statement says what must be true of every probe, end names the witness.
func Each(statement, end string, cause pattern.Cause, find func(evidence.Flow) (problem string)) types.GomegaMatcher {
	return &flowMatcher{
		statement: statement, end: end,
		judge: func(_ evidence.Flows, flow evidence.Flow) verdict {
			if problem := find(flow); problem != "" {
				return contradicts(string(cause), "%s", problem)
			}
			return holds()
		},
	}
}

// SpreadOver is true when every probe is of one of these kinds, and every kind occurs. statement says so in words, end
// names the witness that of tells the kind from.
func SpreadOver(statement, end string, of func(evidence.Flow) string, kinds ...string) types.GomegaMatcher {
	return &flowMatcher{
		statement: statement, end: end,
		judge: func(_ evidence.Flows, flow evidence.Flow) verdict {
			if kind := of(flow); !slices.Contains(kinds, kind) {
				return contradicts(string(pattern.NotSpread), "is %s, which is none of %s", kind, strings.Join(kinds, ", "))
			}
			return holds()
		},
		whole: func(flows evidence.Flows) verdict {
			count := map[string]int{}
			for _, flow := range flows.List {
				count[of(flow)]++
			}
			var told []string
			for _, kind := range kinds {
				if count[kind] == 0 {
					return contradicts(string(pattern.NotSpread), "none of %d probes is %s", len(flows.List), kind)
				}
				told = append(told, fmt.Sprintf("%d %s", count[kind], kind))
			}
			return verdict{outcome: evidence.True, detail: strings.Join(told, ", ")}
		},
	}
}

// ComeUnidentified is true of a probe that the application of this hop got without any client certificate. End: the
// server's own record.
func ComeUnidentified(hop string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("it came to %s without a certificate", hop),
		end:       "peer certificate",
		judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
			records := flow.RecordsAt(hop)
			if len(records) == 0 {
				return lacks(flows, hop, "has no record of the application %s", hop)
			}
			for _, r := range records {
				if peers := r.Peers(); len(peers) > 0 {
					return contradicts(string(pattern.WrongIdentity), "came to %s from %s", hop, sorted(peers))
				}
			}
			return holds()
		},
	}
}
