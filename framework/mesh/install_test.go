package mesh

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/meshproof/meshproof/framework/kube"
)

// clusterOf is a cluster in memory: what waits see is given as YAML, what is asked for by name is typed. Like an older API
// server it refuses a watch that is to begin with what is there, so that clients list first.
func clusterOf(t *testing.T, watched string, typed ...runtime.Object) (*kube.Client, *fake.Clientset) {
	t.Helper()
	var objects []runtime.Object
	if watched != "" {
		for _, object := range decode(t, watched) {
			objects = append(objects, object)
		}
	}
	kinds := map[schema.GroupVersionResource]string{kube.Deployments: "DeploymentList", kube.StatefulSets: "StatefulSetList", kube.Namespaces: "NamespaceList", kube.Pods: "PodList"}
	cluster := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, objects...)
	cluster.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		if action.(clienttesting.WatchActionImpl).ListOptions.SendInitialEvents != nil {
			return true, nil, apierrors.NewInvalid(schema.GroupKind{}, "sendInitialEvents", nil)
		}
		return false, nil, nil
	})
	client := fake.NewClientset(typed...)
	return &kube.Client{Dynamic: cluster, Typed: client}, client
}

func TestStageOf(t *testing.T) {
	for kind, want := range map[string]int{
		"Namespace": 0, "Service": 1, "ServiceAccount": 1, "Gateway": 1, "PeerAuthentication": 1,
		"Deployment": 2, "StatefulSet": 2, "DaemonSet": 2, "Job": 2, "Pod": 2,
	} {
		if got := stageOf(decode(t, "apiVersion: v1\nkind: "+kind+"\nmetadata: {name: a}\n")[0]); got != want {
			t.Errorf("%s is of stage %d, want %d", kind, got, want)
		}
	}
}

// deployment is one in namespace app with an observed generation and its condition Available.
func deployment(name string, observed int, available string) string {
	return fmt.Sprintf("\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: app, generation: 2}\nspec: {replicas: 2}\n"+
		"status: {observedGeneration: %d, conditions: [{type: Available, status: '%s'}]}\n---", name, observed, available)
}

func TestAwaitReady(t *testing.T) {
	warning := func(name, message string) *corev1.Event {
		return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "app"}, Type: corev1.EventTypeWarning, Reason: "Failed", Message: message,
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "page-1"}}
	}
	for name, row := range map[string]struct {
		watched string
		events  []runtime.Object
		want    []string // none: ready
		not     string
	}{
		"ready":                       {watched: deployment("page", 2, "True") + deployment("other", 3, "True")},
		"of an older generation":      {watched: deployment("page", 1, "True") + deployment("other", 2, "True"), want: []string{"page is not observed yet"}},
		"not available":               {watched: deployment("page", 2, "False") + deployment("other", 2, "True"), want: []string{"deployments in app", "waited 2m0s", "1 of 2 not Available: page"}, not: "complains"},
		"not there yet":               {watched: deployment("page", 2, "True"), want: []string{"1 of 2 there"}, not: "complains"},
		"with a complaint":            {watched: deployment("page", 2, "False") + deployment("other", 2, "True"), events: []runtime.Object{warning("a", "no such image")}, want: []string{"namespace app complains: Pod page-1: Failed: no such image"}},
		"with the same complaint":     {watched: deployment("page", 2, "True"), events: []runtime.Object{warning("a", "twice"), warning("b", "twice")}, want: []string{"complains: Pod page-1: Failed: twice"}, not: "; Pod"},
		"with more than five of them": {watched: deployment("page", 2, "True"), events: []runtime.Object{warning("a", "m1"), warning("b", "m2"), warning("c", "m3"), warning("d", "m4"), warning("e", "m5"), warning("f", "m6")}, want: []string{"m2", "m6"}, not: "m1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _ := clusterOf(t, row.watched, row.events...)
				objects := decode(t, deployment("page", 0, "")+"\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other, namespace: app}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: app}\n")
				pods, err := AwaitReady(t.Context(), client, objects, 2*time.Minute)
				if pods != 3 {
					t.Errorf("%d pods, want 2 and 1", pods)
				}
				if row.want == nil {
					if err != nil {
						t.Error(err)
					}
					return
				}
				wantError(t, err, row.want...)
				if row.not != "" && strings.Contains(err.Error(), row.not) {
					t.Errorf("error = %v, want one without %q", err, row.not)
				}
			})
		})
	}
}

// ours is a namespace of meshproof's own.
func ours(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid of " + name), Labels: map[string]string{ManagedByLabel: kube.FieldManager}}}
}

func TestRemove(t *testing.T) {
	foreign := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "foreign", Labels: map[string]string{ManagedByLabel: "helm"}}}
	const terminating = "apiVersion: v1\nkind: Namespace\nmetadata: {name: app}\nstatus: {conditions: [{type: NamespaceFinalizersRemaining, status: 'True', message: one finalizer is left}, {type: NamespaceContentRemaining, status: 'False', message: nothing}]}\n"
	for name, row := range map[string]struct {
		watched string
		typed   []runtime.Object
		deleted []string
		left    []string
		want    []string // none: no error
	}{
		"two of ours":           {typed: []runtime.Object{ours("app"), ours("ingress")}, deleted: []string{"app", "ingress"}},
		"one that has gone":     {typed: []runtime.Object{ours("ingress")}, deleted: []string{"ingress"}},
		"none":                  {},
		"one that does not end": {watched: terminating, typed: []runtime.Object{ours("app")}, deleted: []string{"app"}, left: []string{"Namespace app"}, want: []string{"waited 2m0s", "terminating: one finalizer is left", "kubectl get namespace app"}},
		"one that is not ours":  {typed: []runtime.Object{foreign, ours("app")}, deleted: []string{"app"}, want: []string{"namespace foreign", "not meshproof's to delete"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, typed := clusterOf(t, row.watched, row.typed...)
				left, err := Remove(t.Context(), client, []string{"foreign", "app", "ingress"}, 2*time.Minute)
				if row.want != nil {
					wantError(t, err, row.want...)
				} else if err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(row.left, left); diff != "" {
					t.Errorf("left (-want +got):\n%s", diff)
				}
				deleted := map[string]string{}
				for _, action := range typed.Actions() {
					if action, ok := action.(clienttesting.DeleteActionImpl); ok {
						deleted[action.Name] = string(*action.DeleteOptions.Preconditions.UID)
					}
				}
				want := map[string]string{}
				for _, name := range row.deleted {
					want[name] = "uid of " + name
				}
				if diff := cmp.Diff(want, deleted); diff != "" {
					t.Errorf("deleted, with the UID that was looked at (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The error of one namespace is not lost, and keeps no other namespace from being removed.
func TestRemoveTriesEveryNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("webhook says no")
		client, typed := clusterOf(t, "", ours("a"), ours("b"), ours("c"), ours("d"))
		typed.PrependReactor("delete", "namespaces", func(action clienttesting.Action) (bool, runtime.Object, error) {
			return action.(clienttesting.DeleteAction).GetName() == "b", nil, refused
		})
		left, err := Remove(t.Context(), client, []string{"a", "b", "c", "d"}, time.Minute)
		if !errors.Is(err, refused) {
			t.Errorf("error = %v, want %v", err, refused)
		}
		wantError(t, err, "delete namespace b")
		if diff := cmp.Diff([]string{"Namespace b"}, left); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
	})
}
