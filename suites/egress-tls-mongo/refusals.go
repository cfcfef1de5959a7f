package egresstlsmongo

import (
	"context"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/suites/internal/mongo"
)

func refusalSpecs(env *pattern.Env) {
	It("refuses plain text on the TLS port", env.Claim("EM4"), func(ctx SpecContext) {
		plain := mongo.Find(mongo.Balancer(env, mongo.TLSPort), mongo.Ratings(env), nil)
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{plain}, Control: mongo.Find(mongo.Balancer(env, mongo.TLSPort), mongo.Ratings(env), mongo.Unchecked(env)),
			From: mongo.Outside, Count: refusals, Witnesses: []evidence.Witness{{Hop: mongoGateway}}, Served: toDatabase,
		})
		Expect(flows).To(BeRefused(pattern.NoFilterChain))
		Expect(flows).To(BeRefusedBy(mongoGateway, pattern.NoFilterChain))
		Expect(flows).To(NeverReach(mongodb))

		// The sidecar does not add TLS of its own: what it knows of the port, it hands on as it is.
		refuser, cause := mongoGateway, pattern.NoFilterChain
		if env.Hardened {
			refuser, cause = mongo.Inside, pattern.BlackHole
		}
		flows = env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{plain}, Control: mongo.Find(mongo.Balancer(env, mongo.PlainPort), mongo.Ratings(env), nil),
			From: mongo.Inside, Count: refusals, Witnesses: []evidence.Witness{{Hop: refuser}}, Served: through,
		})
		Expect(flows).To(BeRefused(cause))
		Expect(flows).To(BeRefusedBy(refuser, cause))
		Expect(flows).To(NeverReach(mongodb))
	})

	It("refuses a server of another authority", env.Claim("EM5"), func(ctx SpecContext) {
		flows := env.Refuse(ctx, whileChanged(env, otherAuthority))

		Expect(flows).To(Answer(http.StatusOK, mongo.Unavailable))
		Expect(flows).To(Serve(ratings))
		Expect(flows).To(Each("ratings answered 500", ratings+" server", pattern.WrongStatus, notRefusedByRatings))
		Expect(flows).To(BeRefusedBy(egress, pattern.UnknownAuthority))
		Expect(flows).To(BeGivenUpAt(mongoGateway, "the egress gateway", env.Observer.Addresses(egress)))
	})

	It("has no way without the gateway", env.Claim("EM10"), func(ctx SpecContext) {
		refusal := whileChanged(env, withoutGateway)
		refusal.Witnesses = []evidence.Witness{{Hop: ratings}, {Hop: ratings, Record: true}}
		flows := env.Refuse(ctx, refusal)

		Expect(flows).To(Answer(http.StatusOK, mongo.Unavailable))
		Expect(flows).To(Serve(ratings))
		Expect(flows).To(Each("ratings answered 500", ratings+" server", pattern.WrongStatus, notRefusedByRatings))
		Expect(flows).To(BeRefusedBy(ratings, pattern.NoHealthyUpstream))
		Expect(flows).To(NeverReach(mongoGateway))
		Expect(flows).To(NeverReach(mongodb))
		env.Tried(pattern.Way{Name: "the gateway scaled to nothing", From: ratings, To: "LBHOST:27017", Cause: pattern.NoHealthyUpstream, Control: "the same page, with the gateway"})
	})
}

// whileChanged asks for pages while patches change what is installed, between pages that are served.
func whileChanged(env *pattern.Env, patches string) pattern.Refusal {
	return pattern.Refusal{
		Requests: []traffic.Request{mongo.Reviews(env)}, Control: mongo.Reviews(env), Count: refusals,
		Permit:    env.Configuration.Restore,
		Forbid:    func(ctx context.Context) error { return env.Configuration.Patch(ctx, patches) },
		Witnesses: []evidence.Witness{{Hop: ratings}, {Hop: ratings, Record: true}, {Hop: egress}}, Served: fromPage,
	}
}

// notRefusedByRatings is what is wrong with the answer of ratings.
func notRefusedByRatings(flow evidence.Flow) string {
	for _, r := range flow.RecordsAt(ratings) {
		if r.Status != http.StatusInternalServerError {
			return "was answered by ratings with " + http.StatusText(r.Status)
		}
	}
	return ""
}

// otherAuthority has the gateway check by the authority that has signed nothing: a new cluster, whose connections are new.
const otherAuthority = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: originate-tls-for-mongodb-mesh-external, namespace: "${egress_namespace}"}
spec:
  subsets:
  - name: mongodb-tls
    trafficPolicy:
      loadBalancer: {simple: ROUND_ROBIN}
      portLevelSettings:
      - port: {number: 27018}
        tls: {mode: SIMPLE, caCertificates: /etc/secrets/other-ca-bundle/ca.crt, sni: "${mongodb_host}"}
`

// withoutGateway leaves the egress gateway no pod.
const withoutGateway = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-egressgateway, namespace: "${egress_namespace}"}
spec: {replicas: 0}
`
