package mongoingress

import (
	"context"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
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

// fromPage are those of a page's own connection.
var fromPage = append([]evidence.Witness{{Hop: ratings}}, toDatabase...)

func specs(env *pattern.Env) {
	outsideSpecs(env)
	pageSpecs(env)
	refusalSpecs(env)
}

func outsideSpecs(env *pattern.Env) {
	It("is reached by TLS from outside", env.Claim("MI1"), func(ctx SpecContext) {
		flows := env.Probe(ctx, pattern.Measure{
			Request: mongo.Find(mongo.Balancer(env, mongo.TLSPort), mongo.Ratings(env), mongo.Trusted(env)), From: mongo.Outside, Count: probes,
			Witnesses: toDatabase,
		})

		Expect(flows).To(BeServed())
		Expect(flows).To(SeeCertificate("mongo-ingressgateway", mongo.Fingerprint(env)))
		Expect(flows).To(PassThrough(mongoGateway, mongo.Database(env)))
		Expect(flows).To(CarryInTurn(mongoGateway, mongodb))
		Expect(flows).To(BeAccepted(mongodb))
	})

	It("takes plain text where the source opens it", env.Claim("MI6"), func(ctx SpecContext) {
		plain := mongo.Find(mongo.Balancer(env, mongo.PlainPort), mongo.Ratings(env), nil)
		if env.Hardened {
			flows := env.Refuse(ctx, pattern.Refusal{
				Requests: []traffic.Request{plain}, Control: mongo.Find(mongo.Balancer(env, mongo.TLSPort), mongo.Ratings(env), mongo.Trusted(env)),
				From: mongo.Outside, Count: refusals, Served: toDatabase,
			})

			Expect(flows).To(BeRefused(pattern.Unreachable))
			Expect(flows).To(NeverReach(mongoGateway))
			Expect(flows).To(NeverReach(mongodb))
			return
		}
		flows := env.Probe(ctx, pattern.Measure{Request: plain, From: mongo.Outside, Count: probes, Witnesses: toDatabase})

		Expect(flows).To(BeServed())
		Expect(flows).To(AskForName(mongoGateway, ""))
		Expect(flows).To(PassThrough(mongoGateway, mongo.Database(env)))
		Expect(flows).To(BeAccepted(mongodb))
		env.Finding("port %d of the load balancer gives the database in plain text to whoever reaches it: a page that works does not prove TLS", mongo.PlainPort)
	})
}

func pageSpecs(env *pattern.Env) {
	It("shows the database's stars", env.Claim("MI2"), func(ctx SpecContext) {
		asked := evidence.Counter{Hop: oldRatings, HTTP: "inbound_0.0.0.0_9080", Name: "downstream_rq_total"}
		flows := env.Probe(ctx, pattern.Measure{
			Request: mongo.Reviews(env), Count: probes, Totals: []evidence.Counter{asked},
			Witnesses: []evidence.Witness{{Hop: productpage}, {Hop: reviews}, {Hop: ratings, Record: true}},
		})

		Expect(flows).To(BeServed())
		Expect(flows).To(Each("both reviewers have the database's one star, in red", "client", pattern.WrongContent, mongo.WithoutOneStar))
		Expect(flows).To(PassThrough(productpage, mongo.Page(env, "reviews", "v3")))
		Expect(flows).To(PassThrough(reviews, mongo.Page(env, "ratings", "v2")))
		Expect(flows).To(Serve(ratings))
		Expect(flows).To(StayStill(asked))
	})

	It("has one connection on every hop", env.Claim("MI3"), func(ctx SpecContext) {
		counted := evidence.Counter{Hop: ratings, Cluster: mongo.External(env, mongo.TLSPort, ""), Name: "upstream_cx_total"}
		flows := env.Probe(ctx, pattern.Measure{Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage, Counters: []evidence.Counter{counted}})

		Expect(flows).To(BeServed())
		Expect(flows).To(ConnectOnce(ratings))
		Expect(flows).To(PassThrough(ratings, mongo.External(env, mongo.TLSPort, "")))
		Expect(flows).To(PassThrough(mongoGateway, mongo.Database(env)))
		Expect(flows).To(CarryInTurn(ratings, mongoGateway, mongodb))
		Expect(flows).To(BeAccepted(mongodb))
		Expect(flows).To(BeCounted(counted))
	})

	It("is TLS that asks for the host", env.Claim("MI4"), func(ctx SpecContext) {
		handshakes := evidence.Counter{Hop: mongoGateway, Listener: "0.0.0.0_27018", Name: "ssl.handshake"}
		connections, _, added := OutboundConnections(ratings, mongo.External(env, mongo.TLSPort, ""))
		flows := env.Probe(ctx, pattern.Measure{
			Request: mongo.Reviews(env), Count: probes, Witnesses: fromPage,
			Counters: []evidence.Counter{handshakes, connections}, Totals: []evidence.Counter{added},
		})

		Expect(flows).To(BeServed())
		Expect(flows).To(CarryInTurn(ratings, mongoGateway))
		Expect(flows).To(AskForName(ratings, ""))
		Expect(flows).To(AskForName(mongoGateway, env.Values[mongo.Host]))
		Expect(flows).To(BeCounted(handshakes))
		Expect(flows).To(ConnectWithoutTLS(ratings, mongo.External(env, mongo.TLSPort, "")))
	})
}

func refusalSpecs(env *pattern.Env) {
	tls := func(options *wire.DatabaseTLS) traffic.Request {
		return mongo.Find(mongo.Balancer(env, mongo.TLSPort), mongo.Ratings(env), options)
	}

	It("takes only TLS for the host on the TLS port", env.Claim("MI5"), func(ctx SpecContext) {
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{
				tls(nil),
				// The name of an address cannot be asked for.
				tls(&wire.DatabaseTLS{ServerName: env.Values[mongo.IP], Insecure: true}),
				tls(&wire.DatabaseTLS{ServerName: "other." + env.Values[mongo.Host], Insecure: true}),
			},
			Control: tls(mongo.Trusted(env)), From: mongo.Outside, Count: refusals, Witnesses: []evidence.Witness{{Hop: mongoGateway}}, Served: toDatabase,
		})

		Expect(flows).To(BeRefused(pattern.NoFilterChain))
		Expect(flows).To(BeRefusedBy(mongoGateway, pattern.NoFilterChain))
		Expect(flows).To(NeverReach(mongodb))
	})

	It("has a certificate that can be checked", env.Claim("MI7"), func(ctx SpecContext) {
		host, named := env.Values[mongo.Host], mongo.CertificateName(env)
		refused := func(options *wire.DatabaseTLS) evidence.Flows {
			return env.Refuse(ctx, pattern.Refusal{
				Requests: []traffic.Request{tls(options)}, Control: tls(mongo.Checked(env, named)),
				From: mongo.Outside, Count: refusals, Witnesses: []evidence.Witness{{Hop: mongoGateway}}, Served: toDatabase,
			})
		}
		// The gateway may connect to the database before the client has gone through with the handshake: what counts is that
		// nothing is carried.
		flows := refused(mongo.CheckedByOther(env, named))
		Expect(flows).To(BeRefused(pattern.UnknownAuthority))
		Expect(flows).To(CarryNothing(mongoGateway))

		flows = refused(mongo.Checked(env, "other."+host))
		Expect(flows).To(BeRefused(pattern.WrongCertificateName))
		Expect(flows).To(CarryNothing(mongoGateway))
		if !env.Hardened {
			flows = refused(mongo.Checked(env, host))
			Expect(flows).To(BeRefused(pattern.WrongCertificateName))
			env.Finding("the certificate is for %s, so that no client can check it for %s, and the source's clients check nothing", named, host)
		}
	})

	It("leaves a wrong password to the database", env.Claim("MI9"), func(ctx SpecContext) {
		wrong := mongo.Ratings(env)
		wrong.Password += "x"
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{mongo.Find(mongo.Balancer(env, mongo.TLSPort), wrong, mongo.Trusted(env))}, Control: tls(mongo.Trusted(env)),
			From: mongo.Outside, Count: refusals, Witnesses: toDatabase, Served: toDatabase,
		})

		Expect(flows).To(BeRefused(pattern.NotLoggedIn))
		Expect(flows).To(PassThrough(mongoGateway, mongo.Database(env)))
		Expect(flows).To(BeAccepted(mongodb))
	})

	It("cannot reach an unregistered host", env.Claim("MI8"), func(ctx SpecContext) {
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{mongo.Reviews(env)}, Control: mongo.Reviews(env), Count: refusals,
			Permit:    env.Configuration.Restore,
			Forbid:    func(ctx context.Context) error { return env.Configuration.Patch(ctx, withoutEntry) },
			Witnesses: []evidence.Witness{{Hop: ratings}}, Served: fromPage,
		})

		Expect(flows).To(Answer(http.StatusOK, mongo.Unavailable))
		Expect(flows).To(BeRefusedBy(ratings, pattern.BlackHole))
		Expect(flows).To(NeverReach(mongoGateway))
		Expect(flows).To(NeverReach(mongodb))
	})
}

// withoutEntry takes the database's host out of the registry.
const withoutEntry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mongodb, namespace: "${bookinfo_namespace}"}
$patch: delete
`
