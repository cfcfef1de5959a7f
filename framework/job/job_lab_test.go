//go:build lab

package job_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// TestJob: a run in a pod proves what it is asked for, its results are here, and nothing of it is left on the cluster.
func TestJob(t *testing.T) {
	results := t.TempDir()
	result := labtest.Run(t, "job", "basic-gateway", "--results", results, "--", "--claim", "BG1,BG5")
	if result.Code != 0 {
		t.Fatalf("exit %d\n%s\n%s", result.Code, result.Stdout, result.Stderr)
	}
	report := labtest.Report(t, results)
	if counts := v1.Summary(report); counts.Passed != 2 || counts.Selected != 2 {
		t.Errorf("%+v\n%s", counts, labtest.Unproven(report))
	}
	if report.Cluster.Provider != "in-cluster" || report.Run.Client != "pod" || !report.Run.Complete {
		t.Errorf("%+v, client %s, complete %t", report.Cluster, report.Run.Client, report.Run.Complete)
	}
	for _, words := range []string{"pass   BG1", "proven 2 of 2", "collected: " + results} {
		if !strings.Contains(result.Stdout, words) {
			t.Errorf("it does not print %q:\n%s", words, result.Stdout)
		}
	}
	nothingLeft(t)
}

// TestJobTellsTheExitCode: what the run in the pod says of itself is what the command says.
func TestJobTellsTheExitCode(t *testing.T) {
	result := labtest.Run(t, "job", "basic-gateway", "--results", t.TempDir(), "--", "--claim", "BG1", "--set", "bookinfo_namespace=kube-public")
	if result.Code != 2 || !strings.Contains(result.Stdout, "namespace kube-public is there and is not meshproof's") {
		t.Errorf("exit %d\n%s\n%s", result.Code, result.Stdout, result.Stderr)
	}
	nothingLeft(t)
}

// TestJobInterrupted: Ctrl-C has the run in the pod clean up, and its results still come.
func TestJobInterrupted(t *testing.T) {
	results := t.TempDir()
	running := labtest.Start(t, "job", "basic-gateway", "--results", results, "--", "--claim", "BG1")
	selection := kube.Selection{Resource: kube.Namespaces, Name: "basic-gateway-bookinfo"}
	if err := labtest.Client(t).Wait(context.Background(), selection, "to be there", time.Minute, kube.Exists); err != nil {
		t.Error(err)
	}
	if err := running.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	result := labtest.Finish(t, running)
	if result.Code != 130 {
		t.Errorf("exit %d\n%s\n%s", result.Code, result.Stdout, result.Stderr)
	}
	if report := labtest.Report(t, results); report.Run.Interrupted == "" || !report.Run.Complete {
		t.Errorf("the report does not tell of the interrupt: %+v", report.Run)
	}
	nothingLeft(t)
}

func nothingLeft(t *testing.T) {
	t.Helper()
	if names := labtest.Left(t); len(names) > 0 {
		t.Errorf("namespaces are left: %v", names)
	}
	roles := labtest.Client(t).Typed.RbacV1()
	selector := metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=meshproof"}
	bindings, err := roles.ClusterRoleBindings().List(t.Context(), selector)
	if err != nil || len(bindings.Items) > 0 {
		t.Errorf("bindings are left: %v, error %v", bindings.Items, err)
	}
	found, err := roles.ClusterRoles().List(t.Context(), selector)
	if err != nil || len(found.Items) > 0 {
		t.Errorf("roles are left: %v, error %v", found.Items, err)
	}
}
