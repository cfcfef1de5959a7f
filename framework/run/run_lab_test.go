//go:build lab

package run_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// green runs the pattern, wants every claim proven, the cluster named in the first line and in the report, and nothing left.
func green(t *testing.T, args ...string) v1.Report {
	t.Helper()
	return greenWith(t, nil, args...)
}

func greenWith(t *testing.T, environment []string, args ...string) v1.Report {
	t.Helper()
	results := t.TempDir()
	result := labtest.Finish(t, labtest.StartWith(t, environment, append([]string{"run", "basic-gateway", "--results", results}, args...)...))
	report := labtest.Report(t, results)
	counts := v1.Summary(report)
	if result.Code != 0 || counts.Passed != counts.Selected {
		t.Fatalf("exit %d, %+v\n%s\n%s", result.Code, counts, result.Stdout, result.Stderr)
	}
	named(t, result.Stdout, report.Cluster)
	if names := labtest.Left(t); len(names) > 0 {
		t.Fatalf("namespaces are left: %v", names)
	}
	return report
}

// named wants the cluster known in full, and told in the first line.
func named(t *testing.T, output string, cluster v1.Cluster) {
	t.Helper()
	first, _, _ := strings.Cut(output, "\n")
	uid, _, _ := strings.Cut(cluster.UID, "-")
	for what, value := range map[string]string{
		"API server": cluster.APIServer, "context": cluster.Context, "UID": uid, "Kubernetes": cluster.Kubernetes,
		"mesh": cluster.Mesh.Version, "revision": "revision " + cluster.Mesh.Revision, "name": cluster.Name,
	} {
		if value == "" && what != "name" || !strings.Contains(first, value) {
			t.Errorf("the first line does not tell the %s %q: %s", what, value, first)
		}
	}
}

// TestGreen runs the pattern from both vantage points, and looks at what a run leaves behind.
func TestGreen(t *testing.T) {
	report := green(t)
	if report.Cluster.Provider != "lab" || report.Cluster.Kubernetes != "v1.36.3" || report.Cluster.Mesh.Version != "1.31.0" || !strings.HasPrefix(report.Cluster.Mesh.Proxy, "Envoy 1.40") {
		t.Errorf("the report does not say where it ran: %+v", report.Cluster)
	}
	for _, claim := range report.Patterns[0].Claims {
		if claim.Probes == 0 || len(claim.Judgements) < 3 || len(claim.Evidence) != 1 {
			t.Errorf("%s: %d probes, evidence %+v", claim.Alias, claim.Probes, claim.Evidence)
		}
	}
	if from := green(t, "--client", "pod").Run.Client; from != "pod" {
		t.Errorf("the probes started at %q", from)
	}
}

// TestKubeconfigWins: with KUBECONFIG, and with a flag above it, every command is on that cluster and needs no lab: there is
// none in the folder that they are given.
func TestKubeconfigWins(t *testing.T) {
	path := strings.TrimSpace(labtest.MustRun(t, "lab", "kubeconfig").Stdout)
	nowhere := []string{"KUBECONFIG=" + filepath.Join(t.TempDir(), "nowhere")}
	noLab := []string{"--state-dir", t.TempDir()}
	report := greenWith(t, []string{"KUBECONFIG=" + path}, append(noLab, "--image-registry", build.Registry, "--client", "pod")...)
	if report.Cluster.Provider != "kubeconfig" || report.Cluster.Name != "" || report.Run.Client != "pod" {
		t.Errorf("%+v, client %s", report.Cluster, report.Run.Client)
	}
	for _, args := range [][]string{{"preflight", "basic-gateway"}, {"clean"}} {
		args = append(append(args, noLab...), "--kubeconfig", path)
		result := labtest.Finish(t, labtest.StartWith(t, nowhere, args...))
		if result.Code != 0 {
			t.Errorf("%v: exit %d\n%s\n%s", args, result.Code, result.Stdout, result.Stderr)
		}
		named(t, result.Stdout, report.Cluster)
	}
	proved := labtest.Finish(t, labtest.StartWith(t, []string{"KUBECONFIG=" + path}, append([]string{"prove", "basic-gateway", "--mutant", "equivalent-extra-label",
		"--image-registry", build.Registry, "--results", t.TempDir()}, noLab...)...))
	if proved.Code != 0 {
		t.Errorf("prove: exit %d\n%s\n%s", proved.Code, proved.Stdout, proved.Stderr)
	}
	named(t, proved.Stdout, report.Cluster)
}

// TestKilledRun kills runs at random moments: each time the journal still folds into a report, and the next run is clean
// and green.
func TestKilledRun(t *testing.T) {
	for range 2 {
		results := t.TempDir()
		running := labtest.Start(t, "run", "basic-gateway", "--results", results)
		moment := time.Duration(rand.IntN(12_000)) * time.Millisecond
		t.Logf("killed after %s", moment)
		timer := time.NewTimer(moment)
		<-timer.C
		if err := running.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		labtest.Finish(t, running)
		if _, err := os.Stat(filepath.Join(results, "latest")); err == nil {
			report := labtest.Report(t, results)
			if counts := v1.Summary(report); report.Run.Complete || counts.Selected == 0 || counts.Failed > 0 {
				t.Errorf("complete %v, %+v", report.Run.Complete, counts)
			}
		}
		green(t)
	}
}

