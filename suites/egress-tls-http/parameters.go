package egresstlshttp

import (
	"strings"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/suites/internal/authority"
)

// Names of parameters that specs use.
const (
	nginxHost   = "nginx_host"
	serverHost  = "server_host"
	routeHost   = "route_hostname"
	serverIP    = "server_ip"
	certificate = "certificate_authority"
)

const (
	// unknownHost is the host of the Route before the cluster has told it, or where there is none.
	unknownHost = "domain.no-route.meshproof.internal"
	// unknownIP stands for the load balancer's address in a plan.
	unknownIP = "192.0.2.1"
)

// balancer is the Service whose load balancer publishes the server's TLS port.
func balancer(address bool, fields ...string) *pattern.Observed {
	from := pattern.Observed{APIVersion: "v1", Kind: "Service", Namespace: "mesh_external_namespace", Name: "nginx-tls", Address: address}
	for _, field := range fields {
		from.Paths = append(from.Paths, []string{"status", "loadBalancer", "ingress", "0", field})
	}
	return &from
}

var parameters = []pattern.Parameter{
	{Name: "bookinfo_namespace", Default: "egress-tls-http-bookinfo", Namespace: true, Description: "namespace of the application"},
	{Name: "egress_namespace", Default: "egress-tls-http-egress", Namespace: true, Description: "namespace of the egress gateway"},
	{Name: "mesh_external_namespace", Default: "egress-tls-http-external", Namespace: true, Description: "namespace of the server outside the mesh"},
	{Name: "external_image", Fixture: "external", Description: "image of the server outside the mesh"},
	{Name: "agent_image", Fixture: "agent", Description: "image of the vantage points in the cluster"},
	{
		Name: routeHost, Default: unknownHost, Description: "host that the platform gives Route domain, of which that of Route nginx is made",
		Observed: &pattern.Observed{APIVersion: "route.openshift.io/v1", Kind: "Route", Namespace: "mesh_external_namespace", Name: "domain", Paths: [][]string{{"spec", "host"}}},
	},
	{Name: serverIP, Default: unknownIP, Description: "address of the load balancer of the server's TLS port", Observed: balancer(true, "ip", "hostname")},
	{Name: "server_address", Default: unknownIP, Description: "what that load balancer is called by its status: a name, or an address", Observed: balancer(false, "hostname", "ip")},
	{
		Name: nginxHost, Description: "NGINXHOST: the host of Route nginx, or, on a cluster without Routes, one of ours for the server's TLS port",
		Compute: func(values pattern.Values) (string, error) {
			if values[routeHost] == unknownHost {
				return "nginx." + external(values), nil
			}
			return siblingOf(values[routeHost], values["mesh_external_namespace"]), nil
		},
	},
	{
		Name: "nginx_endpoint", Description: "where proxies find NGINXHOST: by its own name, or, on a cluster without Routes, at the load balancer",
		Compute: func(values pattern.Values) (string, error) {
			if values[routeHost] == unknownHost {
				return values["server_address"], nil
			}
			return values[nginxHost], nil
		},
	},
	{
		Name: "nginx_alias", Description: "name that pods find in their own hosts file: NGINXHOST where there are no Routes",
		Compute: func(values pattern.Values) (string, error) {
			if values[routeHost] == unknownHost {
				return values[nginxHost], nil
			}
			return "no-alias.meshproof.internal", nil
		},
	},
	{
		Name: serverHost, Description: "SERVERHOST: the name of the server's own TLS port",
		Compute: func(values pattern.Values) (string, error) { return "server." + external(values), nil },
	},
	authority.ValidFrom,
	authority.Key("certificate_authority_key", "key of the run's certificate authority"),
	authority.Key("server_key", "key of the server's certificates, and of Route nginx"),
	authority.Self(certificate, "certificate of the run's authority", "meshproof run authority", "certificate_authority_key"),
	authority.Self("other_certificate_authority", "certificate of an authority that has signed nothing", "another authority", "server_key"),
	signed("server_certificate", "server certificate for all names of the server but the next two", authority.Valid, func(values pattern.Values) []string {
		return []string{values[serverHost], "www." + values[serverHost], values[nginxHost]}
	}),
	signed("expired_certificate", "server certificate for expired.SERVERHOST, which is no longer valid", authority.Expired, func(values pattern.Values) []string {
		return []string{"expired." + values[serverHost]}
	}),
	signed("foreign_certificate", "server certificate that foreign.SERVERHOST presents, for another name", authority.Valid, func(values pattern.Values) []string {
		return []string{"somebody-else." + external(values)}
	}),
	signed("nginx_certificate", "certificate of Route nginx, in base64", authority.Valid, func(values pattern.Values) []string {
		return []string{values[nginxHost]}
	}),
	authority.Quoted("route_certificate", "certificate of Route nginx", "nginx_certificate", false),
	authority.Quoted("route_key", "key of Route nginx", "server_key", true),
}

// external is the domain of the names that only the run knows.
func external(values pattern.Values) string {
	return values["mesh_external_namespace"] + ".meshproof.internal"
}

// siblingOf is the host that a platform gives Route nginx of a namespace, made of the host of another one.
func siblingOf(host, namespace string) string {
	_, domain, _ := strings.Cut(host, ".")
	return "nginx-" + namespace + "." + domain
}

// signed is a certificate of the run's authority.
func signed(name, description string, validity authority.Validity, names func(pattern.Values) []string) pattern.Parameter {
	return authority.Server(name, description, validity, authority.Signer{Key: "server_key", Authority: certificate, AuthorityKey: "certificate_authority_key"}, names)
}
