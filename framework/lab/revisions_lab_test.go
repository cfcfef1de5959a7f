//go:build lab

package lab_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// TestRevisionBesideTheDefault adds an older Istio to a running lab: each revision injects proxies of its own, and the
// pattern is proven on both.
func TestRevisionBesideTheDefault(t *testing.T) {
	const name = "revisions"
	up(t, name)
	labtest.MustRun(t, "lab", "up", "--name", name, "--istio", "1.31,1.27")
	again := labtest.MustRun(t, "lab", "up", "--name", name, "--istio", "1.31,1.27")
	if again.Duration > 2*time.Second || again.Stderr != "" {
		t.Errorf("up with nothing missing took %s\n%s", again.Duration, again.Stderr)
	}
	const revisions = "Istio 1.31.0 (revision default, Envoy 1.40.0), Istio 1.27.9 (revision 1-27, Envoy 1.36.4)"
	if status := labtest.MustRun(t, "lab", "status", "--name", name); !strings.Contains(status.Stdout, revisions) {
		t.Errorf("the status does not show both revisions:\n%s", status.Stdout)
	}
	other := labtest.Run(t, "lab", "up", "--name", name, "--istio", "1.27")
	if other.Code != 2 || !strings.Contains(other.Stderr, "Istio 1.31.0, not 1.27.9") || strings.Count(other.Stderr, "\n") != 1 {
		t.Errorf("another default: exit %d\n%s", other.Code, other.Stderr)
	}
	t.Run("injection", func(t *testing.T) {
		checkInjection(t, name, "istio-injection=enabled", "1.31.0", "1.40.0")
		checkInjection(t, name, "istio.io/rev=1-27", "1.27.9", "1.36.4")
	})
	t.Run("validation", func(t *testing.T) { checkValidation(t, name) })
	newer, older := t.TempDir(), t.TempDir()
	t.Run("default", func(t *testing.T) {
		checkProven(t, name, "", newer, v1.Mesh{Version: "1.31.0", Revision: "default", Proxy: "Envoy 1.40.0"})
	})
	t.Run("1-27", func(t *testing.T) {
		checkProven(t, name, "1-27", older, v1.Mesh{Version: "1.27.9", Revision: "1-27", Proxy: "Envoy 1.36.4"})
	})
	t.Run("compare", func(t *testing.T) {
		checkCompared(t, name, filepath.Join(older, "latest"), filepath.Join(newer, "latest"))
	})
}

// TestOlderDefault: the older Istio alone is a lab too, and a newer one beside it brings its definitions.
func TestOlderDefault(t *testing.T) {
	const name = "older"
	t.Cleanup(func() { labtest.MustRun(t, "lab", "down", "--name", name) })
	labtest.MustRun(t, "lab", "up", "--name", name, "--istio", "1.27")
	checkProven(t, name, "", t.TempDir(), v1.Mesh{Version: "1.27.9", Revision: "default", Proxy: "Envoy 1.36.4"})
	definitions := func() string { return kubectl(t, name, "get", "crds", "-o", "name").Stdout }
	const newInTheNewer = "trafficextensions.extensions.istio.io"
	if strings.Contains(definitions(), newInTheNewer) {
		t.Fatalf("%s is defined already, so this test could not fail", newInTheNewer)
	}
	labtest.MustRun(t, "lab", "up", "--name", name, "--istio", "1.27,1.31")
	if list := definitions(); !strings.Contains(list, newInTheNewer) {
		t.Errorf("the definitions are not those of the newer Istio:\n%s", list)
	}
	checkInjection(t, name, "istio.io/rev=1-31", "1.31.0", "1.40.0")
}

func kubectl(t *testing.T, name string, args ...string) labtest.Result {
	t.Helper()
	return labtest.MustRun(t, append([]string{"lab", "exec", "--name", name, "--", "kubectl"}, args...)...)
}

// checkInjection makes a namespace with this label, and asks the proxy of a pod in it for its versions.
func checkInjection(t *testing.T, name, label, istio, envoy string) {
	t.Helper()
	namespace := "on-" + strings.ReplaceAll(istio, ".", "-")
	kubectl(t, name, "create", "namespace", namespace)
	kubectl(t, name, "label", "namespace", namespace, label)
	kubectl(t, name, "--namespace", namespace, "run", "pod", "--image-pull-policy=IfNotPresent", "--image="+build.FixtureImages()["agent"])
	kubectl(t, name, "--namespace", namespace, "wait", "--for=condition=Ready", "pod/pod", "--timeout=60s")
	server := kubectl(t, name, "--namespace", namespace, "exec", "pod", "--container=istio-proxy", "--", "pilot-agent", "request", "GET", "server_info").Stdout
	for _, want := range []string{"/" + envoy + "/", `"ISTIO_VERSION": "` + istio + `"`} {
		if !strings.Contains(server, want) {
			t.Errorf("the proxy of a pod in a namespace with %s does not say %s:\n%s", label, want, server)
		}
	}
}

// checkValidation: an object that names no revision is validated by the default one, once.
func checkValidation(t *testing.T, name string) {
	t.Helper()
	refused := labtest.Run(t, "lab", "exec", "--name", name, "--", "kubectl", "apply", "--dry-run=server", "--filename", filepath.Join("testdata", "invalid.yaml"))
	if refused.Code == 0 || strings.Count(refused.Stderr, "denied the request") != 1 {
		t.Errorf("exit %d\n%s\n%s", refused.Code, refused.Stdout, refused.Stderr)
	}
}

// checkProven runs the pattern on a revision, with its results in this folder, and wants it green and the mesh named.
func checkProven(t *testing.T, name, revision, results string, mesh v1.Mesh) {
	t.Helper()
	result := labtest.Run(t, "run", "basic-gateway", "--lab", name, "--revision", revision, "--results", results)
	report, err := v1.Load(filepath.Join(results, "latest"))
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, result.Stdout, result.Stderr)
	}
	mesh.Flavour = "istio"
	if counts := v1.Summary(report); result.Code != 0 || counts.Passed == 0 || report.Cluster.Mesh != mesh {
		t.Errorf("exit %d, %+v on %+v; want what can be judged here proven, on %+v\n%s\n%s", result.Code, counts, report.Cluster.Mesh, mesh, result.Stdout, result.Stderr)
	}
}
