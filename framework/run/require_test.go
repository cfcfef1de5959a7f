package run

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	"github.com/meshproof/meshproof/internal/apitest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// demanding is a pattern whose first claim requires Routes, and whose second requires Routes and a database.
func demanding() pattern.Pattern {
	return example("shop", "SH", func(p *pattern.Pattern) {
		p.Requirements = []pattern.Requirement{
			{Name: "routes", APIVersion: "route.openshift.io/v1", Kind: "Route", Without: "nothing is published"},
			{Name: "database", APIVersion: "db.example/v1", Kind: "Database", Without: "nothing is stored"},
			{Name: "config", APIVersion: "v1", Kind: "ConfigMap", Without: "nothing"},
		}
		p.Claims[0].Requires = []string{"routes", "config"}
		p.Claims[1].Requires = []string{"config", "routes", "database"}
		p.Claims = append(p.Claims, pattern.Claim{Alias: "SH3", Slug: "is-cheap", Text: "it costs little", Ends: []string{"client", "gateway"}})
	})
}

func TestMeet(t *testing.T) {
	const noRoutes = "the cluster does not serve route.openshift.io/v1 Route: nothing is published"
	const noDatabase = "the cluster does not serve db.example/v1 Database: nothing is stored"
	routes, database := "route.openshift.io/v1 Route routes", "db.example/v1 Database databases"
	for name, test := range map[string]struct {
		served, claims []string
		unmet, skipped map[string]string
		left           []string
	}{
		"everything is served":     {served: []string{routes, database}, left: []string{"SH1", "SH2", "SH3"}},
		"one kind is not":          {served: []string{routes}, unmet: map[string]string{"database": noDatabase}, skipped: map[string]string{"SH2": noDatabase}, left: []string{"SH1", "SH3"}},
		"another version is":       {served: []string{database, "route.openshift.io/v2 Route routes"}, unmet: map[string]string{"routes": noRoutes}, skipped: map[string]string{"SH1": noRoutes, "SH2": noRoutes}, left: []string{"SH3"}},
		"a claim that nobody asks": {served: []string{routes}, claims: []string{"SH3"}, unmet: map[string]string{"database": noDatabase}, left: []string{"SH3"}},
		"all that is asked":        {served: []string{database}, claims: []string{"SH1"}, unmet: map[string]string{"routes": noRoutes}, skipped: map[string]string{"SH1": noRoutes}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := NewPlan([]pattern.Pattern{demanding()}, someCluster(), Options{Claims: test.claims})
			if err != nil {
				t.Fatal(err)
			}
			if err := plan.Meet(apitest.New(t, test.served...).Client(t)); err != nil {
				t.Fatal(err)
			}
			want := Job{Unmet: test.unmet, Skipped: test.skipped, Claims: test.left}
			got := Job{Unmet: plan.Jobs[0].Unmet, Skipped: plan.Jobs[0].Skipped, Claims: plan.Jobs[0].Claims}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("job (-want +got):\n%s", diff)
			}
		})
	}
}

// A cluster that does not say what it serves is not one that serves nothing.
func TestMeetTellsWhatTheAPIServerRefuses(t *testing.T) {
	plan, err := NewPlan([]pattern.Pattern{demanding()}, someCluster(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := apitest.New(t)
	server.RefuseAll(http.MethodGet, "not yours")
	if err := plan.Meet(server.Client(t)); err == nil || !strings.Contains(err.Error(), "find kind route.openshift.io/v1, Kind=Route") || len(plan.Jobs[0].Claims) != 3 {
		t.Errorf("error %v, claims %v", err, plan.Jobs[0].Claims)
	}
}

func TestSeedTellsWhatIsSkippedAndWhy(t *testing.T) {
	p := demanding()
	seeded := seed(p, Job{
		Claims: []string{"SH3"}, Skipped: map[string]string{"SH2": "no database"},
		Unmet: map[string]string{"routes": "no Routes", "database": "no database"},
	})
	if diff := cmp.Diff([]string{"it is an example", "no database", "no Routes"}, seeded.Deviations); diff != "" {
		t.Errorf("deviations (-want +got):\n%s", diff)
	}
	ends := []string{"client", "gateway"}
	want := []v1.Claim{
		{ID: "shop/is-safe", Alias: "SH2", Text: "it wants a certificate", Ends: ends, Verdict: v1.Skipped, Reason: "no database"},
		{ID: "shop/is-cheap", Alias: "SH3", Text: "it costs little", Ends: ends},
	}
	if diff := cmp.Diff(want, seeded.Claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if len(p.Deviations) != 1 {
		t.Errorf("the pattern's own deviations have become %v", p.Deviations)
	}
}

// A skipped claim stays skipped when the run ends, whatever the other claims come to.
func TestSkippedClaimsStayInTheReport(t *testing.T) {
	p := demanding()
	seeded := seed(p, Job{Claims: []string{"SH3"}, Skipped: map[string]string{"SH2": "no database"}})
	report := v1.Fold([]v1.Event{{Type: v1.PatternSeeded, PatternName: "shop", Pattern: &seeded}, {Type: v1.PatternFinished, PatternName: "shop"}})
	verdicts := map[string]v1.Verdict{}
	for _, claim := range report.Patterns[0].Claims {
		verdicts[claim.Alias] = claim.Verdict
	}
	if diff := cmp.Diff(map[string]v1.Verdict{"SH2": v1.Skipped, "SH3": v1.Inconclusive}, verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func TestLoadMustBeAllowedWhereThereIsNoLab(t *testing.T) {
	for name, test := range map[string]struct {
		provider string
		allowed  bool
		skipped  bool
	}{
		"a lab":                       {provider: provider.Lab},
		"somebody's cluster":          {provider: "kubeconfig", skipped: true},
		"somebody's cluster, allowed": {provider: "kubeconfig", allowed: true},
	} {
		t.Run(name, func(t *testing.T) {
			loud := example("loud", "LO", func(p *pattern.Pattern) { p.Claims[0].Load = true })
			cluster := someCluster()
			cluster.Provider = test.provider
			plan, err := NewPlan([]pattern.Pattern{loud}, cluster, Options{AllowLoad: test.allowed})
			if err != nil {
				t.Fatal(err)
			}
			if err := plan.Meet(nil); err != nil {
				t.Fatal(err)
			}
			job := plan.Jobs[0]
			if why := job.Skipped["LO1"]; (why != "") != test.skipped || test.skipped && !strings.Contains(why, "--allow-load") {
				t.Errorf("skipped %q", why)
			}
			if slices.Contains(job.Claims, "LO1") == test.skipped {
				t.Errorf("claims %q", job.Claims)
			}
		})
	}
}
