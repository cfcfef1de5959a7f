package egresstlshttp

import (
	"context"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

func certificateSpecs(env *pattern.Env) {
	// A changed rule makes a new cluster, whose connections are new: on one that is kept, nothing is checked again.
	It("refuses a server of an unknown authority", env.Claim("EH5"), func(ctx SpecContext) {
		for _, changed := range []struct{ name, patch string }{
			{"an authority that has signed nothing", otherAuthority},
			{"the system's authorities", noAuthority},
		} {
			By("by " + changed.name)
			host := env.Values[serverHost]
			flows := env.Refuse(ctx, pattern.Refusal{
				Requests: []traffic.Request{page(host)}, Control: page(host), From: inside, Count: refusals,
				Permit:    env.Configuration.Restore,
				Forbid:    func(ctx context.Context) error { return env.Configuration.Patch(ctx, changed.patch) },
				Witnesses: refused, Served: through,
			})
			refusesServer(flows, env, egress, host, pattern.UnknownAuthority)
		}
	})

	It("checks certificates as the source has it", env.Claim("EH6"), func(ctx SpecContext) {
		control := page(env.Values[serverHost])
		expired, foreign := "expired."+env.Values[serverHost], "foreign."+env.Values[serverHost]
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{page(expired)}, Control: control, From: inside, Count: refusals, Witnesses: refused, Served: through,
		})
		refusesServer(flows, env, egress, expired, pattern.ExpiredCertificate)

		if env.Hardened {
			flows = env.Refuse(ctx, pattern.Refusal{
				Requests: []traffic.Request{page(foreign)}, Control: control, From: inside, Count: refusals, Witnesses: refused, Served: through,
			})
			refusesServer(flows, env, egress, foreign, pattern.WrongCertificateName)
			return
		}
		flows = env.Probe(ctx, pattern.Measure{Request: page(foreign), From: inside, Count: refusals, Witnesses: through})
		Expect(flows).To(BeServed())
		Expect(flows).To(PassThrough(egress, toServer(foreign)))
		Expect(flows).To(TakeTLS(nginx, foreign))
		env.Finding("the name in the server's certificate is not checked: with an sni and no subjectAltNames, one of the same authority for another name is accepted")
	})

	It("has the sidecar begin TLS itself", env.Claim("EH11"), func(ctx SpecContext) {
		named, misnamed := "www."+env.Values[serverHost], "maps."+env.Values[serverHost]
		control := page(env.Values[serverHost])
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{page(named)}, Control: control, From: inside, Count: probes,
			Witnesses: append([]evidence.Witness{{Hop: inside}}, served...), Served: through,
		})
		Expect(flows).To(BeServed())
		Expect(flows).To(PassThrough(inside, "outbound|443|tls-origination|"+named))
		Expect(flows).To(TakeTLS(nginx, named))
		Expect(flows).To(BeFrom(nginx, "the application's own proxy", env.Observer.Addresses(inside)))
		Expect(flows).To(NeverReach(egress))

		// Its certificate is not for this name, and the rule, which has no sni, has it checked.
		flows = env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{page(misnamed)}, Control: page(named), From: inside, Count: refusals,
			Witnesses: []evidence.Witness{{Hop: inside}}, Served: append([]evidence.Witness{{Hop: inside}}, served...),
		})
		refusesServer(flows, env, inside, misnamed, pattern.WrongCertificateName)
	})
}

// refusesServer judges that a proxy refused the server's certificate for a host: by what the client got, by its own log, and by
// what the server saw of the handshake.
func refusesServer(flows evidence.Flows, env *pattern.Env, hop, host string, cause pattern.Cause) {
	GinkgoHelper()
	// The client is told no more than this: why, the proxy's log has.
	Expect(flows).To(Answer(http.StatusServiceUnavailable, "connection failure"))
	handshakes := Handshakes{Hop: nginx, Name: host, Who: hop, Addresses: env.Observer.Addresses(hop)}
	Expect(flows).To(RefuseCertificate(hop, cause, handshakes))
	Expect(flows).To(EndHandshake(handshakes))
	Expect(flows).To(NeverReach(nginx))
}

// otherAuthority has the gateway check by an authority that has signed nothing; noAuthority by those of its system.
const (
	otherAuthority = originating + `caCertificates: /etc/secrets/other-ca-bundle/ca.crt, sni: "${server_host}"}
`
	noAuthority = originating + `sni: "${server_host}"}
`
	originating = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: originate-tls-for-server, namespace: "${egress_namespace}"}
spec:
  subsets:
  - name: nginx-https
    trafficPolicy:
      loadBalancer: {simple: ROUND_ROBIN}
      portLevelSettings:
      - port: {number: 443}
        tls: {mode: SIMPLE, `
)
