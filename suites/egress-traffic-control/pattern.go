// Package egresstrafficcontrol is the pattern of an external service whose callers are limited by their plan: the sidecar of
// product-service sends gold, silver and bronze to subsets of one ServiceEntry, each with limits of its own.
package egresstrafficcontrol

import (
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/wait"
)

//go:embed all:manifests all:mutants all:hardened
var files embed.FS

// Names of the hops.
const (
	gateway = "gateway"
	product = "product"
	rating  = "rating"
)

// outside is the agent without a sidecar; routes is the requirement that Route rating has.
const (
	outside = "outside"
	routes  = "routes"
)

// Names of parameters.
const (
	ratingHost   = "rating_hostname"
	ratingDelay  = "rating_delay"
	ejectionTime = "ejection_time"
)

// Pattern returns the pattern.
func Pattern() pattern.Pattern {
	return pattern.Pattern{
		Name:  "egress-traffic-control",
		Title: "an external service limited by plan",
		Path: `client --HTTP, plan-type--> custom-ingressgateway:80 --mutual TLS--> sidecar of product-service --> product-service:8080
product-service --HTTP, plan-type--> its sidecar (outbound|80|gold, silver or bronze|RATEHOST: the limits)
                --HTTP--> router (Route rating) --HTTP--> rating-service:8080, outside the mesh`,
		Manifests: folder("manifests"), Mutants: folder("mutants"), Hardened: folder("hardened"),
		Parameters: []pattern.Parameter{
			{Name: "product_namespace", Default: "egress-traffic-control-product", Namespace: true, Description: "namespace of product-service"},
			{Name: "rating_namespace", Default: "egress-traffic-control-rating", Namespace: true, Description: "namespace of rating-service, outside the mesh"},
			{Name: "control_plane_namespace", Default: "egress-traffic-control-ingress", Namespace: true, Description: "namespace of the gateway"},
			{Name: "product_hostname", Default: "product-service.egress-traffic-control.mesh.lab", Description: "host name of product-service (PRODHOST)"},
			{
				Name: ratingHost, Default: "rating-service.${rating_namespace}.svc.cluster.local",
				Description: "host name of rating-service (RATEHOST): the one that a cluster with Routes gives Route rating, elsewhere that of its Service",
				Observed:    &pattern.Observed{APIVersion: "route.openshift.io/v1", Kind: "Route", Namespace: "rating_namespace", Name: "rating", Paths: [][]string{{"spec", "host"}}},
			},
			{Name: ratingDelay, Default: "1s", Parse: aDuration(10*time.Millisecond, 10*time.Second), Description: "time that rating-service takes for an answer, unless the plan is gold; the source has 5s"},
			{Name: ejectionTime, Default: "3s", Parse: aDuration(time.Second, 10*time.Minute), Description: "base time for which bronze's host is ejected; the source has 3m"},
			{Name: "product_image", Fixture: "product", Description: "image of product-service"},
			{Name: "rating_image", Fixture: "rating", Description: "image of rating-service"},
			{Name: "agent_image", Fixture: "agent", Description: "image of the vantage point in the cluster"},
		},
		Hops: []pattern.Hop{
			{Name: gateway, Kind: pattern.Gateway, Namespace: "control_plane_namespace", Selector: "app=custom-ingressgateway"},
			{Name: product, Kind: pattern.Sidecar, Namespace: "product_namespace", Selector: "app=product-service", Container: "product-service"},
			{Name: rating, Kind: pattern.Plain, Namespace: "rating_namespace", Selector: "app=rating-service", Container: "rating-service"},
		},
		Agents: []pattern.Agent{{Name: outside, Namespace: "control_plane_namespace", Selector: "app=outside"}},
		Requirements: []pattern.Requirement{{
			Name: routes, APIVersion: "route.openshift.io/v1", Kind: "Route",
			Without: "rating-service is reached at its Service instead of Route rating",
		}},
		Waits:      []wait.Limit{healthLimit},
		Claims:     claims,
		Deviations: deviations,
		Specs:      specs,
	}
}

var deviations = []string{
	"the gateway lives in a namespace of the run instead of istio-system, and its label istio is that namespace's name instead of ingressgateway, so that nobody else's Gateway selects it",
	"mutual TLS, the open outbound policy and the access log are set for the run's own namespaces instead of the whole mesh",
	"VirtualServices, the DestinationRule, the ServiceEntry and Services are exported only where they are used",
	"retries are off, where today's Istio would send again what a connection's failure has kept back, so that a request is one",
	"the sidecar of product-service runs one worker, so that its limits are exact; with Istio's default of two each allows one more",
	"rating-service takes 1 s instead of 5 s for an answer, and bronze's host is ejected for 3 s instead of 3 min: both are parameters",
	"Deployments instead of DeploymentConfigs and ImageStreams",
	"probes of product-service start at the gateway's Service: the source makes no Route for PRODHOST either",
}

// aDuration accepts what Go and Kubernetes both write as a time, from fewest to most.
func aDuration(fewest, most time.Duration) func(string) (string, error) {
	return func(given string) (string, error) {
		duration, err := time.ParseDuration(given)
		switch {
		case err != nil:
			return "", fmt.Errorf("%q is no duration such as 1s", given)
		case duration < fewest || duration > most:
			return "", fmt.Errorf("%s is not from %s to %s", given, fewest, most)
		}
		return given, nil
	}
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
