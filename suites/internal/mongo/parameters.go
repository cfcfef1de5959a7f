// Package mongo is what the MongoDB patterns share: their parameters, the requests that are sent through them, and how the
// database behind them is filled.
package mongo

import (
	"crypto/rand"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/suites/internal/authority"
)

// Names of parameters that specs use.
const (
	Host            = "mongodb_host"
	Name            = "mongodb_hostname"
	IP              = "mongodb_ip"
	adminPassword   = "admin_password"
	ratingsPassword = "bookinfo_password"
	ownAuthority    = "certificate_authority"
	otherAuthority  = "other_certificate_authority"
	authorityKey    = "certificate_authority_key"
	proxyKey        = "mongo_proxy_key"
	proxyCert       = "mongo_proxy_certificate"
	namedCert       = "mongo_named_certificate"
	bothCert        = "mongo_both_certificate"
)

// gatewayService is the Service whose load balancer publishes the database.
var gatewayService = pattern.Observed{APIVersion: "v1", Kind: "Service", Namespace: "control_plane_namespace", Name: "mongo-ingressgateway"}

// at is a value that the load balancer's status has at one of these fields.
func at(fields ...string) *pattern.Observed {
	from := gatewayService
	for _, field := range fields {
		from.Paths = append(from.Paths, []string{"status", "loadBalancer", "ingress", "0", field})
	}
	return &from
}

// Parameters are those that the MongoDB patterns have alike; name is the pattern's, of which its namespaces are named.
func Parameters(name string) []pattern.Parameter {
	return []pattern.Parameter{
		{Name: "bookinfo_namespace", Default: name + "-bookinfo", Namespace: true, Description: "namespace of the application"},
		{Name: "mongodb_namespace", Default: name + "-mongodb", Namespace: true, Description: "namespace of the database"},
		{Name: "control_plane_namespace", Default: name + "-gateways", Namespace: true, Description: "namespace of the gateways"},
		{Name: "route_hostname", Default: "api." + name + ".mesh.lab", Description: "host name of the page (APIHOST)"},
		{Name: "bookinfo_image", Fixture: "bookinfo", Description: "image of the Bookinfo programs"},
		{Name: "agent_image", Fixture: "agent", Description: "image of the vantage points in the cluster"},
		{Name: "mongodb_image", Fixture: "mongodb", Description: "image of the database: FerretDB, or MongoDB's own"},
		{
			Name: IP, Default: "192.0.2.1", Description: "address of the load balancer of mongo-ingressgateway (LBIP)",
			Observed: resolved(at("ip", "hostname")),
		},
		{
			Name: Name, Default: "mongo.example.org", Description: "what the load balancer of mongo-ingressgateway is called by its status: a name, or an address",
			Observed: at("hostname", "ip"), Unrendered: true,
		},
		{
			Name: Host, Description: "host of the database (LBHOST): the name of its load balancer, or one of ours where it has none",
			Compute: func(values pattern.Values) (string, error) {
				if values[Name] == values[IP] {
					return "mongo." + values["control_plane_namespace"] + ".meshproof.internal", nil
				}
				return values[Name], nil
			},
		},
		{
			Name: "mongodb_endpoint", Unrendered: true, Description: "where proxies find the database's host: by its name, or by the address of a load balancer that has none",
			Compute: func(values pattern.Values) (string, error) { return values[Name], nil },
		},
		{
			Name: "mongodb_alias", Description: "name that pods find in their own hosts file: of a load balancer that has none",
			Compute: func(values pattern.Values) (string, error) {
				if values[Name] == values[IP] {
					return values[Host], nil
				}
				return "no-alias.meshproof.internal", nil
			},
		},
		{Name: adminPassword, Generate: password, Secret: true, Description: "password of the database's administrator"},
		{Name: ratingsPassword, Generate: password, Secret: true, Description: "password of the database's user bookinfo"},
		authority.ValidFrom,
		authority.Key(authorityKey, "key of the run's certificate authority"),
		rendered(authority.Key(proxyKey, "key of the server certificates of mongo-ingressgateway")),
		authority.Self(ownAuthority, "certificate of the run's authority", "meshproof run authority", authorityKey),
		// It has the server's key, of which any will do.
		authority.Self(otherAuthority, "certificate of an authority that has signed nothing", "another authority", proxyKey),
		rendered(server(proxyCert, "server certificate for the name of the Service inside the cluster", inside)),
		server(namedCert, "server certificate for the name of the load balancer", outside),
		server(bothCert, "server certificate for both names", inside, outside),
	}
}

func resolved(from *pattern.Observed) *pattern.Observed {
	from.Address = true
	return from
}

// password is random, and needs no quoting in a URI, in YAML, or in a shell.
func password() (string, error) { return rand.Text(), nil }

// rendered is a parameter that must stand in the manifests.
func rendered(p pattern.Parameter) pattern.Parameter {
	p.Unrendered = false
	return p
}

// PEM is the text of a certificate parameter.
func PEM(values pattern.Values, name string) string {
	text, _ := authority.PEM(values, name) // it was computed here
	return text
}

// inside is the name of mongo-ingressgateway's Service inside the cluster, outside that of its load balancer.
func inside(values pattern.Values) string {
	return "mongo-ingressgateway." + values["control_plane_namespace"] + ".svc"
}

func outside(values pattern.Values) string { return values[Host] }

// server is a parameter with a server certificate for these names.
func server(name, description string, of ...func(pattern.Values) string) pattern.Parameter {
	signer := authority.Signer{Key: proxyKey, Authority: ownAuthority, AuthorityKey: authorityKey}
	return authority.Server(name, description, authority.Valid, signer, func(values pattern.Values) []string {
		var names []string
		for _, name := range of {
			names = append(names, name(values))
		}
		return names
	})
}
