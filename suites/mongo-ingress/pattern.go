// Package mongoingress is the pattern of a database behind an ingress gateway of its own: MongoDB in the mesh, published by a
// second gateway's load balancer, and used by ratings-v2 from outside in.
package mongoingress

import (
	"embed"
	"io/fs"

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
	oldRatings   = "ratings-v1"
	mongoGateway = "mongo-gateway"
	mongodb      = "mongodb"
)

// Pattern returns the pattern.
func Pattern() pattern.Pattern {
	const name = "mongo-ingress"
	return pattern.Pattern{
		Name:  name,
		Title: "MongoDB behind an ingress gateway of its own, used from outside in",
		Path: `client --HTTP--> custom-ingressgateway --> productpage --> reviews v3 --> ratings v2
ratings v2 --TLS of the application, SNI LBHOST--> its sidecar (outbound|27018||LBHOST) --> load balancer :27018
           --> mongo-ingressgateway (ends the TLS) --> sidecar of mongodb --> mongod:27017`,
		Manifests: folder("manifests"), Mutants: folder("mutants"), Hardened: folder("hardened"),
		Parameters: mongo.Parameters(name),
		Prepare:    mongo.Prepare,
		Waits:      []wait.Limit{mongo.PrepareLimit},
		Hops: []pattern.Hop{
			{Name: gateway, Kind: pattern.Gateway, Namespace: "control_plane_namespace", Selector: "app=custom-ingressgateway"},
			{Name: productpage, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=productpage", Container: "productpage"},
			{Name: reviews, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=reviews", Container: "reviews"},
			{Name: oldRatings, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=ratings,version=v1", Container: "ratings"},
			{Name: ratings, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=ratings,version=v2", Container: "ratings"},
			{Name: mongo.Inside, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=inside"},
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

var claims = []pattern.Claim{
	{
		Alias: "MI1", Slug: "reachable-by-tls-from-outside",
		Text: "a client outside the mesh reaches mongod by TLS on LBHOST:27018, and is shown the gateway's certificate",
		Ends: []string{"client handshake", "mongo-ingressgateway access log", "mongodb sidecar access log", "mongod log"},
	},
	{
		Alias: "MI2", Slug: "page-shows-the-database",
		Text: "every page shows the database's one star in red, and ratings-v1 is never asked",
		Ends: []string{"client JSON", "reviews sidecar access log", "ratings v2 server record", "ratings v1 silent"},
	},
	{
		Alias: "MI3", Slug: "one-connection-on-every-hop",
		Text: "each page is one connection of ratings-v2, and the same one on every hop: sidecar, mongo-ingressgateway, mongodb",
		Ends: []string{"ratings application record", "ratings sidecar access log", "mongo-ingressgateway access log", "mongodb sidecar access log", "mongod log"},
	},
	{
		Alias: "MI4", Slug: "tls-with-the-host-as-server-name",
		Text: "what ratings-v2 sends to port 27018 is TLS that asks for LBHOST, and its sidecar adds none of its own",
		Ends: []string{"mongo-ingressgateway access log", "mongo-ingressgateway statistics", "ratings sidecar statistics"},
	},
	{
		Alias: "MI5", Slug: "tls-port-takes-only-tls-for-the-host",
		Text: "port 27018 refuses plain text, TLS without a server name, and TLS for another name",
		Ends: []string{"client connection", "mongo-ingressgateway access log", "mongodb silent"},
	},
	{
		Alias: "MI6", Slug: "plain-port-as-the-source-has-it",
		Text: "port 27017 takes plain text as the source opens it, and nothing once hardened",
		Ends: []string{"client", "mongo-ingressgateway access log", "mongod log"},
	},
	{
		Alias: "MI7", Slug: "certificate-can-be-checked",
		Text: "a client that checks the certificate by another authority, or for a name that it is not for, refuses",
		Ends: []string{"client", "mongo-ingressgateway access log"},
	},
	{
		Alias: "MI8", Slug: "unregistered-host-is-out-of-reach",
		Text: "without the ServiceEntry ratings-v2 cannot reach the database, and reviews says that ratings are unavailable",
		Ends: []string{"client JSON", "ratings sidecar access log", "mongo-ingressgateway silent", "mongodb silent"}, Disruptive: true,
	},
	{
		Alias: "MI9", Slug: "wrong-password-is-refused-by-the-database",
		Text: "a wrong password is refused by mongod, and by nothing before it",
		Ends: []string{"client", "mongo-ingressgateway access log", "mongod log"},
	},
}

var deviations = []string{
	"the gateways live in a namespace of the run instead of istio-system, and their label istio is made of its name, so that nobody else's Gateway selects them",
	"mutual TLS of the servers (PERMISSIVE), REGISTRY_ONLY and the access log are set for the run's own namespaces instead of the whole mesh",
	"VirtualServices, DestinationRules, ServiceEntries and Services are exported only where they are used",
	"hop 4, from mongo-ingressgateway to mongodb, is mutual TLS: today's Istio makes it so by itself",
	"the load balancer is internal, takes private source addresses only, and keeps them (externalTrafficPolicy: Local)",
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
