package mongoegress

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/suites/internal/mongo"
)

const (
	// probes is over how many probes each claim is judged, refusals over how many of each kind a refusal is.
	probes   = 20
	refusals = 3
)

var (
	// toDatabase are the records that a connection leaves behind the load balancer, throughGateway those from the egress
	// gateway on, and fromPage those of a page's own connection.
	toDatabase     = []evidence.Witness{{Hop: mongoGateway}, {Hop: mongodb, Inbound: true}, {Hop: mongodb, Accepted: true}}
	throughGateway = append([]evidence.Witness{{Hop: egress}}, toDatabase...)
	fromPage       = append([]evidence.Witness{{Hop: ratings}}, throughGateway...)
)

// paths are the clusters and requests of the pattern.
type paths struct{ env *pattern.Env }

// gateway is the cluster that Istio makes of the egress gateway for the redirect.
func (p paths) gateway() string {
	return fmt.Sprintf("outbound|15666|mongo|istio-egressgateway.%s.svc.cluster.local", p.env.Values["control_plane_namespace"])
}

// server is the cluster that Istio makes of the database's host.
func (p paths) server() string { return mongo.External(p.env, mongo.TLSPort, "") }

// host is a question to the database by its name, as an application asks.
func (p paths) host() traffic.Request {
	return mongo.Find(mongo.Balancer(p.env, mongo.TLSPort), mongo.Ratings(p.env), mongo.Trusted(p.env))
}

// address is the same question to an address and port.
func (p paths) address(ip string, port int) traffic.Request {
	options := mongo.Trusted(p.env)
	if port == mongo.PlainPort {
		options = nil
	}
	return mongo.Find(net.JoinHostPort(ip, strconv.Itoa(port)), mongo.Ratings(p.env), options)
}

// serverName is what a connection to the egress gateway asks for: nothing, because it is plain TCP to the gateway, or, once
// hardened, what the mutual TLS around the application's own TLS asks for.
func (p paths) serverName() string {
	if p.env.Hardened {
		return p.env.Values[mongo.Host]
	}
	return ""
}

func specs(env *pattern.Env) {
	to := paths{env}
	throughSpecs(env, to)
	waySpecs(env, to)
	changeSpecs(env, to)
}

func throughSpecs(env *pattern.Env, to paths) {
	It("leaves through the egress gateway", env.Claim("ME1"), func(ctx SpecContext) {
		sent := evidence.Counter{Hop: ratings, Cluster: to.gateway(), Name: "upstream_cx_total"}
		passed := evidence.Counter{Hop: egress, Cluster: to.server(), Name: "upstream_cx_total"}
		flows := env.Probe(ctx, pattern.Measure{Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage, Counters: []evidence.Counter{sent, passed}})

		Expect(flows).To(BeServed())
		Expect(flows).To(ConnectOnce(ratings))
		Expect(flows).To(PassThrough(ratings, to.gateway()))
		Expect(flows).To(PassThrough(egress, to.server()))
		Expect(flows).To(PassThrough(mongoGateway, mongo.Database(env)))
		Expect(flows).To(CarryInTurn(ratings, egress, mongoGateway, mongodb))
		Expect(flows).To(BeAccepted(mongodb))
		Expect(flows).To(BeCounted(sent))
		Expect(flows).To(BeCounted(passed))
	})

	It("never goes direct", env.Claim("ME2"), func(ctx SpecContext) {
		direct := evidence.Counter{Hop: ratings, Cluster: to.server(), Name: "upstream_cx_total"}
		flows := env.Probe(ctx, pattern.Measure{Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage, Totals: []evidence.Counter{direct}})

		Expect(flows).To(BeServed())
		Expect(flows).To(PassThrough(ratings, to.gateway()))
		Expect(flows).To(NeverUse(ratings, to.server()))
		Expect(flows).To(NeverUse(ratings, "PassthroughCluster"))
		Expect(flows).To(StayStill(direct))
	})

	It("shows the server the egress gateway", env.Claim("ME3"), func(ctx SpecContext) {
		flows := env.Probe(ctx, pattern.Measure{Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage})

		Expect(flows).To(BeServed())
		Expect(flows).To(ComeFrom(mongoGateway, "the egress gateway", env.Observer.Addresses(egress)))
		Expect(flows).To(CarryInTurn(egress, mongoGateway))
	})

	It("shows the egress gateway the workload", env.Claim("ME4"), func(ctx SpecContext) {
		flows := env.Probe(ctx, pattern.Measure{Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage})

		Expect(flows).To(BeServed())
		Expect(flows).To(ConnectOnce(ratings))
		Expect(flows).To(ComeFrom(egress, "ratings-v2", env.Observer.Addresses(ratings)))
		Expect(flows).To(CarryInTurn(ratings, egress))
	})

	It("keeps the application's TLS end to end", env.Claim("ME5"), func(ctx SpecContext) {
		flows := env.Probe(ctx, pattern.Measure{
			Request: to.host(), From: mongo.Inside, Count: probes, Witnesses: append([]evidence.Witness{{Hop: mongo.Inside}}, throughGateway...),
		})

		Expect(flows).To(BeServed())
		Expect(flows).To(CarryInTurn(mongo.Inside, egress, mongoGateway, mongodb))
		Expect(flows).To(SeeCertificate("mongo-ingressgateway", mongo.Fingerprint(env)))
		Expect(flows).To(AskForName(egress, to.serverName()))
		Expect(flows).To(AskForName(mongoGateway, env.Values[mongo.Host]))
		if !env.Hardened {
			env.Finding("the hop from the workload to the egress gateway has no TLS of the mesh: the gateway cannot know who connects")
		}
	})
}

// served says how many controls the promised path served.
func served(flows evidence.Flows) string {
	good := slices.DeleteFunc(slices.Clone(flows.Controls), func(f evidence.Flow) bool { return !f.Result.Served() })
	return fmt.Sprintf("control served %d of %d", len(good), len(flows.Controls))
}
