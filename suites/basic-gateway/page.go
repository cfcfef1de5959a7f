package basicgateway

import (
	"fmt"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// probes is over how many probes each claim is judged.
const probes = 20

// wholePage are parts of the page that are there only when details and reviews have answered: productpage answers 200 with
// a sentence in place of what failed.
var wholePage = []string{
	"The Comedy of Errors", "William Shakespeare", "PublisherA", "1234567890",
	"An extremely entertaining play by Shakespeare.", "Absolutely fun and entertaining.",
}

func specs(env *pattern.Env) {
	page := traffic.Request{
		URL:  fmt.Sprintf("http://custom-ingressgateway.%s.svc.cluster.local/productpage", env.Values["control_plane_namespace"]),
		Host: env.Values["route_hostname"],
	}
	productpageCluster := fmt.Sprintf("outbound|9080||productpage.%s.svc.cluster.local", env.Values["bookinfo_namespace"])
	everyHop := []evidence.Witness{{Hop: gateway}, {Hop: productpage, Inbound: true}, {Hop: productpage, Record: true}}

	It("serves the whole page", env.Claim("BG1"), func(ctx SpecContext) {
		flows := env.Probe(ctx, pattern.Measure{Request: page, Count: probes, Witnesses: everyHop})

		Expect(flows).To(Answer(http.StatusOK, wholePage...))
		Expect(flows).To(PassThrough(gateway, productpageCluster))
		Expect(flows).To(ArriveAt(productpage, gateway))
		Expect(flows).To(Serve(productpage))
	})

	It("comes to productpage only through the gateway", env.Claim("BG2"), func(ctx SpecContext) {
		flows := env.Probe(ctx, pattern.Measure{
			Request: page, Count: probes, Witnesses: everyHop,
			Counters: []pattern.Counter{{Hop: gateway, Cluster: productpageCluster, Name: "upstream_rq_total"}},
		})

		Expect(flows).To(ComeAs(productpage, env.Identity(env.Values["control_plane_namespace"], "custom-ingressgateway")))
		Expect(flows).To(PassThrough(gateway, productpageCluster))
		Expect(flows).To(ArriveAt(productpage, gateway))
		Expect(flows).To(BeCounted(gateway))
	})
}
