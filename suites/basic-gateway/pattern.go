// Package basicgateway is the pattern of one web application behind one ingress gateway: Bookinfo's productpage, published
// by a Gateway in another namespace than its VirtualService.
package basicgateway

import (
	"embed"
	"io/fs"

	"github.com/meshproof/meshproof/framework/pattern"
)

//go:embed all:manifests all:mutants
var files embed.FS

// Names of the hops.
const (
	gateway     = "gateway"
	productpage = "productpage"
	details     = "details"
	reviews     = "reviews"
	ratings     = "ratings"
)

// outside is the agent without a sidecar; routes is the requirement that Route api has.
const (
	outside = "outside"
	routes  = "routes"
)

// Pattern returns the pattern.
func Pattern() pattern.Pattern {
	manifests, mutants := folder("manifests"), folder("mutants")
	return pattern.Pattern{
		Name:  "basic-gateway",
		Title: "productpage through an ingress gateway",
		Path: `client --HTTPS, Route api--> router --HTTP--> custom-ingressgateway:80 --mutual TLS--> productpage:9080 --mutual TLS--> details:9080
                                                                              \-mutual TLS--> reviews:9080 (v1, v2, v3)
                                                                                              v2, v3 --mutual TLS--> ratings:9080`,
		Manifests: manifests,
		Mutants:   mutants,
		Parameters: []pattern.Parameter{
			{Name: "bookinfo_namespace", Default: "basic-gateway-bookinfo", Namespace: true, Description: "namespace of the application"},
			{Name: "control_plane_namespace", Default: "basic-gateway-ingress", Namespace: true, Description: "namespace of the gateway"},
			{
				Name: "route_hostname", Default: "api.basic-gateway.mesh.lab", Description: "host name of the page (APIHOST); on a cluster with Routes the one that it gives Route api",
				Observed: &pattern.Observed{APIVersion: "route.openshift.io/v1", Kind: "Route", Namespace: "control_plane_namespace", Name: "api", Paths: [][]string{{"spec", "host"}}},
			},
			{Name: "bookinfo_image", Fixture: "bookinfo", Description: "image of the Bookinfo programs"},
			{Name: "agent_image", Fixture: "agent", Description: "image of the vantage point in the cluster"},
		},
		Hops: []pattern.Hop{
			{Name: gateway, Kind: pattern.Gateway, Namespace: "control_plane_namespace", Selector: "app=custom-ingressgateway"},
			{Name: productpage, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=productpage", Container: "productpage"},
			{Name: details, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=details", Container: "details"},
			{Name: reviews, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=reviews", Container: "reviews"},
			{Name: ratings, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=ratings", Container: "ratings"},
		},
		Agents: []pattern.Agent{{Name: outside, Namespace: "control_plane_namespace", Selector: "app=outside"}},
		Requirements: []pattern.Requirement{{
			Name: routes, APIVersion: "route.openshift.io/v1", Kind: "Route",
			Without: "probes go to the gateway's Service instead of Route api",
		}},
		Claims: []pattern.Claim{
			{
				Alias: "BG1", Slug: "serves-the-whole-page",
				Text: "GET /productpage through the gateway returns the page with details and reviews, not only status 200",
				Ends: []string{"client body", "gateway access log", "productpage sidecar access log", "productpage server record"},
			},
			{
				Alias: "BG2", Slug: "only-through-the-gateway",
				Text: "every request for the page comes to productpage from custom-ingressgateway and from no other pod",
				Ends: []string{"gateway access log", "gateway statistics", "productpage sidecar access log", "peer certificate at productpage"},
			},
			{
				Alias: "BG3", Slug: "mutual-tls-from-hop-to-hop",
				Text: "gateway to productpage, and service to service, is mutual TLS between the identities that the pattern gives them",
				Ends: []string{"peer certificate at each server", "statistics of each receiving proxy", "statistics of each sending proxy"},
			},
			{
				Alias: "BG4", Slug: "spreads-over-all-reviews",
				Text: "reviews is spread over v1, v2 and v3: no stars, black stars, red stars",
				Ends: []string{"client JSON", "reviews server record", "reviews sidecar access log"},
			},
			{
				Alias: "BG5", Slug: "unrouted-is-not-found",
				Text: "a foreign host, and the paths /, /health and /static, answer 404 from the gateway, and productpage sees nothing",
				Ends: []string{"client status", "gateway access log", "productpage silent"},
			},
			{
				Alias: "BG6", Slug: "no-plain-http-on-the-route",
				Text: "plain HTTP on the host of Route api is not served",
				Ends: []string{"client status", "gateway silent", "productpage silent"}, Requires: []string{routes},
			},
			{
				Alias: "BG7", Slug: "no-plain-text-from-outside-the-mesh",
				Text: "a plain-text call from a pod without a sidecar to productpage:9080 is refused under STRICT, and served without an identity under PERMISSIVE",
				Ends: []string{"client connection", "productpage sidecar access log", "productpage silent"}, Disruptive: true,
			},
			{
				Alias: "BG8", Slug: "unprefixed-gateway-does-not-bind",
				Text: "a VirtualService that names the Gateway of another namespace without that namespace does not bind",
				Ends: []string{"client status", "gateway access log", "productpage silent"},
			},
		},
		Deviations: []string{
			"the gateway lives in the run's own namespace instead of istio-system, and its label istio is that namespace's name instead of ingressgateway, so that nobody else's Gateway selects it",
			"mutual TLS is a PeerAuthentication of the application's namespace instead of a setting of the whole mesh",
			"a Telemetry of each namespace switches the access log on, which the source's control plane does not write",
			"the VirtualService is exported to the gateway's namespace only",
			"two more VirtualServices, for /prefixed and /unprefixed, show what binds to a Gateway of another namespace",
			"every Service is exported only to the namespaces of the run that use it, so that no other proxy of the mesh gets a cluster of it",
		},
		Specs: specs,
	}
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
