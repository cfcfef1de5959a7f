package egresstrafficcontrol

import "github.com/meshproof/meshproof/framework/pattern"

var claims = []pattern.Claim{
	{
		Alias: "TC1", Slug: "each-plan-has-its-cluster",
		Text: "requests of gold, silver and bronze each leave product-service by the cluster of their plan, and only that",
		Ends: []string{"product sidecar access log", "product sidecar statistics", "rating-service record"},
	},
	{
		Alias: "TC2", Slug: "everything-else-is-bronze",
		Text: "without the header, with another value, and in another case the request is of bronze, and delayed; gold alone is not",
		Ends: []string{"product sidecar access log", "rating-service record"},
	},
	{
		Alias: "TC3", Slug: "silver-keeps-its-limit",
		Text: "with one worker and one endpoint silver has exactly as many requests in flight as its limit, under three times as much load, and gold has no limit",
		Ends: []string{"rating-service record", "product sidecar statistics"}, Load: true,
	},
	{
		Alias: "TC4", Slug: "bronze-goes-one-by-one",
		Text: "six callers of bronze at once are answered one by one, in steps of the delay",
		Ends: []string{"client", "rating-service record", "product sidecar statistics"}, Load: true,
	},
	{
		Alias: "TC5", Slug: "plans-do-not-slow-each-other",
		Text: "while bronze, or bronze and silver, are saturated, the other plans answer as fast as when they are alone",
		Ends: []string{"client", "product sidecar statistics", "rating-service record"}, Load: true,
	},
	{
		Alias: "TC6", Slug: "excess-is-queued",
		Text: "what is beyond the limit waits at the sidecar and is answered with 200: nothing is turned away",
		Ends: []string{"client", "product sidecar statistics", "product sidecar access log"}, Load: true,
	},
	{
		Alias: "TC7", Slug: "one-request-per-connection",
		Text: "every request of silver and bronze has a connection of its own, and those of gold share connections",
		Ends: []string{"product sidecar access log", "product sidecar statistics", "rating-service record"}, Load: true,
	},
	{
		Alias: "TC8", Slug: "ejection-is-of-one-plan",
		Text: "when its outlier detection has ejected bronze's only host, bronze is answered 503 by the sidecar, silver and gold go on, and bronze recovers after the ejection time",
		Ends: []string{"client", "product sidecar access log", "rating-service silent"}, Disruptive: true, Period: "the ejection time",
	},
	{
		Alias: "TC9", Slug: "obsolete-field-does-not-eject",
		Text: "one 503 of the server does not eject bronze's host as the source has it, because Istio no longer heeds consecutiveErrors; hardened, it does",
		Ends: []string{"client", "product sidecar statistics", "rating-service record"}, Disruptive: true, Period: "the ejection time",
	},
	{
		Alias: "TC10", Slug: "limit-multiplies-with-callers",
		Text: "two replicas of product-service have twice the limit: it is one of each proxy, not of the mesh",
		Ends: []string{"rating-service record", "product sidecar statistics"}, Load: true, Disruptive: true,
	},
	{
		Alias: "TC11", Slug: "no-limit-without-the-rules",
		Text: "without the ServiceEntry and its rules the same requests are answered, past every limit",
		Ends: []string{"rating-service record", "product sidecar access log"}, Load: true, Disruptive: true,
	},
}
