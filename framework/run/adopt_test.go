package run

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/internal/apitest"
)

// adoptingJob is a job of the example in a namespace with these labels, and what is in the namespace.
func adoptingJob(t *testing.T, labels map[string]string, there string) (pattern.Pattern, Job, *kube.Client, *fake.Clientset, *apitest.Server) {
	t.Helper()
	p := example("shop", "SH")
	plan, err := NewPlan([]pattern.Pattern{p}, someCluster(), Options{Adopt: true, Timeouts: mesh.Timeouts{Gone: 10 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	job := plan.Jobs[0]
	job.RunID = "r1"
	server := apitest.New(t)
	if there != "" {
		objects, err := kube.Decode("the test's objects", []byte(there))
		if err != nil {
			t.Fatal(err)
		}
		server.Put(objects...)
	}
	client := server.Client(t)
	typed := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: labels}})
	client.Typed = typed // which has Leases
	return p, job, client, typed, server
}

var handedOver = map[string]string{AdoptLabel: "true"}

const settingsOf = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop"

func TestAdopt(t *testing.T) {
	left := settingsOf + ", labels: {app.kubernetes.io/managed-by: meshproof, meshproof.dev/run: r0}}\n---\n" + strings.Replace(settingsOf, "settings", "theirs", 1) + "}\n"
	p, job, client, typed, server := adoptingJob(t, handedOver, left)
	release, _, err := adopt(t.Context(), client, p, job)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"delete ConfigMap shop/settings"}, server.Changes()); diff != "" {
		t.Errorf("what an earlier run left (-want +got):\n%s", diff)
	}
	if who, held, err := heldBy(t.Context(), client, "shop"); err != nil || !held || who.Run != "r1" {
		t.Errorf("held %t by %+v, error %v", held, who, err)
	}
	var conflict *ConflictError
	if _, _, err := adopt(t.Context(), client, p, job); !errors.As(err, &conflict) || !strings.Contains(err.Error(), "run r1") {
		t.Errorf("a second run: error %v", err)
	}
	release()
	leases, err := typed.CoordinationV1().Leases("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(leases.Items) > 0 {
		t.Errorf("%d Leases are left, error %v", len(leases.Items), err)
	}
	for _, action := range typed.Actions() {
		if action.GetResource().Resource == "namespaces" && action.GetVerb() != "get" {
			t.Errorf("it did %s the namespace", action.GetVerb())
		}
	}
}

// What is not meshproof's to use is left alone, with the remedy.
func TestAdoptRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		labels map[string]string
		there  string
		want   string
	}{
		"what is not handed over":    {nil, "", "kubectl label namespace shop meshproof.dev/adopt=true"},
		"what is handed over partly": {map[string]string{AdoptLabel: "maybe"}, "", "kubectl label namespace shop meshproof.dev/adopt=true"},
		"what a run has made":        {map[string]string{AdoptLabel: "true", mesh.ManagedByLabel: kube.FieldManager}, "", "was made by a run"},
		"an object of somebody else": {handedOver, settingsOf + "}\n", "ConfigMap shop/settings is there and is not meshproof's"},
	} {
		t.Run(name, func(t *testing.T) {
			p, job, client, typed, server := adoptingJob(t, test.labels, test.there)
			_, _, err := adopt(t.Context(), client, p, job)
			var conflict *ConflictError
			if !errors.As(err, &conflict) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if changes := server.Changes(); len(changes) > 0 {
				t.Errorf("it did %v", changes)
			}
			leases, err := typed.CoordinationV1().Leases("shop").List(t.Context(), metav1.ListOptions{})
			if err != nil || len(leases.Items) > 0 {
				t.Errorf("%d Leases are left, error %v", len(leases.Items), err)
			}
		})
	}
}

func TestMissingLabels(t *testing.T) {
	joins, revision := map[string]string{"istio-injection": "enabled", mesh.RunLabel: "r1"}, map[string]string{"istio.io/rev": "canary"}
	for name, test := range map[string]struct {
		wanted, has map[string]string
		want        string
	}{
		"none wanted":           {map[string]string{mesh.RunLabel: "r1", mesh.ManagedByLabel: "meshproof"}, handedOver, ""},
		"all there":             {joins, map[string]string{"istio-injection": "enabled"}, ""},
		"not there":             {joins, handedOver, "istio-injection=enabled"},
		"otherwise":             {joins, map[string]string{"istio-injection": "disabled"}, "istio-injection=enabled"},
		"what wins over it too": {revision, map[string]string{"istio.io/rev": "canary", "istio-injection": "enabled"}, "istio-injection-"},
	} {
		if got := missingLabels(test.wanted, test.has); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestAdoptedNamespacesAreNotInstalled(t *testing.T) {
	p, job, _, _, _ := adoptingJob(t, handedOver, "")
	objects, err := Objects(p, job)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, object := range objects {
		got = append(got, kube.Describe(object))
	}
	if diff := cmp.Diff([]string{"ConfigMap shop/settings"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
