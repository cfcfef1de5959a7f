//go:build lab

package lab_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// restricted has Kubernetes refuse every pod in basic-gateway's namespaces that asks for more than the strictest of its Pod
// Security Standards allows. The one of the namespace without a mesh is as it was.
const restricted = `
apiVersion: v1
kind: Namespace
metadata: {name: "${bookinfo_namespace}", labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Namespace
metadata: {name: "${control_plane_namespace}", labels: {pod-security.kubernetes.io/enforce: restricted}}
`

// TestRestrictedPodSecurity: with istio-cni in place of the init container, every fixture, sidecar and gateway keeps to the
// restricted Pod Security Standard; without it, the sidecars' init container does not, and the run says so.
func TestRestrictedPodSecurity(t *testing.T) {
	const name = "restricted"
	up(t, name)
	labtest.MustRun(t, "lab", "up", "--name", name, "--istio", "1.31,1.31+cni")
	if status := labtest.MustRun(t, "lab", "status", "--name", name); !strings.Contains(status.Stdout, "(revision 1-31-cni, Envoy 1.40.0, istio-cni)") {
		t.Errorf("the status does not show istio-cni:\n%s", status.Stdout)
	}
	overlay := filepath.Join(t.TempDir(), "restricted.yaml")
	if err := os.WriteFile(overlay, []byte(restricted), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(revision string, args ...string) (labtest.Result, v1.Report) {
		results := t.TempDir()
		result := labtest.Run(t, append([]string{"run", "basic-gateway", "--lab", name, "--revision", revision, "--overlay", overlay, "--results", results}, args...)...)
		return result, labtest.Report(t, results)
	}
	t.Run("istio-cni", func(t *testing.T) {
		result, report := run("1-31-cni")
		if counts := v1.Summary(report); result.Code != 0 || counts.Passed != counts.Selected {
			t.Errorf("exit %d, %+v\n%s%s", result.Code, counts, labtest.Unproven(report), result.Stderr)
		}
	})
	t.Run("init container", func(t *testing.T) {
		result, report := run("default", "--claim", "BG1")
		if told := result.Stdout + result.Stderr; result.Code != v1.ExitInconclusive || !strings.Contains(told, "violates PodSecurity") {
			t.Errorf("exit %d, and it does not say why no pod comes:\n%s\n%s", result.Code, labtest.Unproven(report), told)
		}
	})
}
