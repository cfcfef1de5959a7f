//go:build lab

package lab_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
	"github.com/meshproof/meshproof/reports/compare"
)

// checkCompared compares the two runs of one pattern on two versions of Istio, which configure the same, and the older one with
// runs on the newer one in which one thing is changed: then the first hop is wanted that the change is made for.
func checkCompared(t *testing.T, name, older, newer string) {
	for _, sides := range [][2]string{{older, newer}, {newer, older}} {
		pattern := compared(t, 0, sides[0], sides[1])
		for _, hop := range pattern.Hops {
			for _, difference := range hop.Differences {
				t.Errorf("%s: %s", hop.Name, difference)
			}
		}
		if len(pattern.Hops) != 5 || pattern.Unknown != "" {
			t.Errorf("%d hops, %s", len(pattern.Hops), pattern.Unknown)
		}
	}
	for _, test := range []struct{ mutant, claim, hop, kind string }{
		{"other-destination", "BG1", "gateway", compare.Routes},
		{"plain-text-to-ratings", "BG3", "reviews", compare.TLS},
	} {
		t.Run(test.mutant, func(t *testing.T) {
			results := t.TempDir()
			overlay := filepath.Join("..", "..", "suites", "basic-gateway", "mutants", test.mutant+".yaml")
			if run := labtest.Run(t, "run", "basic-gateway", "--lab", name, "--claim", test.claim, "--overlay", overlay, "--results", results); run.Code != 1 {
				t.Fatalf("the mutant: exit %d\n%s\n%s", run.Code, run.Stdout, run.Stderr)
			}
			for _, file := range []string{"objects.yaml", "events.txt", "statistics.txt", filepath.Join("configuration", test.hop+".json")} {
				path := filepath.Join(results, "latest", "basic-gateway", test.claim, "diagnosis", file)
				if info, err := os.Stat(path); err != nil || info.Size() == 0 {
					t.Errorf("the diagnosis is not whole: %v", err)
				}
			}
			for _, before := range []string{older, newer} {
				pattern := compared(t, 1, before, filepath.Join(results, "latest"))
				broken := pattern.Claims[slices.IndexFunc(pattern.Claims, func(c compare.Claim) bool { return c.Alias == test.claim })]
				if broken.Class != compare.Broken || broken.FirstHop != test.hop {
					t.Fatalf("%s is %s, first hop %q", broken.Alias, broken.Class, broken.FirstHop)
				}
				hop := pattern.Hops[slices.IndexFunc(pattern.Hops, func(h compare.Hop) bool { return h.Name == test.hop })]
				if !slices.ContainsFunc(hop.Differences, func(d compare.Difference) bool { return d.Kind == test.kind }) {
					t.Errorf("no difference of %s: %v", test.kind, hop.Differences)
				}
			}
		})
	}
}

// compared is the only pattern of two runs, compared by the command, which must end with this code.
func compared(t *testing.T, code int, a, b string) compare.Pattern {
	t.Helper()
	result := labtest.Run(t, "compare", a, b, "-o", "json")
	var comparison compare.Comparison
	if err := json.Unmarshal([]byte(result.Stdout), &comparison); err != nil || result.Code != code || len(comparison.Patterns) != 1 {
		t.Fatalf("exit %d, want %d; %v\n%s\n%s", result.Code, code, err, result.Stdout, result.Stderr)
	}
	return comparison.Patterns[0]
}
