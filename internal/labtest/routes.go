package labtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
)

// kindTimeout is how long the definition of a kind may take to come or to go.
const kindTimeout = time.Minute

// WithoutRoutes makes the cluster one that does not know the kind Route, until the test ends.
func WithoutRoutes(t testing.TB) {
	t.Helper()
	client := Client(t)
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
