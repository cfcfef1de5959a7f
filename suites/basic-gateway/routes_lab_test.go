//go:build lab

package basicgateway_test

import (
	"strings"
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// TestWithoutRoutesTheRestIsProvenAtTheGateway: the claim about the Route is skipped, and says why.
func TestWithoutRoutesTheRestIsProvenAtTheGateway(t *testing.T) {
	labtest.WithoutRoutes(t)
	results := t.TempDir()
	result := labtest.Run(t, "run", "basic-gateway", "--suffix", "routeless", "--results", results)
	report := labtest.Report(t, results)
	counts := v1.Summary(report)
	if result.Code != 0 || counts.Skipped != 1 || counts.Passed != counts.Selected-1 {
		t.Errorf("exit %d, %+v\n%s%s", result.Code, counts, labtest.Unproven(report), result.Stderr)
	}
	for _, claim := range report.Patterns[0].Claims {
		if skipped := claim.Verdict == v1.Skipped; skipped != (claim.Alias == "BG6") || skipped && !strings.Contains(claim.Reason, "does not serve route.openshift.io/v1 Route") {
			t.Errorf("%s is %s: %s", claim.Alias, claim.Verdict, claim.Reason)
		}
	}
	if host := report.Patterns[0].Parameters["route_hostname"]; host != "api.basic-gateway.mesh.lab" {
		t.Errorf("the host is %q, and no Route gave it", host)
	}
	if required := labtest.Run(t, "run", "basic-gateway", "--suffix", "routeless", "--claim", "BG5,BG6", "--require", "BG6", "--results", results); required.Code != v1.ExitInconclusive {
		t.Errorf("a required claim is skipped, and the exit code is %d\n%s", required.Code, required.Stdout)
	}
	if told := labtest.Run(t, "preflight", "basic-gateway"); !strings.Contains(told.Stdout, "BG6 is skipped: the cluster does not serve") || !strings.Contains(told.Stdout, "7 of 8 claims") {
		t.Error(told.Stdout)
	}
}
