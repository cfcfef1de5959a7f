package mesh

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
)

func TestEveryPodPullsWithTheSecret(t *testing.T) {
	const text = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: empty}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: page, namespace: shop}
spec: {template: {spec: {containers: [{name: page}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway, namespace: ingress}
spec: {template: {spec: {containers: [{name: istio-proxy, image: auto}], imagePullSecrets: [{name: theirs}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: single, namespace: shop}
spec: {containers: [{name: single}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: nightly}]}}}}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: sidecar, namespace: empty}
spec: {workloadSelector: {labels: {app: page}}}
`
	decoded := func() []*unstructured.Unstructured {
		objects, err := kube.Decode("test", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return objects
	}
	objects := PullWith(decoded(), []byte(`{"auths":{}}`))
	secret := map[string]any{"name": PullSecretName}
	for index, want := range map[int]struct {
		fields []string
		list   []any
	}{
		1: {[]string{"spec", "template", "spec", "imagePullSecrets"}, []any{secret}},
		2: {[]string{"spec", "template", "spec", "imagePullSecrets"}, []any{map[string]any{"name": "theirs"}, secret}},
		3: {[]string{"spec", "imagePullSecrets"}, []any{secret}},
		4: {[]string{"spec", "jobTemplate", "spec", "template", "spec", "imagePullSecrets"}, []any{secret}},
	} {
		got, _, err := unstructured.NestedSlice(objects[index].Object, want.fields...)
		if diff := cmp.Diff(want.list, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got), error %v:\n%s", kube.Describe(objects[index]), err, diff)
		}
	}
	if diff := cmp.Diff(decoded()[5].Object, objects[5].Object); diff != "" {
		t.Errorf("what has no pods is changed (-want +got):\n%s", diff)
	}
	var added []string
	for _, object := range objects[6:] {
		data, _, _ := unstructured.NestedString(object.Object, "data", ".dockerconfigjson")
		if kind, _, _ := unstructured.NestedString(object.Object, "type"); kind != "kubernetes.io/dockerconfigjson" || data != "eyJhdXRocyI6e319" {
			t.Errorf("%s is of type %s and holds %s", kube.Describe(object), kind, data)
		}
		added = append(added, kube.Describe(object))
	}
	if diff := cmp.Diff([]string{"Secret shop/" + PullSecretName, "Secret ingress/" + PullSecretName}, added); diff != "" {
		t.Errorf("added, once for each namespace with pods (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(decoded(), PullWith(decoded(), nil)); diff != "" {
		t.Errorf("without a secret (-want +got):\n%s", diff)
	}
}
