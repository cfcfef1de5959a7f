// Package basicgateway is the pattern of one web application behind one ingress gateway: Bookinfo's productpage, published
// by a Gateway in another namespace than its VirtualService.
package basicgateway

import (
	"embed"
	"io/fs"

	"github.com/meshproof/meshproof/framework/pattern"
)

//go:embed all:manifests
var files embed.FS

// Names of the hops.
const (
	gateway     = "gateway"
	productpage = "productpage"
	details     = "details"
	reviews     = "reviews"
	ratings     = "ratings"
)

// Pattern returns the pattern.
func Pattern() pattern.Pattern {
	manifests, err := fs.Sub(files, "manifests")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return pattern.Pattern{
		Name:  "basic-gateway",
		Title: "productpage through an ingress gateway",
		Path: `client --HTTP--> custom-ingressgateway:80 --mutual TLS--> productpage:9080 --mutual TLS--> details:9080
                                                                              \-mutual TLS--> reviews:9080 (v1, v2, v3)
                                                                                              v2, v3 --mutual TLS--> ratings:9080`,
		Manifests: manifests,
		Parameters: []pattern.Parameter{
			{Name: "bookinfo_namespace", Default: "basic-gateway-bookinfo", Namespace: true, Description: "namespace of the application"},
			{Name: "control_plane_namespace", Default: "basic-gateway-ingress", Namespace: true, Description: "namespace of the gateway"},
			{Name: "route_hostname", Default: "api.basic-gateway.mesh.lab", Description: "host name of the page (APIHOST)"},
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
		Agent: pattern.Agent{Namespace: "control_plane_namespace", Selector: "app=outside"},
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
		},
		Deviations: []string{
			"the gateway lives in the run's own namespace instead of istio-system, and its label istio is that namespace's name instead of ingressgateway, so that nobody else's Gateway selects it",
			"mutual TLS is a PeerAuthentication of the application's namespace instead of a setting of the whole mesh",
			"a Telemetry of each namespace switches the access log on, which the source's control plane does not write",
			"the VirtualService is exported to the gateway's namespace only",
			"probes go to the gateway's Service instead of Route api",
		},
		Specs: specs,
	}
}
