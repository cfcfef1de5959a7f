package compare

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// sentTo is evidence of a probe that these hops sent on to these clusters, in pairs.
func sentTo(pairs ...string) v1.Evidence {
	var evidence v1.Evidence
	for index := 0; index < len(pairs); index += 2 {
		evidence.Items = append(evidence.Items, v1.EvidenceItem{End: pairs[index], Fields: map[string]string{v1.ClusterField: pairs[index+1]}})
	}
	return evidence
}

func TestTheFirstHopIsOneThatTheProbesPassed(t *testing.T) {
	const (
		ratings = "outbound|9080||ratings.${shop_namespace}.svc.cluster.local"
		details = "outbound|9080||details.shop.svc.cluster.local"
		used    = "outbound|9080||ratings.shop.svc.cluster.local"
	)
	of := func(kind, entry string) []Difference { return []Difference{{Kind: kind, Entry: entry, A: 1.0, B: 2.0}} }
	for name, test := range map[string]struct {
		hops     []Hop
		evidence v1.Evidence
		want     string
	}{
		"none differs":                                    {[]Hop{{Name: "page"}, {Name: "reviews"}}, sentTo("page", details), ""},
		"a cluster that it was not sent to":               {[]Hop{{Name: "page", Differences: of(TLS, ratings)}, {Name: "reviews", Differences: of(TLS, ratings)}}, sentTo("page", details, "reviews", used), "reviews"},
		"a cluster that it was sent to":                   {[]Hop{{Name: "page", Differences: of(TLS, ratings)}, {Name: "reviews", Differences: of(TLS, ratings)}}, sentTo("page", used, "reviews", used), "page"},
		"a route":                                         {[]Hop{{Name: "page", Differences: of(Routes, "9080")}, {Name: "reviews", Differences: of(TLS, ratings)}}, sentTo("page", details, "reviews", used), "page"},
		"a hop that left no evidence":                     {[]Hop{{Name: "page", Differences: of(TLS, ratings)}, {Name: "reviews", Differences: of(TLS, ratings)}}, sentTo("reviews", used), "page"},
		"no evidence at all":                              {[]Hop{{Name: "page", Differences: of(TLS, ratings)}}, sentTo(), "page"},
		"nothing but what it was not sent to":             {[]Hop{{Name: "page", Differences: of(TLS, ratings)}}, sentTo("page", details), "page"},
		"a parameter whose value is not in the report":    {[]Hop{{Name: "page", Differences: of(TLS, "outbound|27017||${database_host}")}, {Name: "reviews", Differences: of(TLS, ratings)}}, sentTo("page", details, "reviews", used), "page"},
		"a hop without proxies, which leaves no evidence": {[]Hop{{Name: "page"}, {Name: "reviews", Differences: []Difference{{Kind: Proxies, A: 1}}}}, sentTo("page", details), "reviews"},
	} {
		t.Run(name, func(t *testing.T) {
			failed := claim(v1.Failed)
			failed.Evidence = []v1.Evidence{test.evidence}
			b := part{pattern: v1.Pattern{Name: "shop", Parameters: map[string]string{"shop_namespace": "shop"}, Claims: []v1.Claim{failed}}}
			if got, _ := firstDiffering(test.hops, usedBy("shop/is-open", []part{b})); got != test.want {
				t.Errorf("first hop %q, want %q", got, test.want)
			}
		})
	}
}

// Evidence of another claim says nothing about this one.
func TestOnlyTheClaimsOwnEvidenceCounts(t *testing.T) {
	other := claim(v1.Passed)
	other.ID, other.Evidence = "shop/is-safe", []v1.Evidence{sentTo("page", "outbound|80||a")}
	p := part{pattern: v1.Pattern{Claims: []v1.Claim{other}}}
	if u := usedBy("shop/is-open", []part{p}); len(u.clusters) > 0 {
		t.Errorf("used %v", u.clusters)
	}
	if u := usedBy("shop/is-safe", []part{p}); !u.clusters["page"]["outbound|80||a"] {
		t.Errorf("used %v", u.clusters)
	}
}

func TestWhatTellsMostComesFirst(t *testing.T) {
	hop := Hop{Name: "gateway", Differences: []Difference{
		{Kind: Routes, Entry: "1", Field: []string{"route", "decorator", "operation"}, A: "a", B: "b"},
		{Kind: Routes, Entry: "2", Field: []string{"routes", "x"}, A: "a"},
		{Kind: Routes, Entry: "3", Field: []string{"route", "cluster"}, A: "a", B: "b"},
		{Kind: Routes, Entry: "4", Field: []string{"route", "timeout"}, A: "a", B: "b"},
	}}
	_, differences := firstDiffering([]Hop{hop}, usedBy("shop/is-open"))
	var got []string
	for _, d := range differences {
		got = append(got, d.Entry)
	}
	if diff := cmp.Diff([]string{"3", "4", "2", "1"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if hop.Differences[0].Entry != "1" {
		t.Error("the hop's own list was changed")
	}
}
