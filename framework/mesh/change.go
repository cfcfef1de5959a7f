package mesh

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
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
		if err := remove(ctx, client, object, ready); err != nil {
			return err
		}
	}
	return awaitRollouts(ctx, client, changed, ready)
}

// remove deletes an object, and waits until a workload's pods have gone with it.
func remove(ctx context.Context, client *kube.Client, object *unstructured.Unstructured, timeout time.Duration) error {
	resource, err := client.Resource(object)
	if err != nil {
		return err
	}
	selector := ""
	if MakesPods(object) {
		live, err := stateOf(ctx, client, object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		selector = live.selector
	}
	if err := resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s: %w", kube.Describe(object), err)
	}
	if selector == "" {
		return nil
	}
	selection := kube.Selection{Resource: kube.Pods, Namespace: object.GetNamespace(), Labels: selector}
	return client.Wait(ctx, selection, "to be gone", timeout, kube.Gone)
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

// Every, as a part of the path of a field, takes all elements of a list.
const Every = "*"

// FieldAt is the text of a field; a part of the path that is a number chooses in a list, and Every gives the texts of all its
// elements that have the field, with commas between. Empty when there is none.
func FieldAt(value any, path []string) string {
	for depth, part := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			if part == Every {
				var texts []string
				for _, element := range v {
					if text := FieldAt(element, path[depth+1:]); text != "" {
						texts = append(texts, text)
					}
				}
				return strings.Join(texts, ",")
			}
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
