package egresstlshttp

import (
	"context"
	"net"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/suites/internal/authority"
)

// way is one way round the egress gateway that is in the request alone.
type way struct {
	name, from, to string
	request        traffic.Request
	// cluster is by which the sidecar sends it when it is open; empty where there is no sidecar.
	cluster string
	// closed says that the hardened variant closes it.
	closed bool
}

func waySpecs(env *pattern.Env) {
	It("lets TLS of the application's own past the gateway as the source has it", env.Claim("EH9"), func(ctx SpecContext) {
		host := env.Values[nginxHost]
		authorities, err := authority.PEM(env.Values, certificate)
		Expect(err).NotTo(HaveOccurred())
		own := traffic.Request{URL: "https://" + host + "/", RootCAs: authorities, Serves: welcome}
		for _, way := range []way{
			{name: "TLS of the application's own", from: inside, to: "NGINXHOST:443", request: own, cluster: "outbound|443||" + host, closed: true},
			{
				name: "TLS to an address that the registry does not know", from: inside, to: "the load balancer's address, port 443", cluster: "PassthroughCluster", closed: true,
				request: traffic.Request{URL: "https://" + net.JoinHostPort(env.Values[serverIP], "443") + "/", Unchecked: true, Serves: welcome},
			},
			{
				name: "the server's own Service, in plain text", from: inside, to: "nginx-ex:8080", cluster: "PassthroughCluster", closed: true,
				request: page("nginx-ex." + env.Values["mesh_external_namespace"] + ".svc.cluster.local:8080"),
			},
			{name: "TLS without a sidecar", from: outside, to: "NGINXHOST:443", request: own},
		} {
			way.try(ctx, env)
		}
		if !env.Hardened {
			env.Finding("https of the application itself to port 443 goes from its sidecar straight to the server, past the egress gateway; so does whatever the registry does not know")
		}
	})
}

// try judges what becomes of the way, beside a control that goes through the gateway, and notes it.
func (w way) try(ctx context.Context, env *pattern.Env) {
	GinkgoHelper()
	By(w.name + ", from " + w.from + " to " + w.to)
	tried := pattern.Way{Name: w.name, From: w.from, To: w.to}
	refusal := pattern.Refusal{
		Requests: []traffic.Request{w.request}, Control: page(env.Values[nginxHost]), From: w.from, ControlFrom: inside, Count: refusals, Served: through,
	}
	if w.closed && env.Hardened {
		refusal.Witnesses = []evidence.Witness{{Hop: inside}}
		flows := env.Refuse(ctx, refusal)
		Expect(flows).To(BeRefused(pattern.BlackHole))
		Expect(flows).To(BeRefusedBy(inside, pattern.BlackHole))
		Expect(flows).To(NeverReach(nginx))
		tried.Cause, tried.Control = pattern.BlackHole, "NGINXHOST:80 from "+inside+", through the gateway"
		env.Tried(tried)
		return
	}
	refusal.Witnesses = served
	if w.cluster != "" {
		refusal.Witnesses = append([]evidence.Witness{{Hop: inside}}, served...)
	}
	flows := env.Refuse(ctx, refusal)
	Expect(flows).To(BeServed())
	if w.cluster != "" {
		Expect(flows).To(PassThrough(inside, w.cluster))
	}
	Expect(flows).To(BeFrom(nginx, "the pod that sent it", env.Observer.Addresses(w.from)))
	Expect(flows).To(NeverReach(egress))
	tried.Open = true
	env.Tried(tried)
}
