package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/wait"
)

// Timeouts are the named waits of an install and a clean-up.
type Timeouts struct {
	// Ready is how long the workloads may take from being applied to being ready.
	Ready time.Duration
	// Settle is how long the proxies may take to hold what was applied.
	Settle time.Duration
	// Address is how long the cluster may take to give an object the value that the rest of the pattern needs, such as a load
	// balancer its address.
	Address time.Duration
	// Gone is how long the namespaces may take from being deleted to being gone.
	Gone time.Duration
	// Lease is how long it may take to make the namespaces, and to get the Lease in the first of them.
	Lease time.Duration
}

// DefaultTimeouts are far above what was measured on two busy cores.
var DefaultTimeouts = Timeouts{Ready: 120 * time.Second, Settle: 60 * time.Second, Address: 60 * time.Second, Gone: 90 * time.Second, Lease: 10 * time.Second}

// Scaled are the same waits, each so many times as long.
func (t Timeouts) Scaled(scale wait.Scale) Timeouts {
	return Timeouts{Ready: scale.Of(t.Ready), Settle: scale.Of(t.Settle), Address: scale.Of(t.Address), Gone: scale.Of(t.Gone), Lease: scale.Of(t.Lease)}
}

// Install applies the objects: namespaces first, then configuration, and workloads last, so that no pod starts before the
// rules that it must start with. It returns when the API server has them all.
func Install(ctx context.Context, client *kube.Client, objects []*unstructured.Unstructured) error {
	for stage := range 3 {
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(8)
		for _, object := range objects {
			if stageOf(object) != stage {
				continue
			}
			group.Go(func() error {
				_, err := client.Apply(groupCtx, object, true)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func stageOf(object *unstructured.Unstructured) int {
	switch object.GetKind() {
	case "Namespace":
		return 0
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "Pod":
		return 2
	default:
		return 1
	}
}

// AwaitReady waits until every Deployment of the namespaces is available, every StatefulSet has all its pods ready, and every
// Route is admitted. Its error names what
// the pods complain of, or why a router refused the Route.
func AwaitReady(ctx context.Context, client *kube.Client, objects []*unstructured.Unstructured, timeout time.Duration) (pods int, err error) {
	deployments := map[string]int{}
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			deployments[object.GetNamespace()]++
		}
		if MakesPods(object) {
			replicas, found, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
			if !found {
				replicas = 1
			}
			pods += int(replicas)
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, object := range objects {
		switch object.GetKind() {
		case "StatefulSet": // which has no condition Available
			group.Go(func() error { return awaitStatefulSet(groupCtx, client, object, timeout) })
		case "Route":
			group.Go(func() error { return awaitAdmitted(groupCtx, client, object, timeout) })
		}
	}
	for namespace, count := range deployments {
		group.Go(func() error {
			return unlessStuck(groupCtx, client, namespace, timeout, func(ctx context.Context) error {
				err := client.Wait(ctx, kube.Selection{Resource: kube.Deployments, Namespace: namespace}, "to be Available", timeout, available(count))
				if err != nil {
					return errors.Join(err, client.Complaints(ctx, namespace))
				}
				return nil
			})
		})
	}
	return pods, group.Wait()
}

func awaitStatefulSet(ctx context.Context, client *kube.Client, object *unstructured.Unstructured, timeout time.Duration) error {
	selection := kube.Selection{Resource: kube.StatefulSets, Namespace: object.GetNamespace(), Name: object.GetName()}
	err := client.Wait(ctx, selection, "to have all its pods ready", timeout, rolledOut(0))
	if err != nil {
		return errors.Join(err, client.Complaints(ctx, object.GetNamespace()))
	}
	return nil
}

// awaitAdmitted waits until a router serves the Route; one that refuses it ends the wait.
func awaitAdmitted(ctx context.Context, client *kube.Client, route *unstructured.Unstructured, timeout time.Duration) error {
	resource, err := client.ResourceName(route.GroupVersionKind())
	if err != nil {
		return err
	}
	selection := kube.Selection{Resource: resource, Namespace: route.GetNamespace(), Name: route.GetName()}
	return client.Wait(ctx, selection, "to be admitted by a router", timeout, func(objects []*unstructured.Unstructured) (bool, string, error) {
		for _, object := range objects {
			routers, _, _ := unstructured.NestedSlice(object.Object, "status", "ingress")
			for _, router := range routers {
				fields, _ := router.(map[string]any)
				status, words := kube.StatusCondition(&unstructured.Unstructured{Object: map[string]any{"status": fields}}, "Admitted")
				switch status {
				case "True":
					return true, "", nil
				case "False":
					return false, "", fmt.Errorf("router %v refuses %s: %s", fields["routerName"], kube.Describe(object), words)
				}
			}
		}
		return false, "no router has taken it", nil
	})
}

// available is the condition Available of the generation that was applied, not of an older one.
func available(count int) kube.Condition {
	base := kube.HasCondition("Available", count)
	return func(objects []*unstructured.Unstructured) (bool, string, error) {
		for _, object := range objects {
			observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
			if observed < object.GetGeneration() {
				return false, object.GetName() + " is not observed yet", nil
			}
		}
		return base(objects)
	}
}

// Remove deletes the namespaces and waits until they have gone, each of them also when another one fails. It returns what
// is left, as "Kind namespace/name", with the first error. A namespace that is not meshproof's is never deleted.
func Remove(ctx context.Context, client *kube.Client, namespaces []string, timeout time.Duration) (left []string, err error) {
	var group errgroup.Group
	results := make([][]string, len(namespaces))
	for index, name := range namespaces {
		group.Go(func() (err error) {
			results[index], err = removeNamespace(ctx, client, name, timeout)
			return err
		})
	}
	err = group.Wait()
	return slices.Concat(results...), err
}

func removeNamespace(ctx context.Context, client *kube.Client, name string, timeout time.Duration) ([]string, error) {
	namespaces := client.Typed.CoreV1().Namespaces()
	namespace, err := namespaces.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at namespace %s: %w", name, err)
	}
	if namespace.Labels[ManagedByLabel] != kube.FieldManager {
		return nil, fmt.Errorf("namespace %s has no label %s=%s, so it is not meshproof's to delete", name, ManagedByLabel, kube.FieldManager)
	}
	uid := namespace.UID
	err = namespaces.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return []string{"Namespace " + name}, fmt.Errorf("delete namespace %s: %w", name, err)
	}
	if err := client.Wait(ctx, kube.Selection{Resource: kube.Namespaces, Name: name}, "to be gone", timeout, goneOrSuspended); err != nil {
		return []string{"Namespace " + name}, fmt.Errorf("%w; see `kubectl get namespace %s -o yaml` for what holds it", err, name)
	}
	return nil, nil
}

// goneOrSuspended is kube.Gone, with the namespace's own words for why it is not.
func goneOrSuspended(objects []*unstructured.Unstructured) (bool, string, error) {
	if len(objects) == 0 {
		return true, "", nil
	}
	var words []string
	for _, kind := range []string{"NamespaceContentRemaining", "NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure"} {
		if status, message := kube.StatusCondition(objects[0], kind); status == "True" {
			words = append(words, message)
		}
	}
	return false, "terminating: " + strings.Join(words, "; "), nil
}
