package egresstrafficcontrol

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
)

// probes is over how many probes of each plan a claim is judged that needs no load.
const probes = 20

// brief is the delay where only the way of a request is judged.
const brief = 10 * time.Millisecond

func specs(env *pattern.Env) {
	to := paths{env}
	planSpecs(env, to)
	rampSpecs(env, to)
	siegeSpecs(env, to)
	slownessSpecs(env, to)
	ejectionSpecs(env, to)
	changeSpecs(env, to)
}

func planSpecs(env *pattern.Env, to paths) {
	It("sends each plan to its cluster", env.Claim("TC1"), func(ctx SpecContext) {
		to.behave(ctx, slowly(brief))
		for _, plan := range []string{gold, silver, bronze} {
			measure := pattern.Measure{Request: to.ask(plan), Count: probes, Witnesses: everyHop, Counters: []evidence.Counter{to.requests(plan)}}
			for _, other := range []string{gold, silver, bronze} {
				if other != plan {
					measure.Totals = append(measure.Totals, to.requests(other))
				}
			}
			flows := env.Probe(ctx, measure)

			Expect(flows).To(BeServedThrough(product))
			Expect(flows).To(PassThrough(product, to.cluster(plan)))
			Expect(flows).To(Each("rating-service gets the plan as it was sent", "rating-service record", pattern.WrongContent, func(flow evidence.Flow) string {
				return otherPlan(flow, plan)
			}))
			Expect(flows).To(BeCounted(to.requests(plan)))
			for _, total := range measure.Totals {
				Expect(flows).To(StayStill(total))
			}
		}
	})

	It("takes everything else for bronze", env.Claim("TC2"), func(ctx SpecContext) {
		to.behave(ctx, slowly(longer))
		for _, plan := range []string{"", "platinum", "Gold", bronze} {
			flows := env.Probe(ctx, pattern.Measure{Request: to.ask(plan), Count: otherwise, Witnesses: everyHop})

			Expect(flows).To(BeServedThrough(product))
			Expect(flows).To(PassThrough(product, to.cluster(bronze)))
			Expect(flows).To(Each("rating-service delays it", "rating-service record", pattern.WrongContent, func(flow evidence.Flow) string {
				if problem := otherPlan(flow, plan); problem != "" {
					return problem
				}
				if took := flow.RecordsAt(rating)[0].Milliseconds; took < float64(longer.Milliseconds()) {
					return fmt.Sprintf("took rating-service %.0f ms only", took)
				}
				return ""
			}))
		}
		flows := env.Probe(ctx, pattern.Measure{Request: to.ask(gold), Count: otherwise, Witnesses: everyHop})
		Expect(flows).To(PassThrough(product, to.cluster(gold)))
		Expect(flows).To(Each("rating-service does not delay gold", "rating-service record", pattern.WrongContent, func(flow evidence.Flow) string {
			if problem := otherPlan(flow, gold); problem != "" {
				return problem
			}
			if took := flow.RecordsAt(rating)[0].Milliseconds; took >= float64(longer.Milliseconds()) {
				return fmt.Sprintf("took rating-service %.0f ms", took)
			}
			return ""
		}))
	})
}

// longer is the delay where it is judged whether there is one, otherwise the number of probes of each kind.
const (
	longer    = 50 * time.Millisecond
	otherwise = 3
)

// otherPlan is what is wrong with the plan that rating-service got.
func otherPlan(flow evidence.Flow, plan string) string {
	records := flow.RecordsAt(rating)
	switch {
	case len(records) == 0:
		return "is not recorded by rating-service"
	case len(records) > 1:
		return fmt.Sprintf("is recorded %d times by rating-service", len(records))
	case records[0].Load == nil || records[0].Load.Plan != plan:
		return fmt.Sprintf("came to rating-service with the plan %q", records[0].Header["Plan-Type"])
	}
	return ""
}
