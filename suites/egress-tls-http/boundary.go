package egresstlshttp

import (
	"context"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

func boundarySpecs(env *pattern.Env) {
	It("takes the mesh only at the gateway", env.Claim("EH7"), func(ctx SpecContext) {
		// The control is the same host on the same port, by a proxy that has a certificate of the mesh.
		host := env.Values[nginxHost]
		refusal := pattern.Refusal{Control: page(host), From: outside, ControlFrom: inside, Count: refusals, Served: through}

		plain := refusal
		plain.Requests = []traffic.Request{{URL: "http://" + host + "/", Address: gatewayService(env) + ":80"}}
		plain.Witnesses = []evidence.Witness{{Hop: egress}}
		flows := env.Refuse(ctx, plain)
		Expect(flows).To(BeRefused(pattern.NoFilterChain))
		Expect(flows).To(BeRefusedBy(egress, pattern.NoFilterChain))
		Expect(flows).To(NeverReach(nginx))
		env.Tried(pattern.Way{Name: "plain HTTP to the gateway", From: outside, To: "istio-egressgateway:80", Cause: pattern.NoFilterChain, Control: "NGINXHOST:80 from " + inside})

		bare := refusal
		bare.Requests = []traffic.Request{{URL: "https://" + host + "/", Address: gatewayService(env) + ":80", Unchecked: true}}
		without := evidence.Counter{Hop: egress, Listener: "0.0.0.0_8080", Name: "ssl.fail_verify_no_cert"}
		bare.Counters = []evidence.Counter{without}
		flows = env.Refuse(ctx, bare)
		Expect(flows).To(BeRefused(pattern.NoClientCertificate))
		Expect(flows).To(BeCounted(without))
		Expect(flows).To(NeverReach(egress))
		Expect(flows).To(NeverReach(nginx))
		env.Tried(pattern.Way{Name: "TLS without a certificate of the mesh", From: outside, To: "istio-egressgateway:80", Cause: pattern.NoClientCertificate, Control: "NGINXHOST:80 from " + inside})
	})

	It("has TLS begin at the gateway alone", env.Claim("EH8"), func(ctx SpecContext) {
		host := env.Values[nginxHost]
		unknown, known := originatingClusters(ctx, env, inside), originatingClusters(ctx, env, egress)
		direct := page(host)
		direct.Timeout = unansweredTimeout
		refusal := pattern.Refusal{
			Requests: []traffic.Request{direct}, Control: page(host), From: inside, Count: refusals,
			Permit:    env.Configuration.Restore,
			Forbid:    func(ctx context.Context) error { return env.Configuration.Patch(ctx, withoutRedirect) },
			Witnesses: []evidence.Witness{{Hop: inside}}, Served: through,
		}
		flows := env.Refuse(ctx, refusal)
		Expect(flows).To(Each("the application's proxy has no originating cluster, and no file of an authority", inside+" configuration", pattern.WrongCluster, func(evidence.Flow) string {
			if len(unknown) > 0 {
				return "was sent by a proxy that has " + strings.Join(unknown, ", ")
			}
			return ""
		}))
		Expect(flows).To(Each("the gateway has the originating cluster", egress+" configuration", pattern.WrongCluster, func(evidence.Flow) string {
			if len(known) == 0 {
				return "was sent beside a gateway that has none"
			}
			return ""
		}))
		tried := pattern.Way{Name: "the redirect removed", From: inside, To: "NGINXHOST:80", Cause: pattern.Unreachable, Control: "the same request, with the redirect"}
		if env.Values["nginx_endpoint"] == host { // a Route's
			tried.Cause = pattern.NotPublished
			Expect(flows).To(Answer(http.StatusServiceUnavailable))
		} else { // a load balancer without port 80 may refuse, or say nothing
			Expect(flows).To(Each("the client is not served", "client", pattern.NotRefused, func(flow evidence.Flow) string {
				if flow.Result.Served() {
					return "was served"
				}
				return ""
			}))
		}
		Expect(flows).To(PassThrough(inside, "outbound|80||"+host))
		Expect(flows).To(NeverReach(egress))
		Expect(flows).To(NeverReach(nginx))
		env.Tried(tried)
	})

	It("has no way without the gateway", env.Claim("EH10"), func(ctx SpecContext) {
		host := env.Values[nginxHost]
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{page(host)}, Control: page(host), From: inside, Count: refusals,
			Permit:    env.Configuration.Restore,
			Forbid:    func(ctx context.Context) error { return env.Configuration.Patch(ctx, withoutGateway) },
			Witnesses: []evidence.Witness{{Hop: inside}}, Served: through,
		})
		Expect(flows).To(BeRefused(pattern.NoHealthyUpstream))
		Expect(flows).To(BeRefusedBy(inside, pattern.NoHealthyUpstream))
		Expect(flows).To(NeverReach(nginx))
		env.Tried(pattern.Way{Name: "the gateway scaled to nothing", From: inside, To: "NGINXHOST:80", Cause: pattern.NoHealthyUpstream, Control: "the same request, with the gateway"})
	})
}

// originatingClusters are the clusters of a hop's proxies by which TLS to a host outside begins as the originating rules have it.
func originatingClusters(ctx context.Context, env *pattern.Env, hop string) []string {
	GinkgoHelper()
	var names []string
	for _, proxy := range env.Observer.Proxies(hop) {
		clusters, err := proxy.Clusters(ctx)
		if err != nil {
			env.Trouble("the proxies' configuration can be read", err)
			Fail(err.Error())
		}
		for _, cluster := range clusters {
			if strings.Contains(cluster.Name, "|nginx-https|") || cluster.TLS != nil && strings.HasPrefix(cluster.TLS.Validation, "file-root:/etc/secrets/") {
				names = append(names, cluster.Name)
			}
		}
	}
	return names
}

// unansweredTimeout is for a request that nobody may answer.
const unansweredTimeout = 2 * time.Second

const (
	// withoutRedirect leaves the application's requests as they are.
	withoutRedirect = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: direct-nginx-mesh-external-through-egressgateway, namespace: "${egress_namespace}"}
$patch: delete
`
	// withoutGateway leaves the egress gateway no pod.
	withoutGateway = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-egressgateway, namespace: "${egress_namespace}"}
spec: {replicas: 0}
`
)
