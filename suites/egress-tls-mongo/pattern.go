// Package egresstlsmongo is the pattern of TLS that begins at an egress gateway: ratings-v2 speaks plain MongoDB, and the
// gateway takes it to the database outside over TLS, by an authority that only the gateway has.
package egresstlsmongo

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
	egress       = "egress"
	mongoGateway = "mongo-gateway"
	mongodb      = "mongodb"
)

// Pattern returns the pattern.
func Pattern() pattern.Pattern {
	const name = "egress-tls-mongo"
	return pattern.Pattern{
		Name:  name,
		Title: "plain MongoDB of the application, made TLS by an egress gateway that knows the authority",
		Path: `client --HTTP--> custom-ingressgateway --> productpage --> reviews v3 --> ratings v2
ratings v2 --plain text to LBHOST:27017--> its sidecar (outbound|15666|mongodb|istio-egressgateway)
           --> istio-egressgateway:15666 (begins TLS, SNI LBHOST; outbound|27018|mongodb-tls|LBHOST) --> load balancer :27018
           --> mongo-ingressgateway (ends the TLS) --mutual TLS--> sidecar of mongodb --> mongod:27017`,
		Manifests: folder("manifests"), Mutants: folder("mutants"), Hardened: folder("hardened"),
		Parameters: parameters(name),
		Prepare:    mongo.Prepare,
		Waits:      []wait.Limit{rotationLimit, mutantRotationLimit, mongo.PrepareLimit},
		Hops: []pattern.Hop{
			{Name: gateway, Kind: pattern.Gateway, Namespace: "control_plane_namespace", Selector: "app=custom-ingressgateway"},
			{Name: productpage, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=productpage", Container: "productpage"},
			{Name: reviews, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=reviews", Container: "reviews"},
			{Name: oldRatings, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=ratings,version=v1", Container: "ratings"},
			{Name: ratings, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=ratings,version=v2", Container: "ratings"},
			{Name: mongo.Inside, Kind: pattern.Sidecar, Namespace: "bookinfo_namespace", Selector: "app=inside"},
			{Name: egress, Kind: pattern.Gateway, Namespace: "egress_namespace", Selector: "app=istio-egressgateway"},
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

// parameters are those of the MongoDB patterns, and the namespace of the egress gateway, which has both authorities.
func parameters(name string) []pattern.Parameter {
	shared := mongo.Parameters(name)
	for index := range shared {
		if shared[index].Name == "certificate_authority" || shared[index].Name == "other_certificate_authority" {
			shared[index].Unrendered = false
		}
	}
	return append(shared, pattern.Parameter{
		Name: "egress_namespace", Default: name + "-egress", Namespace: true, Description: "namespace of the egress gateway",
	})
}

var claims = []pattern.Claim{
	{
		Alias: "EM1", Slug: "page-shows-the-database-by-plain-text",
		Text: "every page shows the database's one star in red, while ratings-v2 speaks plain text to port 27017",
		Ends: []string{"client JSON", "ratings application record", "ratings sidecar statistics"},
	},
	{
		Alias: "EM2", Slug: "leaves-through-the-gateway",
		Text: "the connection goes from the sidecar to the egress gateway and from there to LBHOST:27018, never to LBHOST:27017",
		Ends: []string{"ratings sidecar access log", "egress gateway access log", "mongo-ingressgateway access log", "mongodb sidecar access log", "statistics of ratings and mongo-ingressgateway"},
	},
	{
		Alias: "EM3", Slug: "tls-begins-at-the-gateway",
		Text: "the far end sees TLS that asks for LBHOST and comes from the egress gateway's address",
		Ends: []string{"mongo-ingressgateway access log", "mongo-ingressgateway statistics", "egress gateway statistics"},
	},
	{
		Alias: "EM4", Slug: "tls-port-refuses-plain-text",
		Text: "plain text to port 27018 is refused, from inside the mesh and from outside",
		Ends: []string{"client connection", "access log of who refuses", "mongodb silent"},
	},
	{
		Alias: "EM5", Slug: "wrong-authority-is-refused",
		Text: "with an authority that has not signed the server's certificate, the gateway refuses the server, ratings answers 500, and reviews says that ratings are unavailable",
		Ends: []string{"client JSON", "ratings server record", "egress gateway access log", "mongo-ingressgateway access log"}, Disruptive: true,
	},
	{
		Alias: "EM6", Slug: "rotated-authority-is-picked-up",
		Text: "a changed Secret of the authority is what the gateway checks by, without a restart, once the kubelet has brought it",
		Ends: []string{"client JSON", "egress gateway access log", "mongo-ingressgateway access log"}, Disruptive: true,
		Period: "the kubelet's sync of Secrets",
	},
	{
		Alias: "EM7", Slug: "first-hop-as-the-source-has-it",
		Text: "from the sidecar to the egress gateway the source has clear text, and the hardened variant mutual TLS",
		Ends: []string{"egress gateway access log", "egress gateway statistics", "client"},
	},
	{
		Alias: "EM8", Slug: "mutual-tls-to-the-database",
		Text: "from mongo-ingressgateway to mongodb it is the mesh's mutual TLS",
		Ends: []string{"mongodb sidecar access log", "mongo-ingressgateway statistics"},
	},
	{
		Alias: "EM9", Slug: "page-alone-proves-nothing",
		Text: "without the redirect the page is the same as the source has it, by plain text past the gateway; once hardened there is no such way",
		Ends: []string{"client JSON", "ratings sidecar access log", "mongo-ingressgateway access log", "egress gateway statistics"}, Disruptive: true,
	},
	{
		Alias: "EM10", Slug: "no-way-without-the-gateway",
		Text: "without a pod of the egress gateway reviews says that ratings are unavailable, and nothing goes another way",
		Ends: []string{"client JSON", "ratings sidecar access log", "mongo-ingressgateway silent", "mongodb silent"}, Disruptive: true,
	},
}

var deviations = []string{
	"the gateways live in namespaces of the run instead of istio-system and istio-system-egress, and their label istio is made of its name, so that nobody else's Gateway selects them",
	"mutual TLS of the servers (STRICT), REGISTRY_ONLY and the access log are set for the run's own namespaces instead of the whole mesh",
	"VirtualServices, DestinationRules, ServiceEntries and Services are exported only where they are used",
	"ocp-ca-bundle holds the authority that signed the server's certificate, where the source copies the certificate itself; it is there before the gateway's pod",
	"the egress gateway mounts a second Secret, with an authority that has signed nothing: the check of a wrong authority need not wait for the kubelet",
	"the Policy of the source, which selects nothing, is left out",
	"the load balancer is internal, takes private source addresses only, and keeps them (externalTrafficPolicy: Local)",
	"the passwords are random, and the certificates of an authority of the run",
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
