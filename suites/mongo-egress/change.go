package mongoegress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/framework/wait"
	"github.com/meshproof/meshproof/suites/internal/mongo"
)

// moved gives the load balancer the address that the other one had. entry and redirect are the configuration rendered again
// with it, and back undoes both with the addresses as they were.
const (
	moved = `
apiVersion: v1
kind: Service
metadata: {name: mongo-ingressgateway-other, namespace: "${control_plane_namespace}"}
$patch: delete
---
apiVersion: v1
kind: Service
metadata: {name: mongo-ingressgateway, namespace: "${control_plane_namespace}"}
spec: {loadBalancerIP: "${mongodb_other_ip}"}
`
	renderedAgain = moved + `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mongodb, namespace: "${bookinfo_namespace}"}
spec:
  addresses: ["${mongodb_other_ip}/32"]
  endpoints: [{address: "${mongodb_other_ip}"}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: direct-mongo-through-egress-gateway, namespace: "${control_plane_namespace}"}
spec:
  tcp:
  - match:
    - gateways: [mesh]
      destinationSubnets: ["${mongodb_other_ip}/32"]
      port: 27018
    route:
    - destination:
        host: istio-egressgateway.${control_plane_namespace}.svc.cluster.local
        subset: mongo
        port: {number: 15666}
  - match:
    - gateways: [istio-egressgateway]
      port: 15666
    route:
    - destination:
        host: ${mongodb_host}
        port: {number: 27018}
`
	back = `
apiVersion: v1
kind: Service
metadata: {name: mongo-ingressgateway, namespace: "${control_plane_namespace}"}
spec: {loadBalancerIP: "${mongodb_ip}"}
---
apiVersion: v1
kind: Service
metadata: {name: mongo-ingressgateway-other, namespace: "${control_plane_namespace}"}
spec: {loadBalancerIP: "${mongodb_other_ip}"}
`
)

const (
	// held is how long a connection is kept in use across the change.
	held          = 8 * time.Second
	publishPeriod = 100 * time.Millisecond
)

// publishLimit is how long the name may take to lead to the new address.
var publishLimit = wait.Limit{Name: "publish", Usual: 60 * time.Second, For: "the name of a load balancer to lead to its new address"}

func changeSpecs(env *pattern.Env, to paths) {
	It("survives another address when it is rendered again", env.Claim("ME8"), func(ctx SpecContext) {
		if env.Values[mongo.Name] == env.Values[mongo.IP] {
			env.CannotJudge("the load balancer has no name, whose address could change under those who use it", "run it where load balancers have names")
		}
		if all := balancers(env.Values); len(all) > 1 {
			env.CannotJudge(fmt.Sprintf("the load balancer's name has %d addresses, and a load balancer can be asked for one only", len(all)), "run it where a load balancer has one address")
		}
		DeferCleanup(func(ctx SpecContext) {
			err := env.Configuration.Patch(ctx, back)
			for _, parameter := range []string{mongo.IP, otherIP} {
				if err == nil {
					err = env.Configuration.Await(ctx, parameter, env.Values[parameter])
				}
			}
			if err != nil {
				env.Spoil("the load balancers can have their addresses again", err)
			}
			Expect(env.Configuration.Restore(ctx)).To(Succeed())
		})
		inside, err := env.Vantage(ctx, mongo.Inside)
		Expect(err).NotTo(HaveOccurred())
		connection := hold(ctx, inside, to)
		pages := env.Follow(ctx, mongo.Reviews(env), "")
		var took time.Duration
		var mended time.Time
		again := 0
		flows := env.Refuse(ctx, pattern.Refusal{
			Requests: []traffic.Request{mongo.Reviews(env)}, Control: mongo.Reviews(env), Count: refusals,
			// Behind the egress gateway a port that led to the former address may be translated while that connection is remembered:
			// there the hops cannot all be joined.
			Witnesses: []evidence.Witness{{Hop: ratings}}, Served: []evidence.Witness{{Hop: ratings}, {Hop: egress}},
			Forbid: func(ctx context.Context) error {
				started := time.Now()
				if err := env.Configuration.Patch(ctx, moved); err != nil {
					return err
				}
				if err := env.Configuration.Await(ctx, mongo.IP, env.Values[otherIP]); err != nil {
					return err
				}
				err := published(ctx, inside, to, env.Values[otherIP])
				took = time.Since(started)
				return err
			},
			Permit: func(ctx context.Context) error {
				if again++; again == 1 {
					return nil // it is as it was installed
				}
				mended = time.Now()
				return env.Configuration.Patch(ctx, renderedAgain)
			},
		})
		Expect(pages.Stop()).To(Succeed())

		Expect(flows).To(BeRefusedBy(ratings, pattern.BlackHole))
		Expect(flows).To(Answer(http.StatusOK, mongo.Unavailable))
		Expect(flows).To(NeverReach(egress))
		recovered := flows.OfControls()
		recovered.List = recovered.List[pattern.ControlSuccesses:]
		Expect(recovered).To(BeServed())
		Expect(recovered).To(PassThrough(egress, to.server()))
		Expect(recovered).To(Each("the egress gateway connects to the new address", "egress gateway log", pattern.WrongPeer, func(flow evidence.Flow) string {
			return elsewhere(flow, net.JoinHostPort(env.Values[otherIP], "27018"))
		}))
		failed, all := pages.Failed()
		env.Finding("platform period: the name led to the new address after %.1f s", took.Seconds())
		recovery, _ := pages.ServedAfter(mended)
		env.Finding("new connections failed for %.1f s (%d of %d pages); they were served %.1f s after the configuration was rendered again", pages.Gap().Seconds(), failed, all, recovery.Seconds())
		env.Finding("%s", <-connection)
	})
}

// elsewhere is what is wrong with where the egress gateway connected to.
func elsewhere(flow evidence.Flow, wanted string) string {
	for _, line := range flow.At(egress, false) {
		if line.UpstreamHost != wanted {
			return "was sent by the egress gateway to " + line.UpstreamHost
		}
	}
	return ""
}

// hold keeps one connection in use, and says afterwards what became of it.
func hold(ctx context.Context, client traffic.Client, to paths) <-chan string {
	request := to.host()
	request.Database.HoldMilliseconds = held.Milliseconds()
	outcome := make(chan string, 1)
	go func() {
		result, err := client.Do(ctx, traffic.NewProbes(request, "held", 1)[0])
		switch {
		case err != nil:
			outcome <- "the held connection could not be watched: " + err.Error()
		case result.Served():
			outcome <- fmt.Sprintf("a held connection went on: %d questions in %.1f s, none failed", result.Database.Rounds, result.Duration.Seconds())
		default:
			outcome <- fmt.Sprintf("a held connection ended after %.1f s: %s", result.Duration.Seconds(), result.Err)
		}
	}()
	return outcome
}

// published waits until the name leads a client to the address.
func published(ctx context.Context, client traffic.Client, to paths, address string) error {
	timeout := to.env.Within(publishLimit)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(publishPeriod)
	defer ticker.Stop()
	wanted, seen := net.JoinHostPort(address, "27018"), ""
	for {
		result, err := client.Do(ctx, traffic.NewProbes(to.host(), "published", 1)[0])
		if err == nil && result.RemoteAddress == wanted {
			return nil
		}
		if err == nil {
			seen = result.RemoteAddress
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s still leads to %s, and not to %s, after %s", to.env.Values[mongo.Host], seen, wanted, timeout)
		case <-ticker.C:
		}
	}
}
