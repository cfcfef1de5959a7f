package egresstrafficcontrol

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// twoCallers gives product-service a second replica; withoutRules takes away all by which the sidecar knows rating-service.
const (
	twoCallers = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: product-service, namespace: "${product_namespace}"}
spec: {replicas: 2}
`
	withoutRules = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: rating-service, namespace: "${product_namespace}"}
$patch: delete
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews-route, namespace: "${product_namespace}"}
$patch: delete
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: destination-rule-for-ratings, namespace: "${product_namespace}"}
$patch: delete
`
)

// unregistered is the cluster of what the registry does not know, where the outbound policy lets it through.
const unregistered = "PassthroughCluster"

// replicas is how many callers TC10 has.
const replicas = 2

func changeSpecs(env *pattern.Env, to paths) {
	It("multiplies the limit with the callers", env.Claim("TC10"), func(ctx SpecContext) {
		DeferCleanup(env.Configuration.Restore)
		Expect(env.Configuration.Patch(ctx, twoCallers)).To(Succeed())
		to.behave(ctx, slowly(rampDelay))
		totals, gauges := to.loadCounters(silver)
		users := 3 * replicas * limits[silver]
		flows := env.Load(ctx, pattern.LoadMeasure{
			Control: to.ask(gold), Witnesses: everyHop, Totals: totals, Gauges: gauges,
			Steps: [][]traffic.Load{{{Request: to.ask(silver), Users: users, Count: 2 * users}}},
		})
		ceiling := to.ceiling(ctx, silver)
		ceiling.Configured, ceiling.Proxies = limits[silver], replicas
		to.measured(ceiling, flows, rampDelay)

		Expect(flows).To(BeServedThrough(product))
		Expect(flows).To(KeepLimit(rating, product, to.cluster(silver), ceiling))
		Expect(flows).To(OverflowAt(product, to.cluster(silver), ceiling))
	})

	It("has no limit without the rules", env.Claim("TC11"), func(ctx SpecContext) {
		DeferCleanup(env.Configuration.Restore)
		Expect(env.Configuration.Patch(ctx, withoutRules)).To(Succeed())
		to.behave(ctx, behaviour{DelayMilliseconds: rampDelay.Milliseconds(), DelayGold: true})
		users := 3 * limits[silver]
		flows := env.Load(ctx, pattern.LoadMeasure{
			Control: to.ask(gold), Witnesses: everyHop,
			Steps: [][]traffic.Load{{{Request: to.ask(silver), Users: users, Count: 2 * users}}, {{Request: to.ask(bronze), Users: users, Count: users}}},
		})
		for step, plan := range []string{silver, bronze} {
			some := flows.Where(pattern.OfLoad(step, 0))
			Expect(some).To(BeServedThrough(product))
			Expect(some).To(PassThrough(product, unregistered))
			Expect(some).To(HaveNoLimit(rating, beyond))
			env.Finding("%s without the rules: %d in flight of %d offered, and everybody is served: a limit that is missing is not to be seen by its callers", plan, InFlight(some, rating), AtOnce(some))
		}
	})
}
