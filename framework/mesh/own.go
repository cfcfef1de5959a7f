package mesh

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
)

// ownObjects selects what a run has made.
const ownObjects = ManagedByLabel + "=" + kube.FieldManager + "," + RunLabel

// RemoveOwn deletes all objects of these kinds that runs have made in the namespaces, and waits until they have gone, and what they
// own with them. The namespaces and all else in them stay. It returns what is left, as "Kind namespace/name", with the first
// error.
func RemoveOwn(ctx context.Context, client *kube.Client, namespaces []string, kinds []schema.GroupVersionKind, timeout time.Duration) (left []string, err error) {
	var group errgroup.Group
	results := make([][]string, len(namespaces)*len(kinds))
	for at, namespace := range namespaces {
		for index, kind := range kinds {
			group.Go(func() (err error) {
				results[at*len(kinds)+index], err = removeKind(ctx, client, namespace, kind, timeout)
				return err
			})
		}
	}
	err = group.Wait()
	return slices.Concat(results...), err
}

func removeKind(ctx context.Context, client *kube.Client, namespace string, kind schema.GroupVersionKind, timeout time.Duration) ([]string, error) {
	resource, err := client.ResourceFor(kind, namespace)
	if err != nil {
		return nil, err
	}
	list, err := resource.List(ctx, metav1.ListOptions{LabelSelector: ownObjects})
	if err != nil {
		return nil, fmt.Errorf("look for what a run has left in namespace %s: %w", namespace, err)
	}
	if len(list.Items) == 0 {
		return nil, nil
	}
	var left []string
	for _, object := range list.Items {
		left = append(left, kube.Describe(&object))
		uid, foreground := object.GetUID(), metav1.DeletePropagationForeground // which keeps it until its pods have gone
		err := resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &foreground})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return left, fmt.Errorf("delete %s: %w", kube.Describe(&object), err)
		}
	}
	name, err := client.ResourceName(kind)
	if err != nil {
		return left, err
	}
	var last []*unstructured.Unstructured
	err = client.Wait(ctx, kube.Selection{Resource: name, Namespace: namespace, Labels: ownObjects}, "to be gone", timeout, func(objects []*unstructured.Unstructured) (bool, string, error) {
		last = objects
		return kube.Gone(objects)
	})
	if err == nil {
		return nil, nil
	}
	if last != nil {
		left = nil
		for _, object := range last {
			left = append(left, kube.Describe(object))
		}
	}
	return left, err
}
