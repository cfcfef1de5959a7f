package basicgateway

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
)

// applicationPort is where every service of Bookinfo listens.
const applicationPort = 9080

// called are the hops of the application, each with who calls it.
var called = []struct{ hop, from, namespace, serviceAccount string }{
	{productpage, gateway, "control_plane_namespace", "custom-ingressgateway"},
	{details, productpage, "bookinfo_namespace", "bookinfo-productpage"},
	{reviews, productpage, "bookinfo_namespace", "bookinfo-productpage"},
	{ratings, reviews, "bookinfo_namespace", "bookinfo-reviews"},
}

func identitySpecs(env *pattern.Env, to paths) {
	It("is mutual TLS from hop to hop", env.Claim("BG3"), func(ctx SpecContext) {
		witnesses, totals := everyHop, []evidence.Counter{}
		for _, call := range called {
			if call.hop != ratings { // which not every version of reviews asks
				witnesses = append(witnesses, evidence.Witness{Hop: call.hop, Record: true})
			}
			all, withTLS := InboundConnections(call.hop, applicationPort)
			made, failed, handshakes := OutboundConnections(call.from, to.cluster(call.hop))
			totals = append(totals, all, withTLS, made, failed, handshakes)
		}
		flows := env.Probe(ctx, pattern.Measure{Request: to.page(), Count: probes, Witnesses: witnesses, Totals: totals})

		Expect(flows).To(PassThrough(gateway, to.cluster(productpage)))
		for _, call := range called {
			judged := flows
			if call.hop == ratings {
				judged = flows.Where(asksRatings)
			}
			Expect(judged).To(ComeAs(call.hop, env.Identity(env.Values[call.namespace], call.serviceAccount)))
			Expect(flows).To(TakeTLSOnly(call.hop, applicationPort))
			Expect(flows).To(ConnectWithTLSOnly(call.from, to.cluster(call.hop)))
		}
	})
}

// asksRatings tells whether the probe was served by a version of reviews that shows stars.
func asksRatings(flow evidence.Flow) bool { return starsByVersion[versionOfReviews(flow)] != "none" }
