package compare

import (
	"math"
	"slices"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Time is a time of a claim on both sides, in seconds.
type Time struct {
	// What is "median latency" or "true after".
	What string `json:"what"`
	// A and B are the middle of what the runs of each side measured.
	A float64 `json:"a"`
	B float64 `json:"b"`
	// Noise is what the two may differ by without a change.
	Noise float64 `json:"noise"`
	Class Class   `json:"class"`
}

// Where the spread from run to run is not known, times are told apart only when one is at least five times the other: on one lab,
// whose two cores were busy with other things, medians of the same claim mostly differed by up to a factor of four from run to run. Where
// there are so many runs on each side that it is known, it says most.
const (
	enoughRuns  = 3
	fewRuns     = 4.0
	severalRuns = 0.1
)

// measured is one kind of time.
type measured struct {
	what string
	// resolution is the least difference that means anything, in seconds.
	resolution float64
	of         func(v1.Claim) (span, bool)
}

// span is what one run measured: a value, and the interval that it lies in.
type span struct{ low, middle, high float64 }

var measurements = []measured{
	{"median latency", 0.005, func(c v1.Claim) (span, bool) {
		if c.MedianLatency == nil {
			return span{}, false
		}
		return span{c.MedianLatency.Low, c.MedianLatency.Seconds, c.MedianLatency.High}, true
	}},
	// Until a control succeeds, it is tried every 50 ms; whether a proxy has just looked at its configuration is chance.
	{"true after", 1, func(c v1.Claim) (span, bool) {
		if c.TrueAfterSeconds == nil {
			return span{}, false
		}
		return span{*c.TrueAfterSeconds, *c.TrueAfterSeconds, *c.TrueAfterSeconds}, true
	}},
}

// compareTimes compares what the runs of both sides measured of a claim.
func compareTimes(a, b []v1.Claim) []Time {
	var times []Time
	for _, m := range measurements {
		in, out := spans(a, m), spans(b, m)
		if len(in) == 0 || len(out) == 0 {
			continue
		}
		times = append(times, compareSpans(m, in, out))
	}
	return times
}

func spans(claims []v1.Claim, m measured) []span {
	var found []span
	for _, claim := range claims {
		if s, known := m.of(claim); known {
			found = append(found, s)
		}
	}
	return found
}

// compareSpans calls a side slower when all that it measured lies above all of the other side, by more than the noise: the
// wider of the two spreads, a share of the faster side that is large while the spread from run to run is unknown, or the
// resolution, whichever is most.
func compareSpans(m measured, a, b []span) Time {
	in, out := together(a), together(b)
	share := fewRuns
	if min(len(a), len(b)) >= enoughRuns {
		share = severalRuns
	}
	t := Time{What: m.what, A: in.middle, B: out.middle, Class: Unchanged}
	t.Noise = slices.Max([]float64{in.high - in.low, out.high - out.low, share * math.Min(in.middle, out.middle), m.resolution})
	switch {
	case out.middle-in.middle > t.Noise && out.low > in.high:
		t.Class = Slower
	case in.middle-out.middle > t.Noise && in.low > out.high:
		t.Class = Faster
	}
	return t
}

// together is what several runs have measured: the median of their values, and the extremes of their intervals.
func together(runs []span) span {
	var middles []float64
	all := span{low: math.Inf(1), high: math.Inf(-1)}
	for _, r := range runs {
		middles = append(middles, r.middle)
		all.low, all.high = math.Min(all.low, r.low), math.Max(all.high, r.high)
	}
	slices.Sort(middles)
	all.middle = (middles[(len(middles)-1)/2] + middles[len(middles)/2]) / 2
	return all
}

// classOfTimes is slower when any time is, and faster when one is and none is slower.
func classOfTimes(times []Time) Class {
	for _, wanted := range []Class{Slower, Faster} {
		if slices.ContainsFunc(times, func(t Time) bool { return t.Class == wanted }) {
			return wanted
		}
	}
	return Unchanged
}
