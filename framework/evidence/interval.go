package evidence

import (
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// intervalErrors is how likely one end of an interval may miss its quantile.
const intervalErrors = 0.005

// Interval is where a quantile lies, as sure as intervalErrors says, whatever the distribution: between two of the sample's
// own values, chosen by the binomial distribution of how many lie below the quantile. known is false when the sample is too
// small for an end.
func Interval(sample []time.Duration, quantile float64) (low, high time.Duration, known bool) {
	sorted := slices.Clone(sample)
	slices.Sort(sorted)
	below := distuv.Binomial{N: float64(len(sorted)), P: quantile}
	first, last := -1, len(sorted)
	for rank := range sorted {
		// The value of this rank lies above the quantile when at most rank values lie below it.
		if below.CDF(float64(rank)) <= intervalErrors {
			first = rank
		}
		// And below it when more than rank values do.
		if last == len(sorted) && 1-below.CDF(float64(rank)) <= intervalErrors {
			last = rank
		}
	}
	if first < 0 || last >= len(sorted) {
		return 0, 0, false
	}
	return sorted[first], sorted[last], true
}
