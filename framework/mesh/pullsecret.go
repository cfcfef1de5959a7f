package mesh

import (
	"encoding/base64"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
)

// PullSecretName is the Secret that a run makes in each of its namespaces when the registry wants credentials.
const PullSecretName = "meshproof-image-pull"

// PullWith makes every pod of the objects, those of gateways too, pull its images with a Secret, and adds that Secret to
// each namespace that has pods. config is the content of a docker config.json; without it the objects stay as they are.
func PullWith(objects []*unstructured.Unstructured, config []byte) []*unstructured.Unstructured {
	if len(config) == 0 {
		return objects
	}
	var namespaces []string
	for _, object := range objects {
		if !pullWith(object) {
			continue
		}
		if namespace := object.GetNamespace(); !slices.Contains(namespaces, namespace) {
			namespaces = append(namespaces, namespace)
		}
	}
	for _, namespace := range namespaces {
		objects = append(objects, PullSecret(namespace, config))
	}
	return objects
}

// PullSecret is the Secret of one namespace.
func PullSecret(namespace string, config []byte) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
		"metadata": map[string]any{"name": PullSecretName, "namespace": namespace, "labels": map[string]any{ManagedByLabel: kube.FieldManager}},
		"data":     map[string]any{".dockerconfigjson": base64.StdEncoding.EncodeToString(config)},
	}}
}

// pullWith adds the Secret to those that a pod, or the pods of a workload, pull with already; it tells whether there are any.
func pullWith(object *unstructured.Unstructured) bool {
	for _, fields := range [][]string{{"spec"}, {"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}} {
		pod, found, err := unstructured.NestedMap(object.Object, fields...)
		if _, runs := pod["containers"]; !found || err != nil || !runs {
			continue
		}
		secrets, _, _ := unstructured.NestedSlice(pod, "imagePullSecrets")
		pod["imagePullSecrets"] = append(secrets, map[string]any{"name": PullSecretName})
		return unstructured.SetNestedMap(object.Object, pod, fields...) == nil
	}
	return false
}
