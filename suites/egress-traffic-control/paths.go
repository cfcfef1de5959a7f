package egresstrafficcontrol

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// The plans, as the header plan-type names them; each has a subset of this name.
const (
	gold   = "gold"
	silver = "silver"
	bronze = "bronze"
)

// limits are the connections that each plan may have at once, as the manifests say.
var limits = map[string]int{silver: 20, bronze: 1}

// everyHop are the records that a request leaves on its way to rating-service.
var everyHop = []evidence.Witness{{Hop: gateway}, {Hop: product, Inbound: true}, {Hop: product, Record: true}, {Hop: product}, {Hop: rating, Record: true}}

// paths are what is sent where.
type paths struct{ env *pattern.Env }

// ask is the request for a product by which a caller of this plan asks; none has no header. Its number is the probe's, because
// product-service passes on nothing else but the plan.
func (p paths) ask(plan string) traffic.Request {
	request := traffic.Request{
		URL:     fmt.Sprintf("http://custom-ingressgateway.%s.svc.cluster.local/product/%s", p.env.Values["control_plane_namespace"], traffic.NumberPlaceholder),
		Host:    p.env.Values["product_hostname"],
		Timeout: requestTimeout,
	}
	if plan != "" {
		request.Header = map[string]string{"plan-type": plan}
	}
	return request
}

// requestTimeout is longer than any queue of these checks.
const requestTimeout = 2 * time.Minute

// cluster is the one that Istio makes of a subset.
func (p paths) cluster(plan string) string {
	return fmt.Sprintf("outbound|80|%s|%s", plan, p.env.Values[ratingHost])
}

// requests counts what the sidecar of product-service sends to a plan's cluster.
func (p paths) requests(plan string) evidence.Counter {
	return evidence.Counter{Hop: product, Cluster: p.cluster(plan), Name: "upstream_rq_total"}
}

// delay is the parameter.
func (p paths) delay() time.Duration {
	duration, _ := time.ParseDuration(p.env.Values[ratingDelay]) // it was parsed when it was given
	return duration
}

// behaviour is how rating-service is told to treat requests (see its control port).
type behaviour struct {
	DelayMilliseconds int64          `json:"delayMilliseconds"`
	DelayGold         bool           `json:"delayGold,omitempty"`
	Failures          map[string]int `json:"failures,omitempty"`
}

// slowly is a behaviour with this delay for everybody but gold.
func slowly(delay time.Duration) behaviour { return behaviour{DelayMilliseconds: delay.Milliseconds()} }

// behave has rating-service behave, and the check end where it cannot be told to.
func (p paths) behave(ctx context.Context, wanted behaviour) {
	GinkgoHelper()
	if err := p.tell(ctx, wanted); err != nil {
		p.env.Trouble("rating-service can be told how to behave", err)
		Fail(err.Error())
	}
}

func (p paths) tell(ctx context.Context, wanted behaviour) error {
	body, err := json.Marshal(wanted)
	if err != nil {
		return err
	}
	request := traffic.Request{
		Method: http.MethodPut, Body: string(body), Header: map[string]string{"Content-Type": "application/json"},
		URL: fmt.Sprintf("http://rating-control.%s.svc.cluster.local:8081/behaviour", p.env.Values["rating_namespace"]),
	}
	result, err := p.env.Client.Do(ctx, traffic.NewProbes(request, "control", 1)[0])
	if err == nil && !result.Served() {
		err = fmt.Errorf("tell rating-service how to behave: %s %s", result.Outcome(), result.Body)
	}
	return err
}

// ofPlan chooses the flows whose request had this header.
func ofPlan(plan string) func(evidence.Flow) bool {
	return func(flow evidence.Flow) bool { return flow.Result.Probe.Request.Header["plan-type"] == plan }
}
