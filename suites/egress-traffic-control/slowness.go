package egresstrafficcontrol

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

const (
	// slownessDelay is that of all plans, gold too: a plan that is quicker at the server would prove nothing. Whoever shares a
	// saturated limit waits for others' turns, with every request and a whole delay at least, so that half of it is the margin,
	// and the median is what it would move; the tail also moves with whatever else the machine does.
	slownessDelay  = 800 * time.Millisecond
	slownessMargin = slownessDelay / 2
	// observed is over how many requests times are compared, and observedRate how many begin in a second: few enough that none
	// of the limits keeps them back.
	observed     = 30
	observedRate = 15
	// saturating is for how long the other plans are saturated: until the last request that is observed has begun.
	saturating = observed*time.Second/observedRate + time.Second/5
)

// saturate is a load that keeps a plan at its limit, and more waiting.
func (p paths) saturate(plan string) traffic.Load {
	users := 2 * limits[silver]
	if plan == bronze {
		users = 3 * limits[bronze]
	}
	return traffic.Load{Request: p.ask(plan), Users: users, Count: 500, For: saturating}
}

// observe is a load of a plan that none of its own limits keeps back.
func (p paths) observe(plan string) traffic.Load {
	return traffic.Load{Request: p.ask(plan), Rate: observedRate, Count: observed}
}

func slownessSpecs(env *pattern.Env, to paths) {
	It("does not slow a plan because of others", env.Claim("TC5"), func(ctx SpecContext) {
		to.behave(ctx, behaviour{DelayMilliseconds: slownessDelay.Milliseconds(), DelayGold: true})
		totals, gauges := to.loadCounters(plans...)
		flows := env.Load(ctx, pattern.LoadMeasure{
			Control: to.ask(gold), Witnesses: everyHop, Totals: totals, Gauges: gauges,
			Steps: [][]traffic.Load{
				{to.observe(gold), to.observe(silver)},
				{to.observe(gold), to.observe(silver), to.saturate(bronze)},
				{to.observe(gold), to.saturate(silver), to.saturate(bronze)},
			},
		})
		of := func(step, load int) evidence.Flows { return flows.Where(pattern.OfLoad(step, load)) }
		env.Finding("gold: idle %s; bronze saturated %s; bronze and silver saturated %s", quantiles(of(0, 0)), quantiles(of(1, 0)), quantiles(of(2, 0)))
		env.Finding("silver: idle %s; bronze saturated %s", quantiles(of(0, 1)), quantiles(of(1, 1)))

		Expect(of(2, 0)).To(NeverOverflow(product, to.cluster(gold)))
		// The others must have been saturated, or nothing is shown.
		Expect(of(1, 2)).To(KeepLimit(rating, product, to.cluster(bronze), to.ceiling(ctx, bronze)))
		Expect(of(2, 2)).To(KeepLimit(rating, product, to.cluster(bronze), to.ceiling(ctx, bronze)))
		Expect(of(2, 1)).To(KeepLimit(rating, product, to.cluster(silver), to.ceiling(ctx, silver)))
		for _, compared := range []struct{ idle, loaded evidence.Flows }{{of(0, 0), of(1, 0)}, {of(0, 0), of(2, 0)}, {of(0, 1), of(1, 1)}} {
			Expect(compared.loaded).To(BeServedThrough(product))
			Expect(compared.loaded).To(NotBeSlowerThan(compared.idle, slownessMargin, 0.5))
		}
	})
}
