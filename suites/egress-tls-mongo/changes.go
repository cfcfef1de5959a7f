package egresstlsmongo

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/wait"
	"github.com/meshproof/meshproof/suites/internal/mongo"
)

func changeSpecs(env *pattern.Env) {
	It("picks up a rotated authority", env.Claim("EM6"), func(ctx SpecContext) {
		var away, back time.Duration
		rotation := whileChanged(env, rotated)
		rotation.Forbid = func(ctx context.Context) (err error) {
			if err := env.Configuration.Patch(ctx, rotated); err != nil {
				return err
			}
			away, err = awaitAuthority(ctx, env, "other_certificate_authority")
			return err
		}
		rotation.Permit = func(ctx context.Context) (err error) {
			if err := env.Configuration.Restore(ctx); err != nil {
				return err
			}
			back, err = awaitAuthority(ctx, env, "certificate_authority")
			return err
		}
		flows := env.Refuse(ctx, rotation)

		Expect(flows).To(Answer(http.StatusOK, mongo.Unavailable))
		Expect(flows).To(BeRefusedBy(egress, pattern.UnknownAuthority))
		Expect(flows).To(BeGivenUpAt(mongoGateway, "the egress gateway", env.Observer.Addresses(egress)))
		env.Finding("kubelet's Secret sync (platform period): the egress gateway checked by the changed authority %.0f s after its Secret changed, and by the first one again %.0f s after it was back, without a restart", away.Seconds(), back.Seconds())
	})

	It("shows the same page without the redirect", env.Claim("EM9"), func(ctx SpecContext) {
		direct := whileChanged(env, withoutRedirect)
		direct.Witnesses = []evidence.Witness{{Hop: ratings}}
		tried := pattern.Way{Name: "the redirect removed", From: ratings, To: "LBHOST:27017"}
		if env.Hardened {
			flows := env.Refuse(ctx, direct)
			Expect(flows).To(Answer(http.StatusOK, mongo.Unavailable))
			Expect(flows).To(BeRefusedBy(ratings, pattern.Unreachable))
			Expect(flows).To(NeverReach(egress))
			Expect(flows).To(NeverReach(mongodb))
			tried.Cause, tried.Control = pattern.Unreachable, "the same page, with the redirect"
		} else {
			direct.Count, direct.Witnesses = probes, append(direct.Witnesses, toDatabase...)
			flows := env.Refuse(ctx, direct)
			Expect(flows).To(BeServed())
			Expect(flows).To(Each("both reviewers have the database's one star, in red", "client", pattern.WrongContent, mongo.WithoutOneStar))
			Expect(flows).To(PassThrough(ratings, mongo.External(env, mongo.PlainPort, "")))
			Expect(flows).To(CarryInTurn(ratings, mongoGateway, mongodb))
			Expect(flows).To(AskForName(mongoGateway, ""))
			Expect(flows).To(NeverReach(egress))
			env.Finding("without the redirect the page is the same, and the data goes past the egress gateway in clear text to port %d of the load balancer", mongo.PlainPort)
			tried.Open = true
		}
		env.Tried(tried)

		unregistered := whileChanged(env, withoutEntry)
		unregistered.Witnesses = []evidence.Witness{{Hop: ratings}}
		flows := env.Refuse(ctx, unregistered)
		Expect(flows).To(Answer(http.StatusOK, mongo.Unavailable))
		Expect(flows).To(BeRefusedBy(ratings, pattern.BlackHole))
		Expect(flows).To(NeverReach(egress))
		Expect(flows).To(NeverReach(mongodb))
		env.Tried(pattern.Way{Name: "the ServiceEntry removed", From: ratings, To: "LBHOST:27017", Cause: pattern.BlackHole, Control: "the same page, with the ServiceEntry"})
	})
}

const (
	rotationPeriod = 500 * time.Millisecond
	// mounted is the secret that the gateway makes of the mounted file.
	mounted = "file-root:/etc/secrets/ocp-ca-bundle/ca.crt"
)

var (
	// rotationLimit is how long a changed Secret may take into the gateway's check: the kubelet looks at the Secrets of a pod
	// again within a minute and a half, and then its own copy may be old. mutantRotationLimit is the same for a mutant, in
	// which it may never come.
	rotationLimit       = wait.Limit{Name: "rotation", Usual: 150 * time.Second, For: "the egress gateway to check by a changed authority"}
	mutantRotationLimit = wait.Limit{Name: "rotation of a mutant", Usual: 30 * time.Second, For: "the same of a mutant, in which it may never come"}
)

// errNotRotated says that the gateway still checks by the former authority.
var errNotRotated = errors.New("the egress gateway did not take the changed authority in time")

// awaitAuthority waits until every pod of the egress gateway checks by the authority of a parameter, and by no other, and
// returns after how long they did. When they do not in time, the probes show what they check by.
func awaitAuthority(ctx context.Context, env *pattern.Env, parameter string) (time.Duration, error) {
	serial, err := serialOf(mongo.PEM(env.Values, parameter))
	if err != nil {
		return 0, fmt.Errorf("parameter %s: %w", parameter, err)
	}
	started, timeout := time.Now(), env.Within(rotationLimit)
	if env.ControlTimeout != 0 {
		timeout = env.Within(mutantRotationLimit)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errNotRotated)
	defer cancel()
	ticker := time.NewTicker(rotationPeriod)
	defer ticker.Stop()
	for {
		state := ""
		for _, proxy := range env.Observer.Proxies(egress) {
			secrets, err := proxy.Secrets(ctx)
			if err != nil {
				state = err.Error()
				break
			}
			held := "nothing"
			for _, secret := range secrets {
				if secret.Name == mounted && len(secret.Certificates) == 1 {
					held = secret.Certificates[0].Serial
				}
			}
			if held != serial {
				state = fmt.Sprintf("proxy %s checks by %s", proxy, held)
			}
		}
		if state == "" {
			return time.Since(started), nil
		}
		select {
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), errNotRotated) {
				return 0, fmt.Errorf("wait for the egress gateway to check by the authority of %s (%w): %s", parameter, context.Cause(ctx), state)
			}
			env.Finding("%s (%s): %s; look at Secret ocp-ca-bundle of namespace %s and at the mounted file", errNotRotated, timeout, state, env.Values["egress_namespace"])
			return timeout, nil
		case <-ticker.C:
		}
	}
}

func serialOf(text string) (string, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "", fmt.Errorf("it is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", certificate.SerialNumber.Bytes()), nil
}

// rotated changes the authority in the gateway's Secret.
const rotated = `
apiVersion: v1
kind: Secret
metadata: {name: ocp-ca-bundle, namespace: "${egress_namespace}"}
data: {ca.crt: "${other_certificate_authority}"}
`

// withoutRedirect leaves the application's connections as they are.
const withoutRedirect = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: direct-mongodb-mesh-external-through-egressgateway, namespace: "${egress_namespace}"}
$patch: delete
`

// withoutEntry takes the database's host out of the registry of the application.
const withoutEntry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mongodb, namespace: "${egress_namespace}"}
$patch: delete
`
