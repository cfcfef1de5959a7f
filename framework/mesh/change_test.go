package mesh

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/internal/apitest"
)

// workload is a Deployment of two pods in namespace app, whose pods are of this version.
func workload(name, version string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + ", namespace: app}\n" +
		"spec: {replicas: 2, selector: {matchLabels: {app: " + name + "}}, template: {metadata: {labels: {app: " + name + ", version: " + version + "}}}}\n---\n"
}

func TestDifference(t *testing.T) {
	a, b := configMap("ns", "a", "data: {n: '1'}")+"---\n", configMap("ns", "b", "")+"---\n"
	for name, test := range map[string]struct {
		from, to string
		want     []string
	}{
		"nothing":                  {a + b, b + a, nil},
		"a new object":             {a, a + b, []string{"ConfigMap ns/b"}},
		"a changed object":         {a + b, strings.Replace(a, "'1'", "'2'", 1) + b, []string{"ConfigMap ns/a"}},
		"a field that is left out": {a + b, configMap("ns", "a", "") + "---\n" + b, []string{"ConfigMap ns/a"}},
		"one that is gone is none": {a + b, b, nil},
		"of another namespace":     {a, configMap("other", "a", "data: {n: '1'}"), []string{"ConfigMap other/a"}},
		"of another version of its API": {"apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata: {name: g, namespace: ns}\n",
			"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: ns}\n", []string{"Gateway ns/g"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, describe(Difference(decode(t, test.from), decode(t, test.to)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever was done of a change, the next one does it again, or takes it back.
func TestBetween(t *testing.T) {
	same, changed, other := configMap("ns", "same", "")+"---\n", configMap("ns", "changed", "data: {n: '1'}")+"---\n", configMap("ns", "changed", "data: {n: '2'}")+"---\n"
	from, to := decode(t, same+changed+configMap("ns", "gone", "")), decode(t, same+other+configMap("ns", "new", ""))
	between := Between(from, to)
	for name, test := range map[string]struct {
		target []*unstructured.Unstructured
		want   []string
	}{
		"back":    {from, []string{"ConfigMap ns/changed", "ConfigMap ns/gone"}},
		"forward": {to, []string{"ConfigMap ns/changed", "ConfigMap ns/new"}},
	} {
		if diff := cmp.Diff(test.want, describe(Difference(between, test.target))); diff != "" {
			t.Errorf("%s is applied (-want +got):\n%s", name, diff)
		}
		for _, object := range test.target {
			if find(between, object) < 0 {
				t.Errorf("%s: %s is not known to be there", name, object.GetName())
			}
		}
	}
	if len(between) != 4 {
		t.Errorf("%d objects may be there, want 4", len(between))
	}
}

func TestRolledOut(t *testing.T) {
	const done = "observedGeneration: 3, updatedReplicas: 2, availableReplicas: 2, replicas: 2"
	for name, test := range map[string]struct {
		generation, replicas string
		status               string
		state                string // empty: rolled out
	}{
		"all pods are new":               {"3", "2", done, ""},
		"a later change is rolled out":   {"4", "2", strings.Replace(done, "3", "4", 1), ""},
		"scaled to none":                 {"3", "0", "observedGeneration: 3", ""},
		"seen before the change":         {"2", "2", strings.Replace(done, "3", "2", 1), "the change is not observed yet"},
		"not observed by the controller": {"3", "2", strings.Replace(done, "3", "2", 1), "the change is not observed yet"},
		"no status":                      {"3", "2", "", "the change is not observed yet"},
		"one of two is new":              {"3", "2", "observedGeneration: 3, updatedReplicas: 1, availableReplicas: 2, replicas: 2", "1 of 2 pods are of the new state, 2 available, 2 in all"},
		"one of two is available":        {"3", "2", "observedGeneration: 3, updatedReplicas: 2, availableReplicas: 1, replicas: 2", "2 of 2 pods are of the new state, 1 available, 2 in all"},
		"one of the old ones is left":    {"3", "2", "observedGeneration: 3, updatedReplicas: 2, availableReplicas: 2, replicas: 3", "2 of 2 pods are of the new state, 2 available, 3 in all"},
		"one is left of those to go":     {"3", "0", "observedGeneration: 3, replicas: 1", "0 of 0 pods are of the new state, 0 available, 1 in all"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := decode(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: page, generation: "+test.generation+"}\nspec: {replicas: "+test.replicas+"}\nstatus: {"+test.status+"}\n")
			done, state, err := rolledOut(3)(objects)
			if done != (test.state == "") || (!done && state != test.state) || err != nil {
				t.Errorf("done %t, %q, error %v; want %q", done, state, err, test.state)
			}
		})
	}
	if done, state, _ := rolledOut(3)(nil); done || state != "it is not there" {
		t.Errorf("without an object: done %t, %q", done, state)
	}
}

func TestFieldAt(t *testing.T) {
	service := decode(t, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {host: a.lab, port: 80}\nstatus: {loadBalancer: {ingress: [{ip: 10.0.0.1}, {ip: 10.0.0.2}]}}\n")[0]
	for path, want := range map[string]string{
		"spec host": "a.lab", "status loadBalancer ingress 0 ip": "10.0.0.1", "status loadBalancer ingress 1 ip": "10.0.0.2",
		"status loadBalancer ingress * ip": "10.0.0.1,10.0.0.2", "status loadBalancer ingress * hostname": "", "status loadBalancer ingress 2 ip": "", "status loadBalancer ingress -1 ip": "", "status loadBalancer ingress ip": "", "status loadBalancer ingress first ip": "",
		"spec host name": "", "spec hosts": "", "spec": "", "spec port": "", "": "",
	} {
		if got := FieldAt(service.Object, strings.Fields(path)); got != want {
			t.Errorf("at %q: %q, want %q", path, got, want)
		}
	}
}

// settled makes a Deployment as its controller does when all its pods are of its newest state.
func settled(object *unstructured.Unstructured) {
	if object.GetKind() == "Deployment" {
		replicas, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
		object.Object["status"] = map[string]any{
			"observedGeneration": object.GetGeneration(), "replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas,
		}
	}
}

func TestChangeAppliesWhatDiffersAndDeletesWhatIsLeftOut(t *testing.T) {
	server := apitest.New(t)
	server.Applied = settled
	from := decode(t, configMap("app", "same", "")+"---\n"+configMap("app", "changed", "data: {n: '1'}")+"---\n"+configMap("app", "gone", "")+"---\n"+workload("page", "v1")+workload("same", "v1"))
	to := decode(t, workload("page", "v2")+workload("same", "v1")+configMap("app", "same", "")+"---\n"+configMap("app", "changed", "data: {n: '2'}")+"---\n"+configMap("app", "new", ""))
	client := server.Client(t)
	if err := Install(t.Context(), client, from); err != nil {
		t.Fatal(err)
	}
	server.Forget()
	if err := Change(t.Context(), client, from, to, time.Minute); err != nil {
		t.Fatal(err)
	}
	got := server.Changes()
	if len(got) > 2 && got[0] == "apply ConfigMap app/new" {
		got[0], got[1] = got[1], got[0] // both are configuration, which is applied at once
	}
	want := []string{"apply ConfigMap app/changed", "apply ConfigMap app/new", "apply Deployment app/page", "delete ConfigMap app/gone"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestChangeDoesNotMindWhatHasGoneAlready(t *testing.T) {
	server := apitest.New(t)
	if err := Change(t.Context(), server.Client(t), decode(t, configMap("app", "gone", "")), nil, time.Minute); err != nil {
		t.Error(err)
	}
}

func TestChangeTellsWhatWasRefused(t *testing.T) {
	a := decode(t, configMap("app", "a", ""))
	for method, test := range map[string]struct {
		from, to []*unstructured.Unstructured
		want     string
	}{
		"PATCH":  {nil, a, "apply ConfigMap app/a: "},
		"DELETE": {a, nil, "delete ConfigMap app/a: "},
		"GET":    {nil, decode(t, workload("page", "v1")), "look at Deployment app/page: "},
	} {
		t.Run(method, func(t *testing.T) {
			server := apitest.New(t)
			server.Put(test.from...)
			client := server.Client(t)
			if _, err := client.ResourceName(a[0].GroupVersionKind()); err != nil {
				t.Fatal(err)
			}
			server.RefuseAll(method, "webhook says no")
			wantError(t, Change(t.Context(), client, test.from, test.to, time.Minute), test.want, "webhook says no")
		})
	}
}

func TestChangeWaitsUntilOnlyNewPodsAreThere(t *testing.T) {
	server := apitest.New(t)
	from, to := decode(t, workload("page", "v1")), decode(t, workload("page", "v2"))
	old := decode(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: page-1, namespace: app, labels: {app: page}, deletionTimestamp: '2026-11-22T16:04:05Z'}\n")[0]
	other := decode(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: other-1, namespace: app, labels: {app: other}, deletionTimestamp: '2026-11-22T16:04:05Z'}\n")[0]
	server.Put(old, other)
	rolled := make(chan struct{})
	server.Applied = func(object *unstructured.Unstructured) {
		object.Object["status"] = map[string]any{"observedGeneration": int64(1), "replicas": int64(3), "updatedReplicas": int64(1), "availableReplicas": int64(2)}
		later := object.DeepCopy()
		settled(later)
		go func() {
			server.Put(later)
			close(rolled)
			server.Delete(old)
		}()
	}
	if err := Change(t.Context(), server.Client(t), from, to, time.Minute); err != nil {
		t.Fatal(err)
	}
	select {
	case <-rolled:
	default:
		t.Error("it did not wait for the rollout")
	}
}

func TestAwaitRolloutsTellsWhatItWaitedFor(t *testing.T) {
	deployment := func(status string) string {
		return strings.TrimSuffix(workload("page", "v1"), "---\n") + "status: {" + status + "}\n"
	}
	leaving := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "page-1", Namespace: "app", Labels: map[string]string{"app": "page"}, DeletionTimestamp: &metav1.Time{Time: time.Now()}, Finalizers: []string{"x"}}}
	warning := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "app"}, Type: corev1.EventTypeWarning, Reason: "Failed", Message: "no such image",
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "page-2"}}
	typed := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "page", Namespace: "app"}, Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "page"}}}}
	const pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: page-1, namespace: app, labels: {app: page}}\n"
	for name, test := range map[string]struct {
		watched string
		want    []string
	}{
		"the rollout": {deployment("updatedReplicas: 1, availableReplicas: 2, replicas: 2") + pod,
			[]string{"deployments/page in app to be rolled out", "waited 2m0s", "1 of 2 pods are of the new state", "Pod page-2: Failed: no such image"}},
		"the pods of the former state": {deployment("updatedReplicas: 2, availableReplicas: 2, replicas: 2") + pod,
			[]string{"pods with app=page in app to be without those of the former state", "waited 2m0s", "page-1 is still there"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _ := clusterOf(t, test.watched, typed, leaving, warning)
				wantError(t, awaitRollouts(t.Context(), client, decode(t, workload("page", "v1")), 2*time.Minute), test.want...)
			})
		})
	}
}
