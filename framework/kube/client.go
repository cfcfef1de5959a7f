// Package kube is the few things that meshproof does with a Kubernetes API beyond what client-go offers as one call:
// reading manifests strictly, applying any kind, and waiting by watch with an error that says what was last seen.
package kube

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// FieldManager is the name under which every object of meshproof is applied.
const FieldManager = "meshproof"

// Client talks to one cluster.
type Client struct {
	Config  *rest.Config
	Typed   kubernetes.Interface
	Dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

// New returns a Client for config. It sends nothing yet.
func New(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	// The client's own rate limit would only slow down an install; the API server has priority and fairness.
	config.QPS, config.Burst = -1, -1
	config.UserAgent = "meshproof"
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a Kubernetes client: %w", err)
	}
	dynamicClient, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a Kubernetes client: %w", err)
	}
	discoveryClient, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a discovery client: %w", err)
	}
	return &Client{
		Config: config, Typed: typed, Dynamic: dynamicClient,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discoveryClient)),
	}, nil
}

// Resource returns the dynamic client for objects like this one, in its namespace when it has one.
// A kind that the cluster does not serve is an error that meta.IsNoMatchError recognises.
func (c *Client) Resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	return c.ResourceFor(object.GroupVersionKind(), object.GetNamespace())
}

// ResourceFor is Resource for a kind and namespace.
func (c *Client) ResourceFor(kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		// The kind may have been defined after the mapper last looked.
		c.mapper.Reset()
		mapping, err = c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("find kind %s on the cluster: %w", kind, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		if namespace == "" {
			namespace = metav1.NamespaceDefault
		}
		return c.Dynamic.Resource(mapping.Resource).Namespace(namespace), nil
	}
	return c.Dynamic.Resource(mapping.Resource), nil
}

// Apply makes object so on the cluster by server-side apply and returns it as the cluster now has it. Fields that another
// manager holds are a conflict, and an error, unless force is set.
func (c *Client) Apply(ctx context.Context, object *unstructured.Unstructured, force bool) (*unstructured.Unstructured, error) {
	resource, err := c.Resource(object)
	if err != nil {
		return nil, err
	}
	applied, err := resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: FieldManager, Force: force})
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", Describe(object), err)
	}
	return applied, nil
}

// Describe names an object as people do: "Gateway bookinfo/default".
func Describe(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetKind() + " " + object.GetName()
	}
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}

// ResourceName is the resource that the cluster serves a kind as.
func (c *Client) ResourceName(kind schema.GroupVersionKind) (schema.GroupVersionResource, error) {
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return schema.GroupVersionResource{}, fmt.Errorf("find kind %s on the cluster: %w", kind, err)
	}
	return mapping.Resource, nil
}
