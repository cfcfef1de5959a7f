package diagnose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
)

// looked are the kinds that decide what becomes of a probe, whoever has made the objects.
var looked = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Service"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
	{Group: "networking.istio.io", Version: "v1", Kind: "Gateway"},
	{Group: "networking.istio.io", Version: "v1", Kind: "VirtualService"},
	{Group: "networking.istio.io", Version: "v1", Kind: "DestinationRule"},
	{Group: "networking.istio.io", Version: "v1", Kind: "ServiceEntry"},
	{Group: "networking.istio.io", Version: "v1", Kind: "Sidecar"},
	{Group: "networking.istio.io", Version: "v1alpha3", Kind: "EnvoyFilter"},
	{Group: "security.istio.io", Version: "v1", Kind: "PeerAuthentication"},
	{Group: "security.istio.io", Version: "v1", Kind: "AuthorizationPolicy"},
	{Group: "telemetry.istio.io", Version: "v1", Kind: "Telemetry"},
	{Group: "route.openshift.io", Version: "v1", Kind: "Route"},
}

// Live returns the objects of these namespaces as the cluster has them, of all kinds that decide what becomes of a probe,
// whoever has made them: by kind, then by name. What may not be listed is an error; a kind that the cluster does not know has no objects.
func Live(ctx context.Context, client *kube.Client, namespaces []string) ([]*unstructured.Unstructured, error) {
	found := make([][]*unstructured.Unstructured, len(looked)*len(namespaces))
	errs := make([]error, len(found))
	var group errgroup.Group
	group.SetLimit(8)
	for k, kind := range looked {
		for n, namespace := range namespaces {
			group.Go(func() error {
				index := k*len(namespaces) + n
				found[index], errs[index] = list(ctx, client, kind, namespace)
				return nil
			})
		}
	}
	_ = group.Wait() // the errors are kept with what they are of
	return slices.Concat(found...), errors.Join(errs...)
}

func list(ctx context.Context, client *kube.Client, kind schema.GroupVersionKind, namespace string) ([]*unstructured.Unstructured, error) {
	// The mapper asks the cluster anew for a kind that it does not know, so the resource's name comes first.
	if _, err := client.ResourceName(kind); meta.IsNoMatchError(errors.Unwrap(err)) {
		return nil, nil
	}
	resource, err := client.ResourceFor(kind, namespace)
	if err != nil {
		return nil, err
	}
	answer, err := resource.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the %ss of namespace %s: %w", kind.Kind, namespace, err)
	}
	var objects []*unstructured.Unstructured
	for index := range answer.Items {
		objects = append(objects, &answer.Items[index])
	}
	slices.SortFunc(objects, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return objects, nil
}
