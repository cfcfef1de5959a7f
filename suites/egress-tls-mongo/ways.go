package egresstlsmongo

import (
	"context"
	"fmt"
	"net"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/suites/internal/mongo"
)

// way is one way round the egress gateway that is in the request alone.
type way struct {
	name, from, to string
	request        traffic.Request
	// refused is the cause, and by whom; a way without one is open, and hops are those that carry it.
	refused pattern.Cause
	by      string
	hops    []string
}

// tryWays tries every way round the egress gateway that needs no change of the configuration, beside controls that are served.
func tryWays(ctx context.Context, env *pattern.Env) {
	GinkgoHelper()
	plain := func(address string) traffic.Request { return mongo.Find(address, mongo.Ratings(env), nil) }
	tls := mongo.Find(mongo.Balancer(env, mongo.TLSPort), mongo.Ratings(env), mongo.Unchecked(env))
	sidecar := way{
		name: "TLS of the application's own", from: mongo.Inside, to: "LBHOST:27018", request: tls,
		hops: []string{mongo.Inside, mongoGateway, mongodb},
	}
	balancer := way{
		name: "the plain port, without a sidecar", from: mongo.Outside, to: "LBHOST:27017", request: plain(mongo.Balancer(env, mongo.PlainPort)),
		hops: []string{mongoGateway, mongodb},
	}
	if env.Hardened {
		sidecar.refused, sidecar.by = pattern.BlackHole, mongo.Inside
		balancer.refused = pattern.Unreachable
	}
	for _, way := range []way{
		sidecar,
		{
			name: "another port of the load balancer", from: mongo.Inside, to: "LBHOST:27019", request: plain(mongo.Balancer(env, 27019)),
			refused: pattern.BlackHole, by: mongo.Inside,
		},
		balancer,
		{
			name: "TLS without a sidecar", from: mongo.Outside, to: "LBHOST:27018", request: tls,
			hops: []string{mongoGateway, mongodb},
		},
		{
			name: "the database's own Service, without a sidecar", from: mongo.Outside, to: "mongodb:27017",
			request: plain(databaseHost(env)), refused: pattern.NoFilterChain, by: mongodb,
		},
	} {
		way.try(ctx, env)
	}
	// With a sidecar port 27017 of any address is the gateway's: of the load balancer's address, and of the database's Service.
	for name, address := range map[string]string{
		"LBIP:27017":    net.JoinHostPort(env.Values[mongo.IP], fmt.Sprint(mongo.PlainPort)),
		"mongodb:27017": databaseHost(env),
	} {
		By(name + " leads to the gateway")
		flows := env.Probe(ctx, pattern.Measure{Request: plain(address), From: mongo.Inside, Count: refusals, Witnesses: append([]evidence.Witness{{Hop: mongo.Inside}}, through...)})
		Expect(flows).To(BeServed())
		Expect(flows).To(CarryInTurn(mongo.Inside, egress, mongoGateway, mongodb))
	}
}

func databaseHost(env *pattern.Env) string {
	return fmt.Sprintf("mongodb.%s.svc.cluster.local:%d", env.Values["mongodb_namespace"], mongo.PlainPort)
}

// try judges what becomes of the way, and notes it.
func (w way) try(ctx context.Context, env *pattern.Env) {
	GinkgoHelper()
	By(w.name + ", from " + w.from + " to " + w.to)
	tried := pattern.Way{Name: w.name, From: w.from, To: w.to, Open: w.refused == "", Cause: w.refused, Control: "LBHOST:27017 from " + mongo.Inside + ", through the gateway"}
	if w.refused == "" {
		witnesses := toDatabase
		if w.from == mongo.Inside {
			witnesses = append([]evidence.Witness{{Hop: mongo.Inside}}, toDatabase...)
		}
		tried.Control = "" // it was served itself
		flows := env.Probe(ctx, pattern.Measure{Request: w.request, From: w.from, Count: refusals, Witnesses: witnesses})
		Expect(flows).To(BeServed())
		Expect(flows).To(CarryInTurn(w.hops...))
		env.Tried(tried)
		return
	}
	control, served := mongo.Find(mongo.Balancer(env, mongo.PlainPort), mongo.Ratings(env), nil), through
	if w.from == mongo.Outside {
		control, served = mongo.Find(mongo.Balancer(env, mongo.TLSPort), mongo.Ratings(env), mongo.Unchecked(env)), toDatabase
		tried.Control = "LBHOST:27018 by TLS, from " + mongo.Outside
	}
	refusal := pattern.Refusal{Requests: []traffic.Request{w.request}, Control: control, From: w.from, Count: refusals, Served: served}
	if w.by != "" {
		refusal.Witnesses = []evidence.Witness{{Hop: w.by, Inbound: w.by == mongodb}}
	}
	flows := env.Refuse(ctx, refusal)
	Expect(flows).To(BeRefused(w.refused))
	if w.by != "" {
		Expect(flows).To(BeRefusedBy(w.by, w.refused))
	}
	Expect(flows).To(NeverReach(mongodb))
	env.Tried(tried)
}
