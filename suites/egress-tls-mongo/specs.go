package egresstlsmongo

import (
	"fmt"
	"strings"

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

// toDatabase are the records that a connection leaves behind the load balancer.
var toDatabase = []evidence.Witness{{Hop: mongoGateway}, {Hop: mongodb, Inbound: true}, {Hop: mongodb, Accepted: true}}

// through are those of one that has come through the egress gateway, fromPage those of a page's own.
var (
	through  = append([]evidence.Witness{{Hop: egress}}, toDatabase...)
	fromPage = append([]evidence.Witness{{Hop: ratings}}, through...)
)

func specs(env *pattern.Env) {
	pageSpecs(env)
	hopSpecs(env)
	refusalSpecs(env)
	changeSpecs(env)
}

func pageSpecs(env *pattern.Env) {
	It("shows the database's stars", env.Claim("EM1"), func(ctx SpecContext) {
		read := evidence.Counter{Hop: ratings, Mongo: true, Name: "op_query"}
		flows := env.Probe(ctx, pattern.Measure{
			Request: mongo.Reviews(env), Count: probes, Counters: []evidence.Counter{read},
			Witnesses: append([]evidence.Witness{{Hop: ratings, Record: true}}, fromPage...),
		})

		Expect(flows).To(BeServed())
		Expect(flows).To(Each("both reviewers have the database's one star, in red", "client", pattern.WrongContent, mongo.WithoutOneStar))
		Expect(flows).To(ConnectOnce(ratings))
		Expect(flows).To(Each("the application asked port 27017", ratings+" application", pattern.Bypassed, ofOtherPort))
		Expect(flows).To(BeCounted(read))
	})

	It("leaves through the gateway", env.Claim("EM2"), func(ctx SpecContext) {
		direct := mongo.External(env, mongo.PlainPort, "")
		unused := []evidence.Counter{{Hop: ratings, Cluster: direct, Name: "upstream_cx_total"}}
		if !env.Hardened { // which has no such listener
			unused = append(unused, evidence.Counter{Hop: mongoGateway, Listener: "0.0.0.0_27017", Name: "downstream_cx_total"})
		}
		flows := env.Probe(ctx, pattern.Measure{Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage, Totals: unused})

		Expect(flows).To(BeServed())
		Expect(flows).To(PassThrough(ratings, toGateway(env)))
		Expect(flows).To(PassThrough(egress, mongo.External(env, mongo.TLSPort, tlsSubset)))
		Expect(flows).To(CarryInTurn(ratings, egress, mongoGateway, mongodb))
		Expect(flows).To(NeverUse(ratings, direct))
		for _, counter := range unused {
			Expect(flows).To(StayStill(counter))
		}
		Expect(flows).To(BeAccepted(mongodb))
		tryWays(ctx, env)
	})
}

// ofOtherPort is what is wrong with where the application asked.
func ofOtherPort(flow evidence.Flow) string {
	for _, c := range flow.QueriesFrom(ratings) {
		if !strings.HasSuffix(c.Remote, fmt.Sprintf(":%d", mongo.PlainPort)) {
			return "asked " + c.Remote
		}
	}
	return ""
}

// tlsSubset is the subset by which the gateway begins TLS.
const tlsSubset = "mongodb-tls"

// toGateway is the cluster by which a sidecar sends to the egress gateway.
func toGateway(env *pattern.Env) string { return "outbound|15666|mongodb|" + gatewayHost(env) }

func gatewayHost(env *pattern.Env) string {
	return fmt.Sprintf("istio-egressgateway.%s.svc.cluster.local", env.Values["egress_namespace"])
}

func hopSpecs(env *pattern.Env) {
	It("begins TLS at the gateway", env.Claim("EM3"), func(ctx SpecContext) {
		all, failed, begun := OutboundConnections(egress, mongo.External(env, mongo.TLSPort, tlsSubset))
		ended := evidence.Counter{Hop: mongoGateway, Listener: "0.0.0.0_27018", Name: "ssl.handshake"}
		flows := env.Probe(ctx, pattern.Measure{
			Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage,
			Counters: []evidence.Counter{ended, begun}, Totals: []evidence.Counter{all, failed},
		})

		Expect(flows).To(BeServed())
		Expect(flows).To(CarryInTurn(ratings, egress, mongoGateway))
		Expect(flows).To(AskForName(mongoGateway, env.Values[mongo.Host]))
		Expect(flows).To(ComeFrom(mongoGateway, "the egress gateway", env.Observer.Addresses(egress)))
		Expect(flows).To(BeCounted(ended))
		Expect(flows).To(ConnectWithTLSOnly(egress, mongo.External(env, mongo.TLSPort, tlsSubset)))
	})

	It("takes the first hop as the source has it", env.Claim("EM7"), func(ctx SpecContext) {
		plain := mongo.Find(gatewayHost(env)+":15666", mongo.Ratings(env), nil)
		if env.Hardened {
			takesMutualTLSOnly(ctx, env, plain)
			return
		}
		read := evidence.Counter{Hop: egress, Mongo: true, Name: "op_query"}
		flows := env.Probe(ctx, pattern.Measure{Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage, Counters: []evidence.Counter{read}})

		Expect(flows).To(BeServed())
		Expect(flows).To(CarryInTurn(ratings, egress))
		Expect(flows).To(AskForName(egress, ""))
		Expect(flows).To(BeCounted(read))

		// Nor does the gateway ask who comes.
		flows = env.Probe(ctx, pattern.Measure{Request: plain, From: mongo.Outside, Count: refusals, Witnesses: through})
		Expect(flows).To(BeServed())
		Expect(flows).To(PassThrough(egress, mongo.External(env, mongo.TLSPort, tlsSubset)))
		Expect(flows).To(BeAccepted(mongodb))
		env.Finding("from sidecar to egress gateway the data is clear text, although the mesh has mutual TLS: the gateway's own filter for MongoDB reads it")
		env.Finding("the egress gateway takes plain text from whoever reaches port 15666, without a sidecar too, and carries it to the database")
	})

	It("is mutual TLS to the database", env.Claim("EM8"), func(ctx SpecContext) {
		all, failed, begun := OutboundConnections(mongoGateway, mongo.Database(env))
		flows := env.Probe(ctx, pattern.Measure{
			Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage,
			Counters: []evidence.Counter{begun}, Totals: []evidence.Counter{all, failed},
		})

		Expect(flows).To(BeServed())
		Expect(flows).To(CarryInTurn(mongoGateway, mongodb))
		Expect(flows).To(AskForName(mongodb, fmt.Sprintf("outbound_.27017_._.mongodb.%s.svc.cluster.local", env.Values["mongodb_namespace"])))
		Expect(flows).To(ConnectWithTLSOnly(mongoGateway, mongo.Database(env)))
		Expect(flows).To(BeAccepted(mongodb))
	})
}

// takesMutualTLSOnly judges the first hop of the hardened variant.
func takesMutualTLSOnly(ctx SpecContext, env *pattern.Env, plain traffic.Request) {
	all, failed, begun := OutboundConnections(ratings, toGateway(env))
	ended := evidence.Counter{Hop: egress, Listener: "0.0.0.0_15666", Name: "ssl.handshake"}
	flows := env.Probe(ctx, pattern.Measure{
		Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage,
		Counters: []evidence.Counter{ended, begun}, Totals: []evidence.Counter{all, failed},
	})

	Expect(flows).To(BeServed())
	Expect(flows).To(CarryInTurn(ratings, egress))
	Expect(flows).To(AskForName(egress, env.Values[mongo.Host]))
	Expect(flows).To(BeCounted(ended))
	Expect(flows).To(ConnectWithTLSOnly(ratings, toGateway(env)))

	flows = env.Refuse(ctx, pattern.Refusal{
		Requests: []traffic.Request{plain}, Control: mongo.Reviews(env), From: mongo.Outside, Count: refusals,
		Witnesses: []evidence.Witness{{Hop: egress}}, Served: fromPage,
	})
	Expect(flows).To(BeRefused(pattern.NoFilterChain))
	Expect(flows).To(BeRefusedBy(egress, pattern.NoFilterChain))
	Expect(flows).To(NeverReach(mongodb))
}
