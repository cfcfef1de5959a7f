package main

import (
	"context"
	"errors"
	"fmt"

	routev1 "github.com/openshift/api/route/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// cluster is what the router reads and writes there. The clients are made for two kinds only: those of whole API groups
// would be most of the program.
type cluster struct {
	routes func(namespace string) routeClient
	slices sliceClient
}

type (
	routeClient = *gentype.ClientWithList[*routev1.Route, *routev1.RouteList]
	sliceClient = *gentype.ClientWithList[*discoveryv1.EndpointSlice, *discoveryv1.EndpointSliceList]
)

// connect returns a cluster for config, and sends nothing yet.
func connect(config *rest.Config) (cluster, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(routev1.Install(scheme), discoveryv1.AddToScheme(scheme)); err != nil {
		return cluster{}, err
	}
	client := func(group schema.GroupVersion) (rest.Interface, error) {
		config := rest.CopyConfig(config)
		config.APIPath, config.GroupVersion = "/apis", &group
		config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
		return rest.RESTClientFor(config)
	}
	routes, err := client(routev1.GroupVersion)
	if err != nil {
		return cluster{}, fmt.Errorf("make a client for Routes: %w", err)
	}
	slices, err := client(discoveryv1.SchemeGroupVersion)
	if err != nil {
		return cluster{}, fmt.Errorf("make a client for EndpointSlices: %w", err)
	}
	parameters := runtime.NewParameterCodec(scheme)
	return cluster{
		routes: func(namespace string) routeClient {
			return gentype.NewClientWithList("routes", routes, parameters, namespace,
				func() *routev1.Route { return &routev1.Route{} }, func() *routev1.RouteList { return &routev1.RouteList{} })
		},
		slices: gentype.NewClientWithList("endpointslices", slices, parameters, metav1.NamespaceAll,
			func() *discoveryv1.EndpointSlice { return &discoveryv1.EndpointSlice{} }, func() *discoveryv1.EndpointSliceList { return &discoveryv1.EndpointSliceList{} }),
	}, nil
}

func (c cluster) updateStatus(ctx context.Context, route *routev1.Route) error {
	_, err := c.routes(route.Namespace).UpdateStatus(ctx, route, metav1.UpdateOptions{FieldManager: "router"})
	return err
}

// watch calls changed after every change of a Route or an EndpointSlice, until ctx ends. It returns the stores that hold
// them when both have been filled.
func (c cluster) watch(ctx context.Context, changed func()) (routes, slices cache.Store, err error) {
	routeInformer := newInformer(c.routes(metav1.NamespaceAll), &routev1.Route{})
	sliceInformer := newInformer(c.slices, &discoveryv1.EndpointSlice{})
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { changed() }, UpdateFunc: func(any, any) { changed() }, DeleteFunc: func(any) { changed() },
	}
	for _, informer := range []cache.SharedInformer{routeInformer, sliceInformer} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, nil, err
		}
		go informer.RunWithContext(ctx)
	}
	if !cache.WaitForCacheSync(ctx.Done(), routeInformer.HasSynced, sliceInformer.HasSynced) {
		return nil, nil, fmt.Errorf("read Routes and EndpointSlices: %w", context.Cause(ctx))
	}
	return routeInformer.GetStore(), sliceInformer.GetStore(), nil
}

// lister is what an informer needs of a client.
type lister[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

func newInformer[L runtime.Object](client lister[L], kind runtime.Object) cache.SharedInformer {
	return cache.NewSharedInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.List(ctx, options)
		},
		WatchFuncWithContext: client.Watch,
	}, kind, 0)
}
