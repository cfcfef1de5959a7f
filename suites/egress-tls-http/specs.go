package egresstlshttp

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

const (
	// probes is over how many probes each claim is judged, refusals over how many of each kind a refusal is.
	probes   = 20
	refusals = 3
	// welcome is on the server's page, and on no other.
	welcome = "<title>Welcome to nginx!</title>"
)

var (
	// served are the records of what the server served, through those of a request that has come through the gateway.
	served  = []evidence.Witness{{Hop: nginx, Record: true}}
	through = append([]evidence.Witness{{Hop: inside}, {Hop: egress}}, served...)
	// refused are those of one that the gateway refused.
	refused = []evidence.Witness{{Hop: inside}, {Hop: egress}}
)

func specs(env *pattern.Env) {
	pageSpecs(env)
	hopSpecs(env)
	certificateSpecs(env)
	boundarySpecs(env)
	waySpecs(env)
}

// page is a plain HTTP request for a host, as the application sends it.
func page(host string) traffic.Request {
	return traffic.Request{URL: "http://" + host + "/", Serves: welcome}
}

// toGateway is the cluster by which a sidecar sends to the egress gateway.
func toGateway(env *pattern.Env) string { return "outbound|80|nginx|" + gatewayService(env) }

// gatewayService is the host of the egress gateway's Service.
func gatewayService(env *pattern.Env) string {
	return "istio-egressgateway." + env.Values["egress_namespace"] + ".svc.cluster.local"
}

// toServer is the cluster by which the gateway sends to a host outside.
func toServer(host string) string { return "outbound|443|nginx-https|" + host }

func pageSpecs(env *pattern.Env) {
	It("answers plain HTTP with the page", env.Claim("EH1"), func(ctx SpecContext) {
		host := env.Values[nginxHost]
		flows := env.Probe(ctx, pattern.Measure{Request: page(host), From: inside, Count: probes, Witnesses: through})

		Expect(flows).To(Answer(http.StatusOK, welcome))
		Expect(flows).To(Serve(nginx))
		Expect(flows).To(Each("the server was asked for NGINXHOST by TLS", nginx+" server", pattern.PlainText, notByTLS(host)))
	})

	It("leaves through the gateway", env.Claim("EH2"), func(ctx SpecContext) {
		host := env.Values[nginxHost]
		flows := env.Probe(ctx, pattern.Measure{Request: page(host), From: inside, Count: probes, Witnesses: through})

		Expect(flows).To(BeServed())
		Expect(flows).To(PassThrough(inside, toGateway(env)))
		Expect(flows).To(PassThrough(egress, toServer(host)))
		Expect(flows).To(BeFrom(nginx, "the egress gateway", env.Observer.Addresses(egress)))
	})
}

// notByTLS is what is wrong with how the server was asked: behind a Route it is asked in plain text, and the router tells by what
// it was asked itself.
func notByTLS(host string) func(evidence.Flow) string {
	return func(flow evidence.Flow) string {
		for _, r := range flow.RecordsAt(nginx) {
			switch {
			case r.Host != host:
				return "asked the server for " + r.Host
			case r.TLS == nil && r.LastProto() != "https":
				return "came to the server by " + r.LastProto()
			}
		}
		return ""
	}
}

func hopSpecs(env *pattern.Env) {
	It("is mutual TLS to the gateway", env.Claim("EH3"), func(ctx SpecContext) {
		host := env.Values[nginxHost]
		all, failed, begun := OutboundConnections(inside, toGateway(env))
		flows := env.Probe(ctx, pattern.Measure{
			Request: page(host), From: inside, Count: probes, Witnesses: through, Totals: []evidence.Counter{all, failed, begun},
		})

		Expect(flows).To(BeServed())
		Expect(flows).To(AskForName(egress, host))
		Expect(flows).To(ConnectWithTLSOnly(inside, toGateway(env)))
		if env.Hardened {
			Expect(flows).To(ComeUnidentified(nginx))
			return
		}
		// Who the gateway saw come, it tells the server too.
		Expect(flows).To(ComeAs(nginx, env.Identity(env.Values["bookinfo_namespace"], "default")))
		env.Finding("the egress gateway sends the application's mesh identity and certificate to the server outside, in X-Forwarded-Client-Cert")
	})

	It("begins TLS at the gateway", env.Claim("EH4"), func(ctx SpecContext) {
		for _, host := range []string{env.Values[serverHost], env.Values[nginxHost]} {
			By("to " + host)
			all, failed, begun := OutboundConnections(egress, toServer(host))
			flows := env.Probe(ctx, pattern.Measure{
				Request: page(host), From: inside, Count: probes, Witnesses: through, Totals: []evidence.Counter{all, failed, begun},
			})

			Expect(flows).To(BeServed())
			Expect(flows).To(PassThrough(egress, toServer(host)))
			Expect(flows).To(ConnectWithTLSOnly(egress, toServer(host)))
			Expect(flows).To(BeFrom(nginx, "the egress gateway", env.Observer.Addresses(egress)))
			if host == env.Values[serverHost] {
				Expect(flows).To(TakeTLS(nginx, host))
				Expect(flows).To(Each("no client certificate was shown", nginx+" server", pattern.WrongIdentity, showsCertificate))
				Expect(flows).To(Each("no connection to the TLS port failed", nginx+" handshakes", pattern.PlainText, failsAmong(flows.Handshakes)))
			}
		}
	})
}

// showsCertificate is what is wrong with a client certificate.
func showsCertificate(flow evidence.Flow) string {
	for _, r := range flow.RecordsAt(nginx) {
		if r.TLS != nil && r.TLS.Client != "" {
			return "showed the server the certificate of " + r.TLS.Client
		}
	}
	return ""
}

// failsAmong is what is wrong with the handshakes while a probe was under way; plain text is one that fails.
func failsAmong(handshakes []evidence.Handshake) func(evidence.Flow) string {
	return func(flow evidence.Flow) string {
		for _, h := range handshakes {
			if h.Error != "" && flow.Spans(h.Time) {
				return "was under way when a connection of " + h.Peer + " failed: " + h.Error
			}
		}
		return ""
	}
}
