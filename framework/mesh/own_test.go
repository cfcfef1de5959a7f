package mesh

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/internal/apitest"
)

// In a namespace that stays, what a run has made goes, and nothing else.
func TestRemoveOwn(t *testing.T) {
	server := apitest.New(t)
	objects, err := kube.Decode("the test's objects", []byte(`
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ours, namespace: shop, labels: {app.kubernetes.io/managed-by: meshproof, meshproof.dev/run: r0}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: theirs, namespace: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: elsewhere, namespace: bank, labels: {app.kubernetes.io/managed-by: meshproof, meshproof.dev/run: r0}}
---
apiVersion: v1
kind: Service
metadata: {name: ours, namespace: shop, labels: {app.kubernetes.io/managed-by: meshproof, meshproof.dev/run: r1}}
`))
	if err != nil {
		t.Fatal(err)
	}
	server.Put(objects...)
	kinds := []schema.GroupVersionKind{{Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Service"}}
	left, err := RemoveOwn(t.Context(), server.Client(t), []string{"shop"}, kinds[:1], 10*time.Second)
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, error %v", left, err)
	}
	if diff := cmp.Diff([]string{"delete ConfigMap shop/ours"}, server.Changes()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	server.RefuseAll("DELETE", "not yours")
	left, err = RemoveOwn(t.Context(), server.Client(t), []string{"shop"}, kinds, 10*time.Second)
	if diff := cmp.Diff([]string{"Service shop/ours"}, left); diff != "" || err == nil {
		t.Errorf("error %v, left (-want +got):\n%s", err, diff)
	}
}
