// Package mongoegress is the pattern of a database that is reached through an egress gateway: MongoDB behind a load balancer,
// and ratings-v2's own TLS led through istio-egressgateway by a TCP route.
package mongoegress

import (
	"embed"
	"io/fs"
	"slices"
	"strings"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/wait"
	"github.com/meshproof/meshproof/suites/internal/mongo"
)

//go:embed all:manifests all:mutants all:hardened
var files embed.FS

// Names of the hops.
const (
	gateway      = "gateway"
	productpage  = "productpage"
	reviews      = "reviews"
	ratings      = "ratings"
	egress       = "egress-gateway"
	mongoGateway = "mongo-gateway"
	mongodb      = "mongodb"
)

// Pattern returns the pattern.
func Pattern() pattern.Pattern {
	const name = "mongo-egress"
	return pattern.Pattern{
		Name:  name,
		Title: "MongoDB through an egress gateway",
		Path: `client --HTTP--> custom-ingressgateway --> productpage --> reviews v3 --> ratings v2
ratings v2 --TLS of the application, SNI LBHOST--> its sidecar (outbound|15666|mongo|istio-egressgateway) --> istio-egressgateway:15666
           --(outbound|27018||LBHOST), the same TLS--> load balancer :27018 --> mongo-ingressgateway (ends the TLS) --> mongodb:27017`,
		Manifests: folder("manifests"), Mutants: folder("mutants"), Hardened: folder("hardened"),
		Parameters: append(append(mongo.Parameters(name), addresses()...), pattern.Parameter{
			Name: otherIP, Default: "192.0.2.2", Unrendered: true, Description: "another address of the load balancer, which the registry does not know",
			Observed: &pattern.Observed{
				APIVersion: "v1", Kind: "Service", Namespace: "control_plane_namespace", Name: "mongo-ingressgateway-other", Address: true,
				Paths: [][]string{{"status", "loadBalancer", "ingress", "0", "ip"}, {"status", "loadBalancer", "ingress", "0", "hostname"}},
			},
		}),
		Prepare: mongo.Prepare,
		Waits:   []wait.Limit{publishLimit, mongo.PrepareLimit},
		Hops: []pattern.Hop{
			{Name: gateway, Kind: pattern.Gateway, Namespace: "control_plane_namespace", Selector: "app=custom-ingressgateway"},
			{Name: productpage, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=productpage", Container: "productpage"},
			{Name: reviews, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=reviews", Container: "reviews"},
			{Name: ratings, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=ratings,version=v2", Container: "ratings"},
			{Name: mongo.Inside, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=inside"},
			{Name: egress, Kind: pattern.Gateway, Namespace: "control_plane_namespace", Selector: "app=istio-egressgateway"},
			{Name: mongoGateway, Kind: pattern.Gateway, Namespace: "control_plane_namespace", Selector: "app=mongo-ingressgateway"},
			{Name: mongodb, Kind: pattern.Sidecar, Namespace: "mongodb_namespace", Selector: "app=mongodb", Container: "mongodb"},
		},
		Agents: []pattern.Agent{
			{Name: mongo.Outside, Namespace: "control_plane_namespace", Selector: "app=outside"},
			{Name: mongo.Inside, Namespace: "bookinfo_namespace", Selector: "app=inside"},
		},
		Claims:     claims,
		Deviations: deviations,
		Specs:      specs,
	}
}

// otherIP is the parameter of the second load balancer's address, allIPs that of all addresses of the first one.
const (
	otherIP = "mongodb_other_ip"
	allIPs  = "mongodb_addresses"
)

// addresses are the parameters for a load balancer whose name leads to several addresses: an application may take any of them.
func addresses() []pattern.Parameter {
	each := func(form func(address string) string) func(pattern.Values) (string, error) {
		return func(values pattern.Values) (string, error) {
			var texts []string
			for _, address := range balancers(values) {
				texts = append(texts, form(address))
			}
			return strings.Join(texts, ", "), nil
		}
	}
	return []pattern.Parameter{
		{
			Name: allIPs, Default: "192.0.2.1", Unrendered: true, Description: "addresses of the load balancer of mongo-ingressgateway, with commas between: all of its status, or of its name where it tells no address",
			Observed: &pattern.Observed{
				APIVersion: "v1", Kind: "Service", Namespace: "control_plane_namespace", Name: "mongo-ingressgateway", Address: true, All: true,
				// The name alone, where there is no address: it need not be known where meshproof runs.
				Paths: [][]string{{"status", "loadBalancer", "ingress", "*", "ip"}, {"status", "loadBalancer", "ingress", "*", "hostname"}},
			},
		},
		{Name: "mongodb_subnets", Description: "each of these addresses as a subnet of its own", Compute: each(func(address string) string { return address + "/32" })},
		{Name: "mongodb_endpoints", Description: "each of these addresses as an endpoint", Compute: each(func(address string) string { return "{address: " + address + "}" })},
	}
}

// balancers are the addresses of the load balancer, LBIP first.
func balancers(values pattern.Values) []string {
	all := []string{values[mongo.IP]}
	for _, address := range strings.Split(values[allIPs], ",") {
		if address = strings.TrimSpace(address); address != "" && !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

var claims = []pattern.Claim{
	{
		Alias: "ME1", Slug: "leaves-through-gateway",
		Text: "every connection of ratings-v2 to the database goes through the egress gateway, the same one on every hop",
		Ends: []string{"ratings sidecar access log", "egress gateway access log", "mongo-ingressgateway access log", "mongod log", "statistics of sidecar and egress gateway"},
	},
	{
		Alias: "ME2", Slug: "never-goes-direct",
		Text: "the sidecar of ratings-v2 sends nothing to the database's address itself, though it has a cluster for it",
		Ends: []string{"ratings sidecar access log", "ratings sidecar statistics"},
	},
	{
		Alias: "ME3", Slug: "server-sees-gateway",
		Text: "the server's side sees the egress gateway's address, never the workload's",
		Ends: []string{"mongo-ingressgateway access log", "egress gateway access log"},
	},
	{
		Alias: "ME4", Slug: "gateway-sees-workload",
		Text: "the egress gateway takes the connection from the pod of ratings-v2",
		Ends: []string{"egress gateway access log", "ratings sidecar access log", "ratings application record"},
	},
	{
		Alias: "ME5", Slug: "tls-is-end-to-end",
		Text: "the TLS of the application ends at mongo-ingressgateway, not at the egress gateway",
		Ends: []string{"client handshake", "mongo-ingressgateway access log", "egress gateway access log"},
	},
	{
		Alias: "ME6", Slug: "no-fallback-without-the-gateway",
		Text: "without a pod of the egress gateway reviews says that ratings are unavailable: nothing goes another way",
		Ends: []string{"client JSON", "ratings sidecar access log", "mongo-ingressgateway silent", "mongod silent"}, Disruptive: true,
	},
	{
		Alias: "ME7", Slug: "unregistered-destination-is-refused",
		Text: "from the mesh, another address of the server, another port of it, and a host that is not registered any more are refused",
		Ends: []string{"client connection", "sidecar access log", "mongo-ingressgateway silent"}, Disruptive: true,
	},
	{
		Alias: "ME8", Slug: "address-change-is-survived-by-rendering-again",
		Text: "when the load balancer's address changes, the configuration with the old one fails, and the configuration with the new one recovers",
		Ends: []string{"client timeline", "ratings sidecar access log", "egress gateway access log"}, Disruptive: true,
		Period: "the publishing of an address",
	},
	{
		Alias: "ME9", Slug: "page-alone-proves-nothing",
		Text: "without the redirect the page is the same, and the traffic direct",
		Ends: []string{"client JSON", "ratings sidecar access log", "mongo-ingressgateway access log", "egress gateway statistics"}, Disruptive: true,
	},
}

var deviations = []string{
	"the gateways live in a namespace of the run instead of istio-system, and their label istio is made of its name, so that nobody else's Gateway selects them",
	"mutual TLS of the servers (PERMISSIVE), REGISTRY_ONLY and the access log are set for the run's own namespaces instead of the whole mesh",
	"VirtualServices, DestinationRules, ServiceEntries and Services are exported only where they are used",
	"the Policy that spares callers of the egress gateway mutual TLS has no successor: today's gateway takes plain text where its server has no TLS",
	"the hop from mongo-ingressgateway to mongodb is mutual TLS: today's Istio makes it so by itself",
	"the load balancer is internal, takes private source addresses only, and keeps them (externalTrafficPolicy: Local)",
	"a second load balancer gives the same server another address, as a way round the egress gateway to be tried",
	"the passwords are random, and the certificates of an authority of the run",
	"MONGO_DB_URL says that the certificate is not to be checked: today's drivers check it unless told",
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
