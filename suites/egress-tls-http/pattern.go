// Package egresstlshttp is the pattern of TLS that begins at an egress gateway: the application speaks plain HTTP, and the
// gateway takes it to a server outside over TLS, by an authority that only the gateway has.
package egresstlshttp

import (
	"embed"
	"io/fs"

	"github.com/meshproof/meshproof/framework/pattern"
)

//go:embed all:manifests all:mutants all:hardened
var files embed.FS

// Names of the hops, of the agents, and of what only some clusters have.
const (
	inside  = "inside"
	outside = "outside"
	egress  = "egress"
	nginx   = "nginx"
	routes  = "routes"
)

// Pattern returns the pattern.
func Pattern() pattern.Pattern {
	return pattern.Pattern{
		Name:  "egress-tls-http",
		Title: "plain HTTP of the application, made TLS by an egress gateway that knows the authority",
		Path: `application --plain HTTP to NGINXHOST:80--> its sidecar (outbound|80|nginx|istio-egressgateway)
            --mutual TLS of the mesh, SNI NGINXHOST--> istio-egressgateway:80 (begins TLS, SNI NGINXHOST; outbound|443|nginx-https|NGINXHOST)
            --TLS--> Route nginx (ends the TLS) --plain HTTP--> nginx-ex:8080, outside the mesh
            --TLS--> SERVERHOST:443, the same server's own TLS port
application --plain HTTP to www.SERVERHOST:80--> its sidecar (begins TLS itself; outbound|443|tls-origination|www.SERVERHOST) --TLS--> SERVERHOST:443`,
		Manifests: folder("manifests"), Mutants: folder("mutants"), Hardened: folder("hardened"),
		Parameters: parameters,
		Hops: []pattern.Hop{
			{Name: inside, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=inside"},
			{Name: outside, Kind: pattern.Plain, Namespace: "egress_namespace", Selector: "app=outside"},
			{Name: egress, Kind: pattern.Gateway, Namespace: "egress_namespace", Selector: "app=istio-egressgateway"},
			{Name: nginx, Kind: pattern.Plain, Namespace: "mesh_external_namespace", Selector: "app=nginx-ex", Container: "nginx"},
		},
		Agents: []pattern.Agent{
			{Name: inside, Namespace: "bookinfo_namespace", Selector: "app=inside"},
			{Name: outside, Namespace: "egress_namespace", Selector: "app=outside"},
		},
		Requirements: []pattern.Requirement{{
			Name: routes, APIVersion: "route.openshift.io/v1", Kind: "Route",
			Without: "NGINXHOST is a name of the server's own TLS port instead of a Route",
		}},
		Claims: claims, Deviations: deviations, Specs: specs,
	}
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
