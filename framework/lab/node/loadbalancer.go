package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// allocateLoadBalancers gives every Service of type LoadBalancer an address of LoadBalancerCIDR and a name in
// LoadBalancerZone, as a cloud's controller would, until ctx ends. kube-proxy does the rest: it routes any address that
// stands in the status. An address is held by the Service that has it, so that a restart changes none.
func allocateLoadBalancers(ctx context.Context, client kubernetes.Interface) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	services := factory.Core().V1().Services()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	defer queue.ShutDown()
	enqueue := func(object any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
			queue.Add(key)
		}
	}
	_, err := services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue, UpdateFunc: func(_, object any) { enqueue(object) },
	})
	if err != nil {
		return fmt.Errorf("watch Services: %w", err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), services.Informer().HasSynced) {
		return context.Cause(ctx)
	}
	go func() {
		<-ctx.Done()
		queue.ShutDown()
	}()
	for {
		key, shutdown := queue.Get()
		if shutdown {
			return nil
		}
		err := allocate(ctx, client, services.Informer().GetStore(), key)
		if err != nil {
			fmt.Fprintf(os.Stderr, "load balancer address of %s: %v\n", key, err)
			queue.AddRateLimited(key)
		} else {
			queue.Forget(key)
		}
		queue.Done(key)
	}
}

func allocate(ctx context.Context, client kubernetes.Interface, store cache.Store, key string) error {
	item, exists, err := store.GetByKey(key)
	if err != nil || !exists {
		return err
	}
	service := item.(*corev1.Service)
	wanted := service.Spec.Type == corev1.ServiceTypeLoadBalancer
	has := len(service.Status.LoadBalancer.Ingress) > 0
	if wanted == has {
		return nil
	}
	changed := service.DeepCopy()
	changed.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	if wanted {
		// The store lags behind: it may lack the address that was given a moment ago.
		services, err := client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("look for a free address: %w", err)
		}
		address, err := chooseAddress(services.Items, service)
		if err != nil {
			return err
		}
		changed.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address.String(), Hostname: LoadBalancerName(service.Namespace, service.Name)}}
	}
	_, err = client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{FieldManager: "meshproof-lab"})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// chooseAddress takes the one that spec.loadBalancerIP asks for, or the first free one that is not kept for the router.
func chooseAddress(services []corev1.Service, service *corev1.Service) (netip.Addr, error) {
	taken := map[string]string{}
	for _, other := range services {
		for _, ingress := range other.Status.LoadBalancer.Ingress {
			taken[ingress.IP] = other.Namespace + "/" + other.Name
		}
	}
	prefix := netip.MustParsePrefix(LoadBalancerCIDR)
	if asked := service.Spec.LoadBalancerIP; asked != "" {
		address, err := netip.ParseAddr(asked)
		if err != nil || !prefix.Contains(address) {
			return netip.Addr{}, fmt.Errorf("spec.loadBalancerIP %q is no address of %s", asked, prefix)
		}
		if holder, used := taken[asked]; used {
			return netip.Addr{}, fmt.Errorf("spec.loadBalancerIP %s is held by %s", asked, holder)
		}
		return address, nil
	}
	for address := prefix.Addr().Next(); prefix.Contains(address.Next()); address = address.Next() {
		if _, used := taken[address.String()]; !used && address.String() != RouterAddress {
			return address, nil
		}
	}
	return netip.Addr{}, errors.New("no address of " + LoadBalancerCIDR + " is free")
}

// LoadBalancerName is the name that the lab's DNS answers with a Service's load balancer address.
func LoadBalancerName(namespace, service string) string {
	return service + "." + namespace + "." + LoadBalancerZone
}
