package mesh

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
)

// Change makes what is applied, from, into to: it applies what differs, deletes what to lacks, and waits until changed
// workloads are ready again, without pods of their former state.
func Change(ctx context.Context, client *kube.Client, from, to []*unstructured.Unstructured, ready time.Duration) error {
	changed := Difference(from, to)
	if err := Install(ctx, client, changed); err != nil {
		return err
	}
	for _, object := range from {
		if find(to, object) >= 0 {
			continue
		}
		resource, err := client.Resource(object)
		if err != nil {
			return err
		}
		if err := resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", kube.Describe(object), err)
		}
	}
	return awaitRollouts(ctx, client, changed, ready)
}

// Difference are the objects of to that from lacks, or has otherwise.
func Difference(from, to []*unstructured.Unstructured) []*unstructured.Unstructured {
	var changed []*unstructured.Unstructured
	for _, object := range to {
		index := find(from, object)
		if index < 0 || !reflect.DeepEqual(from[index].Object, object.Object) {
			changed = append(changed, object)
		}
	}
	return changed
}

// Between is what may be there when a change of from into to was broken off: what both have alike, and of all else no more
// than the name, which is no state that any change would leave as it is.
func Between(from, to []*unstructured.Unstructured) []*unstructured.Unstructured {
	changed := slices.Concat(Difference(to, from), Difference(from, to))
	var result []*unstructured.Unstructured
	for _, object := range slices.Concat(from, to) {
		if find(result, object) >= 0 {
			continue
		}
		if find(changed, object) >= 0 {
			name := &unstructured.Unstructured{Object: map[string]any{"state": "unknown"}}
			name.SetGroupVersionKind(object.GroupVersionKind())
			name.SetNamespace(object.GetNamespace())
			name.SetName(object.GetName())
			object = name
		}
		result = append(result, object)
	}
	return result
}

func find(objects []*unstructured.Unstructured, wanted *unstructured.Unstructured) int {
	return slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return overlayKey(o) == overlayKey(wanted) })
}

// awaitRollouts waits until the changed Deployments have only pods of their new state, all of them ready.
func awaitRollouts(ctx context.Context, client *kube.Client, changed []*unstructured.Unstructured, timeout time.Duration) error {
	for _, object := range changed {
		if object.GetKind() != "Deployment" {
			continue
		}
		// What a watch begins with may be older than the change.
		live, err := client.Typed.AppsV1().Deployments(object.GetNamespace()).Get(ctx, object.GetName(), metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("look at %s: %w", kube.Describe(object), err)
		}
		selection := kube.Selection{Resource: kube.Deployments, Namespace: object.GetNamespace(), Name: object.GetName()}
		if err := client.Wait(ctx, selection, "to be rolled out", timeout, rolledOut(live.Generation)); err != nil {
			return errors.Join(err, client.Complaints(ctx, object.GetNamespace()))
		}
		if err := awaitLeaving(ctx, client, object.GetNamespace(), metav1.FormatLabelSelector(live.Spec.Selector), timeout); err != nil {
			return err
		}
	}
	return nil
}

// rolledOut is the Condition that all pods of a Deployment are of this generation, or of a later one, and available.
func rolledOut(generation int64) kube.Condition {
	return func(objects []*unstructured.Unstructured) (bool, string, error) {
		for _, object := range objects {
			number := func(path ...string) int64 {
				value, _, _ := unstructured.NestedInt64(object.Object, path...)
				return value
			}
			if object.GetGeneration() < generation || number("status", "observedGeneration") < object.GetGeneration() {
				return false, "the change is not observed yet", nil
			}
			wanted, updated, available, all := number("spec", "replicas"), number("status", "updatedReplicas"), number("status", "availableReplicas"), number("status", "replicas")
			if updated != wanted || available != wanted || all != wanted {
				return false, fmt.Sprintf("%d of %d pods are of the new state, %d available, %d in all", updated, wanted, available, all), nil
			}
		}
		return len(objects) > 0, "it is not there", nil
	}
}

// awaitLeaving waits until the pods that are being deleted have gone: until then they answer and write their logs.
func awaitLeaving(ctx context.Context, client *kube.Client, namespace, selector string, timeout time.Duration) error {
	pods, err := client.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return fmt.Errorf("look for pods of the former state: %w", err)
	}
	leaving := map[string]bool{}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil {
			leaving[pod.Name] = true
		}
	}
	if len(leaving) == 0 {
		return nil
	}
	selection := kube.Selection{Resource: kube.Pods, Namespace: namespace, Labels: selector}
	return client.Wait(ctx, selection, "to be without those of the former state", timeout, func(objects []*unstructured.Unstructured) (bool, string, error) {
		for _, object := range objects {
			if leaving[object.GetName()] {
				return false, object.GetName() + " is still there", nil
			}
		}
		return true, "", nil
	})
}

// FieldAt is the text of a field; a part of the path that is a number chooses in a list. Empty when there is none.
func FieldAt(value any, path []string) string {
	for _, part := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			index, err := strconv.Atoi(part)
			if err != nil || index < 0 || index >= len(v) {
				return ""
			}
			value = v[index]
		default:
			return ""
		}
	}
	text, _ := value.(string)
	return text
}
