package egresstrafficcontrol

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/framework/wait"
)

const (
	// byDefault is how many answers 5xx in a row eject a host when nothing is configured: Envoy's own number.
	byDefault = 5
	// refusals is over how many probes a refusal is judged.
	refusals = 3
	// ejectionInterval is how often Envoy looks whether a host's time is over, as the manifests say.
	ejectionInterval = time.Second
	// healthPeriod is the time between two looks at the health of hosts.
	healthPeriod = 50 * time.Millisecond
	// ejectedFlag is the one of a host that outlier detection keeps out.
	ejectedFlag = "failed_outlier_check"
)

// healthLimit is for a proxy to show that it has ejected a host, and for its workers to heed it.
var healthLimit = wait.Limit{Name: "health", Usual: 2 * time.Second, For: "a proxy to show that it has ejected a host"}

// failures is how many answers 503 in a row eject bronze's host.
func (p paths) failures() int {
	if p.env.Hardened {
		return 1
	}
	return byDefault
}

// fail has rating-service answer so many requests of bronze 503, and sends just those.
func (p paths) fail(ctx context.Context, count int) evidence.Flows {
	GinkgoHelper()
	p.behave(ctx, behaviour{Failures: map[string]int{bronze: count}})
	return p.env.Load(ctx, pattern.LoadMeasure{
		Control: p.ask(gold), Witnesses: []evidence.Witness{{Hop: product}, {Hop: rating, Record: true}},
		Steps: [][]traffic.Load{{{Request: p.ask(bronze), Users: 1, Count: count}}},
	})
}

// ejected tells whether the sidecar of product-service keeps a host of this plan out.
func (p paths) ejected(ctx context.Context, plan string) (bool, error) {
	for _, proxy := range p.env.Observer.Proxies(product) {
		clusters, err := proxy.Endpoints(ctx)
		if err != nil {
			return false, err
		}
		for _, cluster := range clusters {
			for _, host := range cluster.Hosts {
				if cluster.Name == p.cluster(plan) && slices.Contains(host.Flags, ejectedFlag) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// turnedAway tells whether a request of bronze is answered 503, by a sidecar that knows of the ejection: rating-service fails no
// more of them.
func (p paths) turnedAway(ctx context.Context) (bool, error) {
	result, err := p.env.Client.Do(ctx, traffic.NewProbes(p.ask(bronze), "control", 1)[0])
	return err == nil && result.Status == http.StatusServiceUnavailable, err
}

// awaitEjected waits until bronze's host is kept out, or is not any more, and returns when that was seen. A state that does
// not come in time is left to the checks, which then show what the requests met.
func (p paths) awaitEjected(ctx context.Context, wanted bool, timeout time.Duration) time.Time {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(healthPeriod)
	defer ticker.Stop()
	for {
		now, err := p.ejected(ctx, bronze)
		if err == nil && now && wanted {
			// Envoy tells its workers of a change of health once a second at most, so that one soon after another comes late.
			now, err = p.turnedAway(ctx)
		}
		if err != nil && ctx.Err() == nil {
			p.env.Trouble("the sidecar of product-service tells the health of its hosts, and is asked", err)
			Fail(err.Error())
		}
		if err == nil && now == wanted {
			return time.Now()
		}
		select {
		case <-ctx.Done():
			return time.Now()
		case <-ticker.C:
		}
	}
}

// ejection is the parameter, and longestEjection when bronze has recovered at the latest: a host that was ejected before, and
// not long ago, stays out for one time more.
func (p paths) ejection() time.Duration {
	duration, _ := time.ParseDuration(p.env.Values[ejectionTime]) // it was parsed when it was given
	return duration
}

func (p paths) longestEjection() time.Duration { return 2*p.ejection() + 2*ejectionInterval }

func ejectionSpecs(env *pattern.Env, to paths) {
	It("does not heed the obsolete field", env.Claim("TC9"), func(ctx SpecContext) {
		DeferCleanup(to.recover)
		flows := to.fail(ctx, 1)
		Expect(flows).To(FailBecause(product, http.StatusServiceUnavailable, pattern.UpstreamFailed))
		if env.Hardened {
			to.awaitEjected(ctx, true, env.Within(healthLimit))
			to.refused(ctx, silver)
			return
		}
		flows = env.Load(ctx, pattern.LoadMeasure{
			Control: to.ask(gold), Witnesses: everyHop, Gauges: []evidence.Counter{Ejections(product, to.cluster(bronze))},
			Steps: [][]traffic.Load{{{Request: to.ask(bronze), Users: 1, Count: refusals}}},
		})
		Expect(flows).To(BeServedThrough(product))
		Expect(flows).To(Serve(rating))
		Expect(flows).To(BeBelow(Ejections(product, to.cluster(bronze)), 1))
		env.Finding("consecutiveErrors: 1 is accepted and not translated: one 503 ejects nobody, and Envoy's own number of %d answers 5xx in a row does (TC8); consecutiveGatewayErrors: 1 means what the source meant", byDefault)
	})

	It("ejects bronze alone", env.Claim("TC8"), func(ctx SpecContext) {
		DeferCleanup(to.recover)
		control := env.Probe(ctx, pattern.Measure{Request: to.ask(bronze), Count: refusals, Witnesses: everyHop})
		Expect(control).To(BeServedThrough(product))

		failed := to.fail(ctx, to.failures())
		Expect(failed).To(FailBecause(product, http.StatusServiceUnavailable, pattern.UpstreamFailed))
		began := failed.List[len(failed.List)-1].Result.StartedAt
		to.awaitEjected(ctx, true, env.Within(healthLimit))
		for _, plan := range []string{silver, gold} {
			to.refused(ctx, plan)
		}

		ended := to.awaitEjected(ctx, false, to.longestEjection())
		recovered := env.Probe(ctx, pattern.Measure{Request: to.ask(bronze), Count: refusals, Witnesses: everyHop})
		Expect(recovered).To(BeServedThrough(product))
		Expect(recovered).To(Each("it was ejected for the ejection time", "product sidecar health", pattern.Ejected, func(evidence.Flow) string {
			if out := ended.Sub(began); out < to.ejection() || out > to.longestEjection() {
				return fmt.Sprintf("was served after %.1f s, and the ejection time is %s", out.Seconds(), to.ejection())
			}
			return ""
		}))
		env.Finding("platform period: bronze was out for %.1f s, with an ejection time of %s (the source: 3m) and a look every %s; %d answer(s) 503 in a row ejected it", ended.Sub(began).Seconds(), to.ejection(), ejectionInterval, to.failures())
	})
}

// refused judges that bronze is turned away by the sidecar because its host is ejected, while the other plan is served.
func (p paths) refused(ctx context.Context, other string) {
	GinkgoHelper()
	flows := p.env.Refuse(ctx, pattern.Refusal{
		Requests: []traffic.Request{p.ask(bronze)}, Control: p.ask(other), Count: refusals,
		Witnesses: []evidence.Witness{{Hop: product}}, Served: everyHop,
	})

	Expect(flows).To(BeRefused(pattern.Ejected))
	Expect(flows).To(BeRefusedBy(product, pattern.Ejected))
	Expect(flows).To(NeverReach(rating))
	Expect(flows.OfControls()).To(PassThrough(product, p.cluster(other)))
}

// recover leaves bronze as it was installed for the checks that follow.
func (p paths) recover(ctx SpecContext) {
	p.behave(ctx, slowly(brief))
	p.awaitEjected(ctx, false, p.longestEjection())
}
