//go:build lab

package egresstrafficcontrol_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// judge runs some claims, and returns the pattern's part of the report.
func judge(t *testing.T, suffix, claims string, args ...string) (labtest.Result, v1.Report) {
	t.Helper()
	results := t.TempDir()
	result := labtest.Run(t, append([]string{"run", "egress-traffic-control", "--suffix", suffix, "--claim", claims, "--results", results}, args...)...)
	return result, labtest.Report(t, results)
}

// TestWithoutRoutesTheServiceIsLimitedToo: where there is no kind Route, the host of rating-service is that of its Service.
func TestWithoutRoutesTheServiceIsLimitedToo(t *testing.T) {
	labtest.WithoutRoutes(t)
	result, report := judge(t, "routeless", "TC1,TC3,TC8")
	if counts := v1.Summary(report); result.Code != 0 || counts.Passed != 3 {
		t.Errorf("exit %d, %+v\n%s%s", result.Code, counts, labtest.Unproven(report), result.Stderr)
	}
	if host := report.Patterns[0].Parameters["rating_hostname"]; !strings.HasPrefix(host, "rating-service.") || !strings.HasSuffix(host, ".svc.cluster.local") {
		t.Errorf("the host is %q, and no Route gave it", host)
	}
}

// TestLoadCanStartInAPod: the agent in the cluster sends it when the runner cannot reach the gateway.
func TestLoadCanStartInAPod(t *testing.T) {
	result, report := judge(t, "pod", "TC3,TC4,TC6", "--client", "pod")
	if counts := v1.Summary(report); result.Code != 0 || counts.Passed != 3 || report.Run.Client != "pod" {
		t.Errorf("exit %d, %+v, client %q\n%s%s", result.Code, counts, report.Run.Client, labtest.Unproven(report), result.Stderr)
	}
}

const twoWorkers = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: product-service, namespace: "${product_namespace}"}
spec:
  template:
    metadata:
      annotations:
        proxy.istio.io/config: |
          concurrency: 2
          terminationDrainDuration: 1s
          fileFlushInterval: 0.2s
          proxyStatsMatcher:
            inclusionPrefixes: [cluster.outbound, cluster.inbound, listener, http]
`

// TestTwoWorkersWidenTheCeiling: each worker of a proxy may go one connection beyond the limit, so the ceiling follows from the
// workers that the proxy says it has. What is measured between limit and ceiling is undecidable, and nothing is over the limit.
func TestTwoWorkersWidenTheCeiling(t *testing.T) {
	overlay := filepath.Join(t.TempDir(), "workers.yaml")
	if err := os.WriteFile(overlay, []byte(twoWorkers), 0o600); err != nil {
		t.Fatal(err)
	}
	result, report := judge(t, "workers", "TC3", "--overlay", overlay)
	claim := report.Patterns[0].Claims[0]
	if claim.Verdict != v1.Passed && (claim.Verdict != v1.Inconclusive || claim.Cause != "undecidable") {
		t.Errorf("exit %d, %s\n%s", result.Code, labtest.Unproven(report), result.Stderr)
	}
	found := false
	for _, ceiling := range claim.Ceilings {
		if ceiling.Subset != "silver" {
			continue
		}
		found = true
		if ceiling.Workers != 2 || ceiling.Ceiling != ceiling.Configured+2*ceiling.Endpoints || ceiling.Measured < ceiling.Configured || ceiling.Measured > ceiling.Ceiling {
			t.Errorf("the ceiling is not that of two workers: %s", ceiling)
		}
	}
	if !found {
		t.Errorf("no ceiling of silver: %v", claim.Ceilings)
	}
}
