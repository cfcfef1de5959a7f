package mesh

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/internal/apitest"
)

// statefulSet is one of two pods in namespace app.
func statefulSet(name, version, status string) string {
	text := strings.Replace(workload(name, version), "Deployment", "StatefulSet", 1)
	return strings.Replace(text, "---\n", "status: {"+status+"}\n---\n", 1)
}

func TestMakesPods(t *testing.T) {
	for kind, want := range map[string]bool{"Deployment": true, "StatefulSet": true, "Service": false, "Pod": false} {
		if got := MakesPods(&unstructured.Unstructured{Object: map[string]any{"kind": kind}}); got != want {
			t.Errorf("%s: %t, want %t", kind, got, want)
		}
	}
}

func TestAwaitReadyWaitsForStatefulSets(t *testing.T) {
	for name, row := range map[string]struct {
		status string
		want   []string // none: ready
	}{
		"all ready":    {"observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 2", nil},
		"one is ready": {"observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 1", []string{"statefulsets/store in app to have all its pods ready", "waited 2m0s", "1 available, 2 in all"}},
		"none is made": {"observedGeneration: 1", []string{"0 of 2 pods are of the new state"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _ := clusterOf(t, statefulSet("store", "v1", row.status))
				pods, err := AwaitReady(t.Context(), client, decode(t, statefulSet("store", "v1", "")), 2*time.Minute)
				if pods != 2 {
					t.Errorf("%d pods, want 2", pods)
				}
				if len(row.want) == 0 && err != nil || len(row.want) > 0 && err == nil {
					t.Fatalf("error %v, want %q", err, row.want)
				}
				if err != nil {
					wantError(t, err, row.want...)
				}
			})
		})
	}
}

func TestChangeWaitsForAStatefulSet(t *testing.T) {
	server := apitest.New(t)
	rolled := make(chan struct{})
	server.Applied = func(object *unstructured.Unstructured) {
		object.Object["status"] = map[string]any{"observedGeneration": int64(1), "replicas": int64(2), "updatedReplicas": int64(1), "availableReplicas": int64(1)}
		later := object.DeepCopy()
		later.Object["status"] = map[string]any{"observedGeneration": int64(1), "replicas": int64(2), "updatedReplicas": int64(2), "availableReplicas": int64(2)}
		go func() {
			close(rolled)
			server.Put(later)
		}()
	}
	if err := Change(t.Context(), server.Client(t), nil, decode(t, statefulSet("store", "v1", "")), time.Minute); err != nil {
		t.Fatal(err)
	}
	select {
	case <-rolled:
	default:
		t.Error("it did not wait for the rollout")
	}
}

// A controller deletes the pods of a workload that has gone, after it: until then they answer, and take connections.
func TestChangeWaitsUntilThePodsOfARemovedWorkloadHaveGone(t *testing.T) {
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		t.Run(kind, func(t *testing.T) {
			server := apitest.New(t)
			from := decode(t, strings.Replace(workload("page", "v1"), "Deployment", kind, 1))
			pod := decode(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: page-1, namespace: app, labels: {app: page}}\n")[0]
			server.Put(append(from, pod)...)
			done := make(chan error)
			go func() { done <- Change(t.Context(), server.Client(t), from, nil, time.Minute) }()
			for len(server.Changes()) == 0 {
				select {
				case err := <-done:
					t.Fatalf("it ended before it had changed anything; error %v", err)
				case <-time.After(time.Millisecond): // the server tells its changes to nobody
				}
			}
			select {
			case err := <-done:
				t.Fatalf("it did not wait; error %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			server.Delete(pod)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
