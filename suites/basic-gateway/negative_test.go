//go:build lab

package basicgateway_test

import (
	"path/filepath"
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// finding is what a run says of one claim: its verdict and, when that is not "passed", its cause.
type finding struct {
	verdict v1.Verdict
	cause   string
}

var proven = finding{verdict: v1.Passed}

// TestEachCheckGoesRedForItsOwnReason breaks the path in one way at a time, and wants the checks that this concerns to go
// red, for that reason, and no other check.
func TestEachCheckGoesRedForItsOwnReason(t *testing.T) {
	for name, want := range map[string]struct {
		code     int
		bg1, bg2 finding
	}{
		"details-down":          {1, finding{v1.Failed, "wrong-content"}, proven},
		"not-routed":            {1, finding{v1.Failed, "wrong-status"}, finding{v1.Inconclusive, "evidence-missing"}},
		"other-destination":     {1, finding{v1.Failed, "wrong-cluster"}, finding{v1.Failed, "wrong-cluster"}},
		"other-gateway":         {1, proven, finding{v1.Failed, "wrong-identity"}},
		"no-gateway-log":        {3, finding{v1.Inconclusive, "evidence-missing"}, finding{v1.Inconclusive, "evidence-missing"}},
		"no-gateway-statistics": {3, proven, finding{v1.Inconclusive, "evidence-missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			results := t.TempDir()
			result := labtest.Run(t, "run", "basic-gateway", "--suffix", "red", "--results", results, "--overlay", filepath.Join("testdata", name+".yaml"))
			report, err := v1.Load(filepath.Join(results, "latest"))
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, result.Stdout, result.Stderr)
			}
			got := map[string]finding{}
			for _, claim := range report.Patterns[0].Claims {
				got[claim.Alias] = finding{claim.Verdict, claim.Cause}
			}
			if result.Code != want.code || got["BG1"] != want.bg1 || got["BG2"] != want.bg2 {
				t.Errorf("exit %d, BG1 %v, BG2 %v; want %d, %v, %v\n%s\n%s", result.Code, got["BG1"], got["BG2"], want.code, want.bg1, want.bg2, result.Stdout, result.Stderr)
			}
			if len(report.Patterns[0].Leftovers) > 0 {
				t.Errorf("left: %v", report.Patterns[0].Leftovers)
			}
		})
	}
}
