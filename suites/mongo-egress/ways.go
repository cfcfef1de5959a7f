package mongoegress

import (
	"context"
	"net"
	"net/http"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/suites/internal/mongo"
)

// withoutGateway, withoutEntry and withoutRedirect take away what the path needs.
const (
	withoutGateway = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-egressgateway, namespace: "${control_plane_namespace}"}
spec: {replicas: 0}
`
	withoutEntry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mongodb, namespace: "${bookinfo_namespace}"}
$patch: delete
`
	withoutRedirect = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: direct-mongo-through-egress-gateway, namespace: "${control_plane_namespace}"}
$patch: delete
`
)

// fromInside are the records of a question that the agent in the mesh asks.
var fromInside = append([]evidence.Witness{{Hop: mongo.Inside}}, throughGateway...)

func waySpecs(env *pattern.Env, to paths) {
	It("refuses what is not registered", env.Claim("ME7"), func(ctx SpecContext) {
		refused := func(name, target string, refusal pattern.Refusal) {
			refusal.Control, refusal.From, refusal.Count = to.host(), mongo.Inside, refusals
			refusal.Witnesses, refusal.Served = []evidence.Witness{{Hop: mongo.Inside}}, fromInside
			flows := env.Refuse(ctx, refusal)

			Expect(flows).To(BeRefused(pattern.BlackHole))
			Expect(flows).To(BeRefusedBy(mongo.Inside, pattern.BlackHole))
			Expect(flows).To(NeverReach(mongoGateway))
			env.Tried(pattern.Way{Name: name, From: "pod with a sidecar", To: target, Cause: pattern.BlackHole, Control: served(flows)})
		}
		ip, other := env.Values[mongo.IP], env.Values[otherIP]
		refused("another address of the server", net.JoinHostPort(other, "27018"), pattern.Refusal{Requests: []traffic.Request{to.address(other, mongo.TLSPort)}})
		refused("another port of the server", net.JoinHostPort(ip, "27017"), pattern.Refusal{Requests: []traffic.Request{to.address(ip, mongo.PlainPort)}})

		DeferCleanup(env.Configuration.Restore)
		refused("the host without its ServiceEntry", mongo.Balancer(env, mongo.TLSPort), pattern.Refusal{
			Requests: []traffic.Request{to.host()}, Permit: env.Configuration.Restore,
			Forbid: func(ctx context.Context) error { return env.Configuration.Patch(ctx, withoutEntry) },
		})

		flows := env.Probe(ctx, pattern.Measure{Request: to.address(ip, mongo.TLSPort), From: mongo.Inside, Count: refusals, Witnesses: fromInside})
		Expect(flows).To(BeServed())
		Expect(flows).To(CarryInTurn(mongo.Inside, egress, mongoGateway))
		env.Tried(pattern.Way{Name: "the server's own address", From: "pod with a sidecar", To: net.JoinHostPort(ip, "27018"), Redirected: true})

		for _, address := range []string{ip, other} {
			flows := env.Probe(ctx, pattern.Measure{Request: to.address(address, mongo.TLSPort), From: mongo.Outside, Count: refusals, Witnesses: toDatabase})
			Expect(flows).To(BeServed())
			Expect(flows).To(CarryInTurn(mongoGateway, mongodb))
			env.Tried(pattern.Way{Name: "a pod without a sidecar", From: "pod without a sidecar", To: net.JoinHostPort(address, strconv.Itoa(mongo.TLSPort)), Open: true})
		}
		env.Finding("nothing of the mesh keeps a pod without a sidecar from the database: only a network policy, or the load balancer's own rules, could")
	})

	It("has no other way without the egress gateway", env.Claim("ME6"), func(ctx SpecContext) {
		DeferCleanup(env.Configuration.Restore)
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{mongo.Reviews(env)}, Control: mongo.Reviews(env), Count: refusals,
			Permit:    env.Configuration.Restore,
			Forbid:    func(ctx context.Context) error { return env.Configuration.Patch(ctx, withoutGateway) },
			Witnesses: []evidence.Witness{{Hop: ratings}}, Served: fromPage,
		})

		Expect(flows).To(Answer(http.StatusOK, mongo.Unavailable))
		Expect(flows).To(BeRefusedBy(ratings, pattern.NoHealthyUpstream))
		Expect(flows).To(NeverReach(mongoGateway))
		Expect(flows).To(NeverReach(mongodb))
		env.Tried(pattern.Way{Name: "the egress gateway scaled to zero", From: "ratings-v2", To: mongo.Balancer(env, mongo.TLSPort), Cause: pattern.NoHealthyUpstream, Control: served(flows)})
	})

	It("shows the same page without the redirect", env.Claim("ME9"), func(ctx SpecContext) {
		passed := evidence.Counter{Hop: egress, Cluster: to.server(), Name: "upstream_cx_total"}
		DeferCleanup(env.Configuration.Restore)
		Expect(env.Configuration.Patch(ctx, withoutRedirect)).To(Succeed())
		flows := env.Probe(ctx, pattern.Measure{
			Request: mongo.Reviews(env), Count: probes, Witnesses: append([]evidence.Witness{{Hop: ratings}}, toDatabase...), Totals: []evidence.Counter{passed},
		})

		Expect(flows).To(BeServed())
		Expect(flows).To(PassThrough(ratings, to.server()))
		Expect(flows).To(CarryInTurn(ratings, mongoGateway, mongodb))
		Expect(flows).To(ComeFrom(mongoGateway, "ratings-v2", env.Observer.Addresses(ratings)))
		Expect(flows).To(StayStill(passed))
		env.Tried(pattern.Way{Name: "the redirect removed", From: "ratings-v2", To: mongo.Balancer(env, mongo.TLSPort), Open: true})
		env.Finding("the sidecar also has the direct cluster of the host: whoever loses the redirect loses the egress gateway, and the page looks the same")
	})
}
