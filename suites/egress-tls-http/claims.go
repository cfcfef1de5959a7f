package egresstlshttp

import "github.com/meshproof/meshproof/framework/pattern"

var claims = []pattern.Claim{
	{
		Alias: "EH1", Slug: "page-by-plain-http",
		Text: "a plain HTTP request of the application for NGINXHOST is answered with the server's page, which was asked for by TLS",
		Ends: []string{"client body", "server record"},
	},
	{
		Alias: "EH2", Slug: "leaves-through-the-gateway",
		Text: "the request goes from the sidecar to the egress gateway and from there to NGINXHOST:443, and the server sees it come from the gateway",
		Ends: []string{"sidecar access log", "egress gateway access log", "server record"},
	},
	{
		Alias: "EH3", Slug: "mutual-tls-to-the-gateway",
		Text: "from the sidecar to the egress gateway it is the mesh's mutual TLS, which asks for NGINXHOST",
		Ends: []string{"egress gateway access log", "sidecar statistics", "peer certificate as the gateway passes it on"},
	},
	{
		Alias: "EH4", Slug: "tls-begins-at-the-gateway",
		Text: "the server sees TLS that asks for its name, comes from the egress gateway, and shows no client certificate; nothing comes to its TLS port in plain text",
		Ends: []string{"server record", "egress gateway statistics"},
	},
	{
		Alias: "EH5", Slug: "unknown-authority-is-refused",
		Text: "with an authority that has not signed the server's certificate, and with none but the system's, the gateway refuses the server, and the application gets 503",
		Ends: []string{"client status", "egress gateway access log", "server's handshakes"}, Disruptive: true,
	},
	{
		Alias: "EH6", Slug: "certificate-is-checked-as-the-source-has-it",
		Text: "an expired certificate is refused; one of the same authority for another name the source accepts, and the hardened variant refuses",
		Ends: []string{"client status", "egress gateway access log", "server's handshakes", "server record"},
	},
	{
		Alias: "EH7", Slug: "gateway-takes-the-mesh-only",
		Text: "plain HTTP, and TLS without a certificate of the mesh, are refused on port 80 of the egress gateway",
		Ends: []string{"client connection", "egress gateway access log", "egress gateway statistics", "server silent"},
	},
	{
		Alias: "EH8", Slug: "origination-is-the-gateways-alone",
		Text: "only the gateway has the originating rule: the application's proxy knows neither subset nor file, and without the redirect sends plain text, which no Route serves",
		Ends: []string{"configuration of both proxies", "sidecar access log", "client status", "server silent"}, Disruptive: true,
	},
	{
		Alias: "EH9", Slug: "https-of-the-application-as-the-source-has-it",
		Text: "TLS of the application's own to port 443 goes past the gateway as the source has it, and is closed once hardened",
		Ends: []string{"client", "sidecar access log", "egress gateway silent", "server record"},
	},
	{
		Alias: "EH10", Slug: "no-way-without-the-gateway",
		Text: "without a pod of the egress gateway the application gets 503, and nothing goes another way",
		Ends: []string{"client status", "sidecar access log", "server silent"}, Disruptive: true,
	},
	{
		Alias: "EH11", Slug: "sidecar-begins-tls-itself",
		Text: "for www.SERVERHOST the sidecar begins TLS itself, checked by the system's authorities and by name, and the gateway sees nothing",
		Ends: []string{"sidecar access log", "server record", "egress gateway silent"},
	},
}

var deviations = []string{
	"the gateway lives in a namespace of the run instead of istio-system-egress, and its label istio is made of its name, so that nobody else's Gateway selects it",
	"mutual TLS of the servers (STRICT), ALLOW_ANY and the access log are set for the run's own namespaces instead of the whole mesh",
	"VirtualServices, DestinationRules, ServiceEntries and Services are exported only where they are used",
	"an agent with a sidecar takes the place of the container of ratings-v1, in which the source runs curl; Bookinfo itself is not installed",
	"the gateway's server has ISTIO_MUTUAL instead of the files in /etc/certs, which no longer exist, and its Service leads port 80 to a port without privileges",
	"ocp-ca-bundle holds the run's own authority, which has signed the certificate of Route nginx, where the source copies the router's; it is there before the gateway's pod",
	"the egress gateway mounts a second Secret, with an authority that has signed nothing, which is also its system's",
	"the same server's own TLS port is published as SERVERHOST behind a load balancer, with rules like those of NGINXHOST: it tells what it saw of each handshake, and presents an expired and a foreign certificate for two more names",
	"www.SERVERHOST stands for www.google.com, and the run's authority for the system's in the application's proxy",
	"the load balancer is internal, takes private source addresses only, and keeps them (externalTrafficPolicy: Local)",
	"the certificates are of an authority of the run",
}
