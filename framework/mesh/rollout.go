package mesh

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
)

// MakesPods tells whether an object is of a kind whose pods the mesh serves and that rolls out changes of them.
func MakesPods(object *unstructured.Unstructured) bool {
	_, found := rollouts[object.GetKind()]
	return found
}

// rollouts are the kinds that make pods, and where they are watched.
var rollouts = map[string]schema.GroupVersionResource{"Deployment": kube.Deployments, "StatefulSet": kube.StatefulSets}

// awaitRollouts waits until the changed workloads have only pods of their new state, all of them ready.
func awaitRollouts(ctx context.Context, client *kube.Client, changed []*unstructured.Unstructured, timeout time.Duration) error {
	for _, object := range changed {
		if !MakesPods(object) {
			continue
		}
		// What a watch begins with may be older than the change.
		live, err := stateOf(ctx, client, object)
		if err != nil {
			return err
		}
		selection := kube.Selection{Resource: rollouts[object.GetKind()], Namespace: object.GetNamespace(), Name: object.GetName()}
		if err := client.Wait(ctx, selection, "to be rolled out", timeout, rolledOut(live.generation)); err != nil {
			return errors.Join(err, client.Complaints(ctx, object.GetNamespace()))
		}
		if err := awaitLeaving(ctx, client, object.GetNamespace(), live.selector, timeout); err != nil {
			return err
		}
	}
	return nil
}

// liveState is what the API server has of a workload: how often its spec has changed, and what its pods have for labels.
type liveState struct {
	generation int64
	selector   string
}

func stateOf(ctx context.Context, client *kube.Client, object *unstructured.Unstructured) (liveState, error) {
	apps, namespace, name := client.Typed.AppsV1(), object.GetNamespace(), object.GetName()
	var meta metav1.ObjectMeta
	var selector *metav1.LabelSelector
	var err error
	if object.GetKind() == "StatefulSet" {
		set, problem := apps.StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
		err = problem
		if err == nil {
			meta, selector = set.ObjectMeta, set.Spec.Selector
		}
	} else {
		deployment, problem := apps.Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		err = problem
		if err == nil {
			meta, selector = deployment.ObjectMeta, deployment.Spec.Selector
		}
	}
	if err != nil {
		return liveState{}, fmt.Errorf("look at %s: %w", kube.Describe(object), err)
	}
	return liveState{generation: meta.Generation, selector: metav1.FormatLabelSelector(selector)}, nil
}

// rolledOut is the Condition that all pods of a workload are of this generation, or of a later one, and available.
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
