package job

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
)

// example are the choices of a Job that pulls with a secret.
func example() Options {
	return Options{
		Image: "registry.example.com/mesh/meshproof@sha256:abc", PullSecret: []byte(`{"auths":{}}`), Args: []string{"basic-gateway", "--claim=BG1"},
		Input: map[string]string{"meshproof-images.yaml": "images: []"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}}},
		Limit: time.Hour, Timeouts: mesh.DefaultTimeouts,
	}
}

// made are the objects of the example, by kind.
func made(t *testing.T, options Options) map[string]*unstructured.Unstructured {
	t.Helper()
	objects, err := options.objects("meshproof-job-1", "the-uid")
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		if labels := object.GetLabels(); labels[mesh.ManagedByLabel] != kube.FieldManager || labels[mesh.RunLabel] != "meshproof-job-1" {
			t.Errorf("%s has the labels %v", kube.Describe(object), labels)
		}
		byKind[object.GetKind()] = object
	}
	return byKind
}

func into(t *testing.T, object *unstructured.Unstructured, target any) {
	t.Helper()
	data, err := json.Marshal(object.Object)
	if err == nil {
		err = json.Unmarshal(data, target)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The pod is one that the strictest of Pod Security's levels lets in, and that the mesh leaves alone.
func TestTheJob(t *testing.T) {
	objects := made(t, example())
	var job batchv1.Job
	into(t, objects["Job"], &job)
	pod := job.Spec.Template
	container := pod.Spec.Containers[0]
	want := []string{"__job", "run", "basic-gateway", "--claim=BG1", "--in-cluster", "--results=results", "--image-pull-secret=meshproof-job-1/meshproof-image-pull"}
	if diff := cmp.Diff(want, container.Args); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
	no, yes := false, true
	if diff := cmp.Diff(&corev1.SecurityContext{AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}, container.SecurityContext); diff != "" {
		t.Errorf("security context (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: "RuntimeDefault"}}, pod.Spec.SecurityContext); diff != "" {
		t.Errorf("the pod's (-want +got):\n%s", diff)
	}
	if *job.Spec.BackoffLimit != 0 || *job.Spec.ActiveDeadlineSeconds != 3600 || *pod.Spec.TerminationGracePeriodSeconds != 150 || pod.Spec.RestartPolicy != "Never" {
		t.Errorf("limits: %+v, %+v", job.Spec, pod.Spec)
	}
	if pod.Labels["sidecar.istio.io/inject"] != "false" || container.Image != example().Image || len(pod.Spec.ImagePullSecrets) != 1 || pod.Spec.ServiceAccountName != "meshproof" {
		t.Errorf("pod %+v", pod)
	}
	if objects["Namespace"].GetLabels()["pod-security.kubernetes.io/enforce"] != "restricted" || objects["Secret"] == nil {
		t.Errorf("namespace %v, secret %v", objects["Namespace"], objects["Secret"])
	}
	options := example()
	options.PullSecret = nil
	objects = made(t, options)
	into(t, objects["Job"], &job)
	if objects["Secret"] != nil || strings.Contains(strings.Join(job.Spec.Template.Spec.Containers[0].Args, " "), "secret") {
		t.Errorf("without a secret: %v", job.Spec.Template.Spec.Containers[0].Args)
	}
}

// What lies outside the namespace goes with it, also when `meshproof clean` removes it.
func TestWhatLiesOutsideBelongsToTheNamespace(t *testing.T) {
	objects := made(t, example())
	owner := []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: "meshproof-job-1", UID: "the-uid"}}
	for _, kind := range []string{"ClusterRole", "ClusterRoleBinding"} {
		if diff := cmp.Diff(owner, objects[kind].GetOwnerReferences()); diff != "" {
			t.Errorf("%s: owners (-want +got):\n%s", kind, diff)
		}
	}
	var role rbacv1.ClusterRole
	into(t, objects["ClusterRole"], &role)
	if diff := cmp.Diff(example().Rules, role.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if data, _, _ := unstructured.NestedStringMap(objects["ConfigMap"].Object, "data"); data["meshproof-images.yaml"] != "images: []" {
		t.Errorf("input: %v", data)
	}
}

func TestFinished(t *testing.T) {
	pod := func(status string) []*unstructured.Unstructured {
		objects, err := kube.Decode("test", []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: job}\nstatus: "+status))
		if err != nil {
			t.Fatal(err)
		}
		return objects
	}
	const ended = "{phase: Failed, containerStatuses: [{name: meshproof, state: {terminated: {exitCode: 137, reason: OOMKilled}}}]}"
	for name, row := range map[string]struct {
		pods []*unstructured.Unstructured
		done bool
		err  string
	}{
		"it runs":                     {pod("{phase: Running, conditions: [{type: Ready, status: 'False'}]}"), false, ""},
		"its results wait":            {pod("{phase: Running, conditions: [{type: Ready, status: 'True'}]}"), true, ""},
		"its container was killed":    {pod(ended), false, "the Job's pod ended before its results could be collected (OOMKilled, exit 137)"},
		"it was evicted":              {pod("{phase: Failed, reason: Evicted}"), false, "(Evicted, exit 0)"},
		"another container has ended": {pod("{phase: Running, containerStatuses: [{name: other, state: {terminated: {exitCode: 1}}}]}"), false, ""},
		"it is gone":                  {nil, false, "somebody has deleted it, or the run took longer than its limit"},
	} {
		t.Run(name, func(t *testing.T) {
			done, _, err := finished(row.pods)
			if done != row.done || (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
				t.Errorf("done %t, error %v; want %t, %q", done, err, row.done, row.err)
			}
		})
	}
	for phase, want := range map[string]bool{"Pending": false, "Running": true, "Succeeded": true, "Failed": true} {
		if done, _, err := started(pod("{phase: " + phase + "}")); done != want || err != nil {
			t.Errorf("a pod that is %s has started: %t, error %v", phase, done, err)
		}
	}
	if done, _, err := started(nil); done || err != nil {
		t.Errorf("no pod has started: %t, error %v", done, err)
	}
}
