package expect

import (
	"fmt"
	"slices"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// NotBeSlowerThan is true when the quantiles of the probes' times at the client are less than margin above those of another
// sample, by an equivalence test that knows no distribution: the interval in which each quantile lies is taken from the sample
// itself, so that what it spreads widens it. The whole interval of the difference below margin is true, the whole above is
// false, and a margin inside it cannot be told. A test that asks for any difference at all, such as Mann and Whitney's, would
// find that a busier processor takes microseconds more, of which no limit speaks. End: the client.
func NotBeSlowerThan(idle evidence.Flows, margin time.Duration, quantiles ...float64) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("it takes less than %d ms longer than when nothing else is under way", margin.Milliseconds()),
		end:       "client",
		judge: func(_ evidence.Flows, flow evidence.Flow) verdict {
			if !flow.Result.Served() {
				return contradicts(string(pattern.NotAnswered), "was not served: %s", flow.Result.Outcome())
			}
			return holds()
		},
		whole: func(flows evidence.Flows) verdict {
			var told []string
			for _, quantile := range quantiles {
				low, high, known := evidence.Interval(durations(idle), quantile)
				slowLow, slowHigh, slowKnown := evidence.Interval(durations(flows), quantile)
				shift := fmt.Sprintf("P%.0f %+d to %+d ms", 100*quantile, (slowLow - high).Milliseconds(), (slowHigh - low).Milliseconds())
				switch {
				case !known || !slowKnown:
					return verdict{outcome: evidence.Unknown, cause: string(pattern.Undecidable), remedy: "send more of them",
						detail: fmt.Sprintf("%d and %d probes are too few to know the quantile %g", len(idle.List), len(flows.List), quantile)}
				case slowLow-high >= margin:
					return contradicts(string(pattern.Slowed), "%s, and less than %d ms may be", shift, margin.Milliseconds())
				case slowHigh-low >= margin:
					return verdict{outcome: evidence.Unknown, cause: string(pattern.Undecidable), remedy: "run it on a machine that is less busy",
						detail: fmt.Sprintf("%s: whether it is less than %d ms cannot be told", shift, margin.Milliseconds())}
				}
				told = append(told, shift)
			}
			return verdict{outcome: evidence.True, detail: joined(told)}
		},
	}
}

// Quantile is the value below which this share of the probes' times at the client lies.
func Quantile(flows evidence.Flows, quantile float64) time.Duration {
	took := durations(flows)
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(quantile*float64(len(took))))]
}

func durations(flows evidence.Flows) []time.Duration {
	var took []time.Duration
	for _, flow := range flows.List {
		took = append(took, flow.Result.Duration)
	}
	return took
}
