package mesh

import (
	"context"
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

func find(objects []*unstructured.Unstructured, wanted *unstructured.Unstructured) int {
	return slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return overlayKey(o) == overlayKey(wanted) })
}

// awaitRollouts waits until the changed Deployments have only pods of their new state, all of them ready.
func awaitRollouts(ctx context.Context, client *kube.Client, changed []*unstructured.Unstructured, timeout time.Duration) error {
	for _, object := range changed {
		if object.GetKind() != "Deployment" {
			continue
		}
		selection := kube.Selection{Resource: kube.Deployments, Namespace: object.GetNamespace(), Name: object.GetName()}
		if err := client.Wait(ctx, selection, "to be rolled out", timeout, rolledOut); err != nil {
			return err
		}
		selector, _, err := unstructured.NestedStringMap(object.Object, "spec", "selector", "matchLabels")
		if err != nil {
			return fmt.Errorf("%s: %w", kube.Describe(object), err)
		}
		pods := kube.Selection{Resource: kube.Pods, Namespace: object.GetNamespace(), Labels: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: selector})}
		if err := client.Wait(ctx, pods, "to be without those of the former state", timeout, noneLeaving); err != nil {
			return err
		}
	}
	return nil
}

func rolledOut(objects []*unstructured.Unstructured) (bool, string, error) {
	for _, object := range objects {
		number := func(path ...string) int64 {
			value, _, _ := unstructured.NestedInt64(object.Object, path...)
			return value
		}
		wanted, updated, available, all := number("spec", "replicas"), number("status", "updatedReplicas"), number("status", "availableReplicas"), number("status", "replicas")
		if number("status", "observedGeneration") < object.GetGeneration() || updated != wanted || available != wanted || all != wanted {
			return false, fmt.Sprintf("%d of %d pods are of the new state, %d available, %d in all", updated, wanted, available, all), nil
		}
	}
	return len(objects) > 0, "it is not there", nil
}

// noneLeaving: a pod that is being deleted still writes its log and answers.
func noneLeaving(objects []*unstructured.Unstructured) (bool, string, error) {
	for _, object := range objects {
		if object.GetDeletionTimestamp() != nil {
			return false, object.GetName() + " is still leaving", nil
		}
	}
	return true, "", nil
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
