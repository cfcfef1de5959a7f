package egresstrafficcontrol

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// rampDelay is that of all plans while the ramp goes on: long enough that what is sent together is in flight together.
const rampDelay = 250 * time.Millisecond

// rampSteps are the users of each plan, step by step, up to three times silver's limit and six times bronze's; rounds is how
// many requests each of silver's and gold's users sends.
var rampSteps = []map[string]int{
	{silver: 10, gold: 10, bronze: 1},
	{silver: 20, gold: 20, bronze: 2},
	{silver: 40, gold: 40, bronze: 4},
	{silver: 60, gold: 60, bronze: 6},
}

const rounds = 2

// beyond is how many in flight at once show that there is no limit: more than silver's with any leeway that these checks meet.
const beyond = 25

// plans are all of them, in the order of the loads of a step.
var plans = []string{gold, silver, bronze}

// ramp is a load on all plans at once, past every limit. It is sent once, and judged by several claims.
type ramp struct {
	paths
	flows evidence.Flows
	known bool
}

// of returns the ramp's flows of one plan, to be judged by the current check.
func (r *ramp) of(flows evidence.Flows, plan string) evidence.Flows {
	return flows.Where(ofPlan(plan))
}

// measure sends the ramp unless another check has.
func (r *ramp) measure(ctx context.Context) evidence.Flows {
	GinkgoHelper()
	if r.known {
		return r.env.Again(r.flows)
	}
	r.behave(ctx, behaviour{DelayMilliseconds: rampDelay.Milliseconds(), DelayGold: true})
	totals, gauges := r.loadCounters(plans...)
	measure := pattern.LoadMeasure{Control: r.ask(gold), Witnesses: everyHop, Totals: totals, Gauges: gauges}
	for _, users := range rampSteps {
		var step []traffic.Load
		for _, plan := range plans {
			count := users[plan] * rounds
			if plan == bronze {
				count = max(users[plan], rounds) // they go one by one
			}
			step = append(step, traffic.Load{Request: r.ask(plan), Users: users[plan], Count: count})
		}
		measure.Steps = append(measure.Steps, step)
	}
	r.flows, r.known = r.env.Load(ctx, measure), true
	return r.flows
}

func rampSpecs(env *pattern.Env, to paths) {
	ramp := &ramp{paths: to}

	It("keeps silver's limit", env.Claim("TC3"), func(ctx SpecContext) {
		flows := ramp.measure(ctx)
		for _, plan := range plans {
			to.measured(to.ceiling(ctx, plan), ramp.of(flows, plan), rampDelay)
		}

		limited := to.ceiling(ctx, silver)
		Expect(ramp.of(flows, silver)).To(KeepLimit(rating, product, to.cluster(silver), limited))
		Expect(ramp.of(flows, silver)).To(OverflowAt(product, to.cluster(silver), limited))
		Expect(ramp.of(flows, gold)).To(HaveNoLimit(rating, beyond))
		Expect(ramp.of(flows, gold)).To(NeverOverflow(product, to.cluster(gold)))
	})

	It("queues what is beyond the limit", env.Claim("TC6"), func(ctx SpecContext) {
		flows := ramp.measure(ctx)
		for _, plan := range []string{silver, bronze} {
			Expect(ramp.of(flows, plan)).To(BeServedThrough(product))
			Expect(ramp.of(flows, plan)).To(QueueAt(product, rating, rampDelay/2))
			Expect(ramp.of(flows, plan)).To(StayStill(to.pending(plan)))
		}
	})

	It("uses a connection of silver and bronze once", env.Claim("TC7"), func(ctx SpecContext) {
		flows := ramp.measure(ctx)
		for _, plan := range []string{silver, bronze} {
			Expect(ramp.of(flows, plan)).To(HaveOwnConnections(product, "product sidecar log", ConnectionOf(product)))
			Expect(ramp.of(flows, plan)).To(CountConnections(product, to.cluster(plan), false))
			Expect(ramp.of(flows, plan)).To(HaveOwnConnections(rating, "rating-service record", TakenBy(rating)))
		}
		Expect(ramp.of(flows, gold)).To(ShareConnections(product, "product sidecar log", ConnectionOf(product)))
		Expect(ramp.of(flows, gold)).To(CountConnections(product, to.cluster(gold), true))
		Expect(ramp.of(flows, gold)).To(ShareConnections(rating, "rating-service record", TakenBy(rating)))
	})
}
