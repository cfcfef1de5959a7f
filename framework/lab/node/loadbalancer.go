package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"

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
	all := &balancers{client: client, services: services.Informer().GetStore()}
	for {
		key, shutdown := queue.Get()
		if shutdown {
			return nil
		}
		err := all.allocate(ctx, key)
		if err != nil {
			fmt.Fprintf(os.Stderr, "load balancer address of %s: %v\n", key, err)
			queue.AddRateLimited(key)
		} else {
			queue.Forget(key)
		}
		queue.Done(key)
	}
}

// balancers are the Services that ask for addresses.
type balancers struct {
	client   kubernetes.Interface
	services cache.Store
	// last is the address that was chosen at last.
	last netip.Addr
}

func (b *balancers) allocate(ctx context.Context, key string) error {
	item, exists, err := b.services.GetByKey(key)
	if err != nil || !exists {
		return err
	}
	service := item.(*corev1.Service)
	// One that asks for a class is left to the class's own controller.
	wanted := service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil
	has := service.Status.LoadBalancer.Ingress
	if wanted == (len(has) > 0) && (!wanted || service.Spec.LoadBalancerIP == "" || service.Spec.LoadBalancerIP == has[0].IP) {
		return nil
	}
	changed := service.DeepCopy()
	changed.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	if wanted {
		// The store lags behind: it may lack the address that was given a moment ago.
		services, err := b.client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("look for a free address: %w", err)
		}
		name := LoadBalancerName(service.Namespace, service.Name)
		if service.Annotations[NamelessAnnotation] != "" {
			name = ""
		}
		for range addressesOf(service) {
			address, err := b.choose(services.Items, changed)
			if err != nil {
				return err
			}
			changed.Status.LoadBalancer.Ingress = append(changed.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: address.String(), Hostname: name})
			services.Items = append(services.Items, *changed.DeepCopy())
			changed.Spec.LoadBalancerIP = "" // which is the first one
		}
		changed.Spec.LoadBalancerIP = service.Spec.LoadBalancerIP
	}
	_, err = b.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{FieldManager: "meshproof-lab"})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// What a Service may ask of the lab's load balancer, as those of clouds differ in it.
const (
	// NamelessAnnotation asks for an address without a name; its value does not matter.
	NamelessAnnotation = "lab.meshproof.dev/load-balancer-without-name"
	// AddressesAnnotation asks for so many addresses under one name.
	AddressesAnnotation = "lab.meshproof.dev/load-balancer-addresses"
)

// mostAddresses bounds what one Service may ask for.
const mostAddresses = 8

func addressesOf(service *corev1.Service) int {
	count, err := strconv.Atoi(service.Annotations[AddressesAnnotation])
	if err != nil {
		return 1
	}
	return min(max(count, 1), mostAddresses)
}

// choose takes the one that spec.loadBalancerIP asks for, or the next free one that is not kept for the router. One that has
// just become free is the last to be given again: its former holder may want it back, and caches still lead to it.
func (b *balancers) choose(services []corev1.Service, service *corev1.Service) (netip.Addr, error) {
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
	address := b.last
	for range 1 << (prefix.Addr().BitLen() - prefix.Bits()) {
		if address = address.Next(); !prefix.Contains(address) || !prefix.Contains(address.Next()) {
			address = prefix.Addr().Next()
		}
		if _, used := taken[address.String()]; !used && address.String() != RouterAddress {
			b.last = address
			return address, nil
		}
	}
	return netip.Addr{}, errors.New("no address of " + LoadBalancerCIDR + " is free")
}

// LoadBalancerName is the name that the lab's DNS answers with a Service's load balancer address.
func LoadBalancerName(namespace, service string) string {
	return service + "." + namespace + "." + LoadBalancerZone
}
