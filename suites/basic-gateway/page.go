package basicgateway

import (
	"encoding/json"
	"fmt"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	. "github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// probes is over how many probes each claim is judged.
const probes = 20

// wholePage are parts of the page that are there only when details and reviews have answered: productpage answers 200 with
// a sentence in place of what failed.
var wholePage = []string{
	"The Comedy of Errors", "William Shakespeare", "PublisherA", "1234567890",
	"An extremely entertaining play by Shakespeare.", "Absolutely fun and entertaining.",
}

// paths are what is sent where.
type paths struct{ env *pattern.Env }

// page is the request for the page as a user sends it: over Route api, or, on a cluster without Routes, to the gateway.
func (p paths) page() traffic.Request { return p.in("/productpage") }

// in is a request over Route api, whose certificate is checked against the router's authorities, or else to the gateway.
func (p paths) in(path string) traffic.Request {
	if !p.env.Meets(routes) {
		return p.gateway(path)
	}
	return traffic.Request{URL: "https://" + p.env.Values["route_hostname"] + path, RootCAs: p.env.RouterCA}
}

// gateway is a request to the gateway's Service.
func (p paths) gateway(path string) traffic.Request {
	return traffic.Request{
		URL:  fmt.Sprintf("http://custom-ingressgateway.%s.svc.cluster.local%s", p.env.Values["control_plane_namespace"], path),
		Host: p.env.Values["route_hostname"],
	}
}

// cluster is the one that Istio makes of a service of Bookinfo.
func (p paths) cluster(service string) string {
	return fmt.Sprintf("outbound|9080||%s.%s.svc.cluster.local", service, p.env.Values["bookinfo_namespace"])
}

// everyHop are the records that a page leaves on its way to productpage.
var everyHop = []evidence.Witness{{Hop: gateway}, {Hop: productpage, Inbound: true}, {Hop: productpage, Record: true}}

func specs(env *pattern.Env) {
	to := paths{env}
	pageSpecs(env, to)
	identitySpecs(env, to)
	refusalSpecs(env, to)
}

func pageSpecs(env *pattern.Env, to paths) {
	It("serves the whole page", env.Claim("BG1"), func(ctx SpecContext) {
		flows := env.Probe(ctx, pattern.Measure{Request: to.page(), Count: probes, Witnesses: everyHop})

		Expect(flows).To(Answer(http.StatusOK, wholePage...))
		Expect(flows).To(PassThrough(gateway, to.cluster(productpage)))
		Expect(flows).To(ArriveAt(productpage, gateway))
		Expect(flows).To(Serve(productpage))
	})

	It("comes to productpage only through the gateway", env.Claim("BG2"), func(ctx SpecContext) {
		counted := evidence.Counter{Hop: gateway, Cluster: to.cluster(productpage), Name: "upstream_rq_total"}
		flows := env.Probe(ctx, pattern.Measure{Request: to.page(), Count: probes, Witnesses: everyHop, Counters: []evidence.Counter{counted}})

		Expect(flows).To(ComeAs(productpage, env.Identity(env.Values["control_plane_namespace"], "custom-ingressgateway")))
		Expect(flows).To(PassThrough(gateway, to.cluster(productpage)))
		Expect(flows).To(ArriveAt(productpage, gateway))
		Expect(flows).To(BeCounted(counted))
	})

	It("spreads reviews over all versions", env.Claim("BG4"), func(ctx SpecContext) {
		flows := env.Probe(ctx, pattern.Measure{
			Request: to.in("/api/v1/products/0/reviews"), Count: spreadProbes,
			Witnesses: []evidence.Witness{{Hop: reviews, Inbound: true}, {Hop: reviews, Record: true}},
		})

		Expect(flows).To(Answer(http.StatusOK, "Reviewer1", "Reviewer2"))
		Expect(flows).To(SpreadOver("the stars are of every kind", "client", starsOf, "none", "black", "red"))
		Expect(flows).To(Serve(reviews))
		Expect(flows).To(SpreadOver("every version of reviews is asked", "reviews server", versionOfReviews, "v1", "v2", "v3"))
		Expect(flows).To(Each("the stars are those of the version that was asked", "reviews server", pattern.WrongContent, func(flow evidence.Flow) string {
			if stars, version := starsOf(flow), versionOfReviews(flow); stars != starsByVersion[version] {
				return fmt.Sprintf("shows %s stars, and %s was asked", stars, version)
			}
			return ""
		}))
	})
}

// spreadProbes is so many that, when each of three versions is as likely, one is missed in fewer than one of a billion
// runs: 3 * (2/3)^60 < 1e-9.
const spreadProbes = 60

// starsByVersion is the colour of the stars that each version of reviews shows.
var starsByVersion = map[string]string{"v1": "none", "v2": "black", "v3": "red"}

// starsOf is the colour of the stars in the answer about reviews, as the client got it.
func starsOf(flow evidence.Flow) string {
	var answer struct {
		Reviews []struct {
			Rating struct {
				Color string `json:"color"`
				Error string `json:"error"`
			} `json:"rating"`
		} `json:"reviews"`
	}
	if err := json.Unmarshal([]byte(flow.Result.Body), &answer); err != nil || len(answer.Reviews) == 0 {
		return "not readable"
	}
	rating := answer.Reviews[0].Rating
	switch {
	case rating.Error != "":
		return "not available"
	case rating.Color == "":
		return "none"
	}
	return rating.Color
}

// versionOfReviews is that of the pod that served the probe, as it recorded it.
func versionOfReviews(flow evidence.Flow) string {
	records := flow.RecordsAt(reviews)
	if len(records) == 0 {
		return "not recorded"
	}
	return records[0].Version
}
