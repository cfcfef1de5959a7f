//go:build lab

package basicgateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// kindTimeout is how long the definition of a kind may take to come or to go.
const kindTimeout = time.Minute

// withoutRoutes makes the cluster one that does not know the kind Route, until the test ends.
func withoutRoutes(t *testing.T) {
	t.Helper()
	client := labtest.Client(t)
	kinds := client.Dynamic.Resource(kube.CRDs)
	const name = "routes.route.openshift.io"
	definition, err := kinds.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	selection := kube.Selection{Resource: kube.CRDs, Name: name}
	if err := kinds.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		definition.SetResourceVersion("")
		definition.SetUID("")
		delete(definition.Object, "status")
		_, err := kinds.Create(context.Background(), definition, metav1.CreateOptions{})
		if err == nil {
			err = client.Wait(context.Background(), selection, "to be Established", kindTimeout, kube.HasCondition("Established", 1))
		}
		if err == nil {
			err = awaitRoutes(client)
		}
		if err != nil {
			t.Errorf("put the kind Route back: %v", err)
		}
	})
	if err := client.Wait(t.Context(), selection, "to be gone", kindTimeout, kube.Gone); err != nil {
		t.Fatal(err)
	}
}

// awaitRoutes waits until the API server takes Routes: its admission policies get to know a kind later than its storage.
func awaitRoutes(client *kube.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), kindTimeout)
	defer cancel()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	route := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": map[string]any{"name": "probe"},
		"spec": map[string]any{"to": map[string]any{"kind": "Service", "name": "probe", "weight": int64(100)}},
	}}
	routes := client.Dynamic.Resource(schema.GroupVersionResource{Group: "route.openshift.io", Version: "v1", Resource: "routes"}).Namespace("default")
	for {
		_, err := routes.Create(ctx, route, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no Route is taken within %s: %w", kindTimeout, err)
		case <-ticker.C:
		}
	}
}

// TestWithoutRoutesTheRestIsProvenAtTheGateway: the claim about the Route is skipped, and says why.
func TestWithoutRoutesTheRestIsProvenAtTheGateway(t *testing.T) {
	withoutRoutes(t)
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
