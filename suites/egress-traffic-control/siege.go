package egresstrafficcontrol

import (
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// The siege profile: the runs of siege that the source's README names, with what it says of them at a delay of 5 s. Here the
// delay is the parameter rating_delay, and a run's time is in delays.
const (
	// siegeAlone is for how many delays one user goes on: the source's 15 s.
	siegeAlone = 3
	// siegeBronze, siegeSilver and siegeGold are how many users send one request each.
	siegeBronze, siegeSilver, siegeGold = 6, 20, 200
)

func siegeSpecs(env *pattern.Env, to paths) {
	It("lets bronze through one by one", env.Claim("TC4"), func(ctx SpecContext) {
		delay := to.delay()
		to.behave(ctx, slowly(delay))
		totals, gauges := to.loadCounters(bronze)
		flows := env.Load(ctx, pattern.LoadMeasure{
			Control: to.ask(gold), Witnesses: everyHop, Totals: totals, Gauges: gauges,
			Steps: [][]traffic.Load{
				{{Request: to.ask(""), Users: 1, Count: 2 * siegeAlone, For: siegeAlone*delay - delay/2}, {Request: to.ask(gold), Users: siegeGold, Count: siegeGold}},
				{{Request: to.ask(""), Users: siegeBronze, Count: siegeBronze}, {Request: to.ask(silver), Users: siegeSilver, Count: siegeSilver}},
			},
		})
		alone, six := flows.Where(pattern.OfLoad(0, 0)), flows.Where(pattern.OfLoad(1, 0))
		ceiling := to.ceiling(ctx, bronze)
		to.measured(ceiling, six, delay)
		env.Finding("siege -c1 -t15s, in delays of %s: %s; the source: each call about 5 s, about 2 successes", delay, answers(alone))
		env.Finding("siege -c6 -r1: %s; the source: about 2 at a time, answers step up by 5 s (5, 5, 10, 10, 15, 15), by a proxy of two workers", answers(six))
		env.Finding("siege -c20 -r1, silver: %s; the source: all about 5 s", answers(flows.Where(pattern.OfLoad(1, 1))))
		env.Finding("siege -c200 -r1, gold: %s; the source: wide open, no delay", answers(flows.Where(pattern.OfLoad(0, 1))))

		Expect(six).To(BeServedThrough(product))
		Expect(six).To(PassThrough(product, to.cluster(bronze)))
		Expect(six).To(KeepLimit(rating, product, to.cluster(bronze), ceiling))
		Expect(six).To(OverflowAt(product, to.cluster(bronze), ceiling))
		Expect(six).To(FinishInSteps(limits[bronze], delay))
	})
}

// answers says how many were served and when.
func answers(flows evidence.Flows) string {
	served := 0
	var took []time.Duration
	for _, flow := range flows.List {
		if flow.Result.Served() {
			served++
		}
		took = append(took, flow.Result.Duration)
	}
	slices.Sort(took)
	var texts []string
	for _, duration := range took {
		texts = append(texts, fmt.Sprintf("%.1f", duration.Seconds()))
	}
	times := strings.Join(texts, ", ") + " s"
	if len(texts) > siegeBronze {
		times = quantiles(flows)
	}
	return fmt.Sprintf("%d of %d served, after %s", served, len(took), times)
}
