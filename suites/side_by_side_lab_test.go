//go:build lab

package suites_test

import (
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// proven runs meshproof, and wants every claim proven.
func proven(t *testing.T, args ...string) v1.Report {
	t.Helper()
	results := t.TempDir()
	result := labtest.Run(t, append([]string{"run", "--results", results}, args...)...)
	report := labtest.Report(t, results)
	if counts := v1.Summary(report); result.Code != 0 || counts.Passed != counts.Selected {
		t.Errorf("exit %d, %+v\n%s%s", result.Code, counts, labtest.Unproven(report), result.Stderr)
	}
	t.Logf("%d patterns in %.0f s", len(report.Patterns), report.Run.Seconds())
	return report
}

// TestSideBySide runs all patterns at once: none may disturb another.
func TestSideBySide(t *testing.T) {
	if report := proven(t, "--jobs", "4", "--suffix", "beside"); len(report.Patterns) < 4 {
		t.Errorf("%d patterns", len(report.Patterns))
	}
}

// TestHardened runs the variants that mend what the source of the patterns leaves open.
func TestHardened(t *testing.T) {
	for _, pattern := range proven(t, "mongo-ingress", "mongo-egress", "egress-tls-mongo", "--hardened", "--jobs", "2", "--suffix", "hardened").Patterns {
		if !pattern.Hardened {
			t.Errorf("%s is not said to be hardened", pattern.Name)
		}
	}
}