// TestInterrupt: Ctrl-C ends the run with 130, and everything that it had installed is removed.
func TestInterrupt(t *testing.T) {
	results := t.TempDir()
	running := labtest.Start(t, "run", "basic-gateway", "--results", results)
	waitForNamespace(t, "basic-gateway-bookinfo")
	if err := running.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	result := labtest.Finish(t, running)
	if result.Code != 130 || !strings.Contains(result.Stderr, "cleaning up") {
		t.Errorf("exit %d\n%s\n%s", result.Code, result.Stdout, result.Stderr)
	}
	if names := labtest.Left(t); len(names) > 0 {
		t.Errorf("namespaces are left: %v", names)
	}
	report := labtest.Report(t, results)
	for _, claim := range report.Patterns[0].Claims {
		if claim.Verdict != v1.Inconclusive || !strings.Contains(claim.Reason, "interrupt") || !report.Run.Complete {
			t.Errorf("%s: %s (%s), complete %v", claim.Alias, claim.Verdict, claim.Reason, report.Run.Complete)
		}
	}
}

// TestInterruptDuringCleanUp: what has begun to clean up goes on with it.
func TestInterruptDuringCleanUp(t *testing.T) {
	results := t.TempDir()
	running := labtest.Start(t, "run", "basic-gateway", "--claim", "BG1", "--results", results)
	waitForNamespace(t, "basic-gateway-bookinfo")
	leaving := func(objects []*unstructured.Unstructured) (bool, string, error) {
		return len(objects) > 0 && objects[0].GetDeletionTimestamp() != nil, "it stays", nil
	}
	selection := kube.Selection{Resource: kube.Namespaces, Name: "basic-gateway-bookinfo"}
	if err := labtest.Client(t).Wait(context.Background(), selection, "to be deleted", time.Minute, leaving); err != nil {
		t.Fatal(err)
	}
	if err := running.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if result := labtest.Finish(t, running); result.Code != 130 {
		t.Errorf("exit %d\n%s\n%s", result.Code, result.Stdout, result.Stderr)
	}
	if names := labtest.Left(t); len(names) > 0 {
		t.Errorf("namespaces are left: %v", names)
	}
	if claim := labtest.Report(t, results).Patterns[0].Claims[0]; claim.Verdict != v1.Passed {
		t.Errorf("%s, which was proven before, is %s", claim.Alias, claim.Verdict)
	}
}

func waitForNamespace(t *testing.T, name string) {
	t.Helper()
	selection := kube.Selection{Resource: kube.Namespaces, Name: name}
	if err := labtest.Client(t).Wait(context.Background(), selection, "to be there", 30*time.Second, kube.Exists); err != nil {
		t.Fatal(err)
	}
}

// TestNamesAreTaken: while a run goes on, a second one on its names is refused and disturbs nothing; with a suffix both go on.
func TestNamesAreTaken(t *testing.T) {
	results := t.TempDir()
	first := labtest.Start(t, "run", "basic-gateway", "--results", results)
	waitForNamespace(t, "basic-gateway-bookinfo")
	second := labtest.Run(t, "run", "basic-gateway", "--results", t.TempDir())
	if second.Code != 2 || !strings.Contains(second.Stderr, "--suffix") {
		t.Errorf("exit %d\n%s\n%s", second.Code, second.Stdout, second.Stderr)
	}
	clean := labtest.MustRun(t, "clean")
	if !strings.Contains(clean.Stdout, "left alone") {
		t.Errorf("clean does not leave a living run alone:\n%s", clean.Stdout)
	}
	apart := labtest.Run(t, "run", "basic-gateway", "--suffix", "apart", "--results", t.TempDir())
	if apart.Code != 0 {
		t.Errorf("the run beside it: exit %d\n%s\n%s", apart.Code, apart.Stdout, apart.Stderr)
	}
	if result := labtest.Finish(t, first); result.Code != 0 {
		t.Errorf("the first run: exit %d\n%s\n%s", result.Code, result.Stdout, result.Stderr)
	}
}

// TestForeignNamespace: a namespace that is not meshproof's is refused, and stays as it is.
func TestForeignNamespace(t *testing.T) {
	kubectl := func(args ...string) {
		labtest.MustRun(t, append([]string{"lab", "exec", "--", "kubectl"}, args...)...)
	}
	kubectl("create", "namespace", "basic-gateway-bookinfo-foreign")
	t.Cleanup(func() { kubectl("delete", "namespace", "basic-gateway-bookinfo-foreign") })
	result := labtest.Run(t, "run", "basic-gateway", "--suffix", "foreign", "--results", t.TempDir())
	if result.Code != 2 || !strings.Contains(result.Stderr, "is not meshproof's") {
		t.Errorf("exit %d\n%s\n%s", result.Code, result.Stdout, result.Stderr)
	}
	kubectl("get", "namespace", "basic-gateway-bookinfo-foreign")
	if names := labtest.Left(t); len(names) > 0 {
		t.Errorf("namespaces are left: %v", names)
	}
}

// TestKeepAndClean: --keep leaves everything, which clean removes.
func TestKeepAndClean(t *testing.T) {
	labtest.MustRun(t, "run", "basic-gateway", "--keep", "--suffix", "kept", "--results", t.TempDir())
	if names := labtest.Left(t); len(names) != 2 {
		t.Errorf("kept: %v", names)
	}
	labtest.MustRun(t, "clean")
	if names := labtest.Left(t); len(names) > 0 {
		t.Errorf("namespaces are left: %v", names)
	}
}
