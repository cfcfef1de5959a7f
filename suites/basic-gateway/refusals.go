package basicgateway

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// refusals is over how many probes of each request a refusal is judged.
const refusals = 5

// permissive lets productpage, and only it, take plain text too.
const permissive = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: productpage-permissive
  namespace: ${bookinfo_namespace}
spec:
  selector: {matchLabels: {app: productpage}}
  mtls: {mode: PERMISSIVE}
`

func refusalSpecs(env *pattern.Env, to paths) {
	It("answers 404 to what is not routed", env.Claim("BG5"), func(ctx SpecContext) {
		foreign := to.gateway("/productpage")
		foreign.Host = "foreign." + foreign.Host
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{foreign, to.gateway("/"), to.gateway("/health"), to.gateway("/static/bootstrap.css")},
			Control:  to.gateway("/productpage"), Count: refusals,
			Witnesses: []evidence.Witness{{Hop: gateway}}, Served: everyHop,
		})

		Expect(flows).To(BeRefused(pattern.RouteNotFound))
		Expect(flows).To(BeRefusedBy(gateway, pattern.RouteNotFound))
		Expect(flows).To(NeverReach(productpage))
	})

	It("does not serve plain HTTP on the host of the Route", env.Claim("BG6"), func(ctx SpecContext) {
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{{URL: "http://" + env.Values["route_hostname"] + "/productpage"}},
			Control:  to.page(), Count: refusals, Served: everyHop,
		})

		Expect(flows).To(BeRefused(pattern.NotPublished))
		Expect(flows).To(NeverReach(gateway))
		Expect(flows).To(NeverReach(productpage))
	})

	// The control is the very same request from the same pod, while productpage is PERMISSIVE.
	It("refuses plain text from a pod without a sidecar", env.Claim("BG7"), func(ctx SpecContext) {
		DeferCleanup(env.Configuration.Restore)
		direct := traffic.Request{URL: "http://productpage." + env.Values["bookinfo_namespace"] + ".svc.cluster.local:9080/productpage"}
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{direct}, Control: direct, From: outside, Count: refusals,
			Permit:    func(ctx context.Context) error { return env.Configuration.Apply(ctx, permissive) },
			Forbid:    env.Configuration.Restore,
			Witnesses: []evidence.Witness{{Hop: productpage}},
			Served:    []evidence.Witness{{Hop: productpage, Inbound: true}, {Hop: productpage, Record: true}},
		})

		Expect(flows).To(BeRefused(pattern.NoFilterChain))
		Expect(flows).To(BeRefusedBy(productpage, pattern.NoFilterChain))
		Expect(flows).To(NeverReach(productpage))
		Expect(flows.OfControls()).To(ComeUnidentified(productpage))
	})

	It("does not bind a VirtualService whose gateway has no namespace", env.Claim("BG8"), func(ctx SpecContext) {
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{to.gateway("/unprefixed")}, Control: to.gateway("/prefixed"), Count: refusals,
			Witnesses: []evidence.Witness{{Hop: gateway}}, Served: everyHop,
		})

		Expect(flows).To(BeRefused(pattern.RouteNotFound))
		Expect(flows).To(BeRefusedBy(gateway, pattern.RouteNotFound))
		Expect(flows).To(NeverReach(productpage))
	})
}
