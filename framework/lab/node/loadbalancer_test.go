package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
)

// service is a Service of namespace ns; address is what it has, asked what it asks for.
func service(name string, kind corev1.ServiceType, address, asked string) *corev1.Service {
	made := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.ServiceSpec{Type: kind, LoadBalancerIP: asked}}
	if address != "" {
		made.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}}
	}
	return made
}

// holding are Services that hold the addresses 10.244.200.x with these last parts.
func holding(last ...int) []corev1.Service {
	var services []corev1.Service
	for _, number := range last {
		services = append(services, *service(fmt.Sprintf("holder-%d", number), corev1.ServiceTypeLoadBalancer, fmt.Sprintf("10.244.200.%d", number), ""))
	}
	return services
}

func upTo(last int) []int {
	var numbers []int
	for number := 1; number <= last; number++ {
		numbers = append(numbers, number)
	}
	return numbers
}

func TestChooseAddress(t *testing.T) {
	const outside = "is no address of 10.244.200.0/24"
	for name, row := range map[string]struct {
		held  []corev1.Service
		asked string
		want  string
		err   []string
	}{
		"the first":             {want: "10.244.200.1"},
		"the next":              {held: holding(1, 2), want: "10.244.200.3"},
		"a gap":                 {held: holding(1, 2, 4), want: "10.244.200.3"},
		"the last":              {held: holding(upTo(252)...), want: "10.244.200.253"},
		"the router's":          {asked: RouterAddress, want: RouterAddress},
		"none is free":          {held: holding(upTo(253)...), err: []string{"no address of 10.244.200.0/24 is free"}},
		"asked for":             {asked: "10.244.200.77", want: "10.244.200.77"},
		"asked for among held":  {held: holding(1, 2), asked: "10.244.200.200", want: "10.244.200.200"},
		"asked for, and held":   {held: holding(1, 77), asked: "10.244.200.77", err: []string{"10.244.200.77", "held by ns/holder-77"}},
		"asked for, outside":    {asked: "10.244.201.1", err: []string{`"10.244.201.1"`, outside}},
		"asked for, of pods":    {asked: "10.244.0.9", err: []string{`"10.244.0.9"`, outside}},
		"asked for, no address": {asked: "any", err: []string{`"any"`, outside}},
		"asked for, version 6":  {asked: "fd00::1", err: []string{`"fd00::1"`, outside}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&balancers{}).choose(row.held, service("mine", corev1.ServiceTypeLoadBalancer, "", row.asked))
			if row.err != nil {
				wantError(t, err, row.err...)
				return
			}
			if err != nil || got.String() != row.want {
				t.Errorf("%s, error %v; want %s", got, err, row.want)
			}
		})
	}
}

// An address that was given back is not the next to be given: its former holder may want it again.
func TestWhatHasJustBecomeFreeIsGivenLast(t *testing.T) {
	b := &balancers{}
	var got []string
	for _, held := range [][]corev1.Service{nil, nil, holding(3), holding(upTo(252)...), nil, holding(upTo(253)[1:]...)} {
		address, err := b.choose(held, service("mine", corev1.ServiceTypeLoadBalancer, "", ""))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, address.String())
	}
	want := []string{"10.244.200.1", "10.244.200.2", "10.244.200.4", "10.244.200.253", "10.244.200.1", "10.244.200.1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

// storeOf is an informer's store that holds the Services.
func storeOf(t *testing.T, services ...*corev1.Service) cache.Store {
	t.Helper()
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	for _, one := range services {
		if err := store.Add(one); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func annotated(service *corev1.Service, name, value string) *corev1.Service {
	service.Annotations = map[string]string{name: value}
	return service
}

func ofClass(service *corev1.Service, class string) *corev1.Service {
	service.Spec.LoadBalancerClass = &class
	return service
}

func TestAllocate(t *testing.T) {
	for name, row := range map[string]struct {
		service *corev1.Service
		writes  int
		want    []corev1.LoadBalancerIngress
	}{
		"one that wants an address":         {service("mine", corev1.ServiceTypeLoadBalancer, "", ""), 1, []corev1.LoadBalancerIngress{{IP: "10.244.200.1", Hostname: "mine.ns.lb.mesh.lab"}}},
		"one that has its address":          {service("mine", corev1.ServiceTypeLoadBalancer, "10.244.200.9", ""), 0, []corev1.LoadBalancerIngress{{IP: "10.244.200.9"}}},
		"one that asks for another address": {service("mine", corev1.ServiceTypeLoadBalancer, "10.244.200.9", "10.244.200.8"), 1, []corev1.LoadBalancerIngress{{IP: "10.244.200.8", Hostname: "mine.ns.lb.mesh.lab"}}},
		"one that has what it asks for":     {service("mine", corev1.ServiceTypeLoadBalancer, "10.244.200.9", "10.244.200.9"), 0, []corev1.LoadBalancerIngress{{IP: "10.244.200.9"}}},
		"one that asks for two addresses": {annotated(service("mine", corev1.ServiceTypeLoadBalancer, "", ""), AddressesAnnotation, "2"), 1,
			[]corev1.LoadBalancerIngress{{IP: "10.244.200.1", Hostname: "mine.ns.lb.mesh.lab"}, {IP: "10.244.200.2", Hostname: "mine.ns.lb.mesh.lab"}}},
		"one that asks for no name":          {annotated(service("mine", corev1.ServiceTypeLoadBalancer, "", ""), NamelessAnnotation, "true"), 1, []corev1.LoadBalancerIngress{{IP: "10.244.200.1"}}},
		"one of another controller's class":  {ofClass(service("mine", corev1.ServiceTypeLoadBalancer, "", ""), "example.org/other"), 0, nil},
		"one of another type":                {service("mine", corev1.ServiceTypeClusterIP, "", ""), 0, nil},
		"one that is of another type by now": {service("mine", corev1.ServiceTypeClusterIP, "10.244.200.9", ""), 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(row.service)
			given := row.service.DeepCopy()
			if err := (&balancers{client: client, services: storeOf(t, row.service)}).allocate(t.Context(), "ns/mine"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(given, row.service); diff != "" {
				t.Errorf("the store's own object has changed (-want +got):\n%s", diff)
			}
			got, err := client.CoreV1().Services("ns").Get(t.Context(), "mine", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got.Status.LoadBalancer.Ingress); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			writes := slices.DeleteFunc(client.Actions(), func(action clienttesting.Action) bool { return action.GetVerb() != "update" })
			if len(writes) != row.writes || (len(writes) == 1 && writes[0].GetSubresource() != "status") {
				t.Errorf("writes %v, want %d, of the status", writes, row.writes)
			}
		})
	}
}

func TestAllocateFails(t *testing.T) {
	gone := apierrors.NewNotFound(corev1.Resource("services"), "mine")
	refused := errors.New("conflict")
	for name, row := range map[string]struct {
		verb string
		with error
		want error
	}{
		"the Service has gone":           {"update", gone, nil},
		"the write is refused":           {"update", refused, refused},
		"nobody knows what else is held": {"list", refused, refused},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			client.PrependReactor(row.verb, "services", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, row.with })
			err := (&balancers{client: client, services: storeOf(t, service("mine", corev1.ServiceTypeLoadBalancer, "", ""))}).allocate(t.Context(), "ns/mine")
			if !errors.Is(err, row.want) {
				t.Errorf("error = %v, want %v", err, row.want)
			}
		})
	}
	if err := (&balancers{client: fake.NewClientset(), services: storeOf(t)}).allocate(t.Context(), "ns/mine"); err != nil {
		t.Errorf("of a Service that has gone from the store: %v", err)
	}
}

// allocating runs the allocation on Services, and returns a function that waits until so many statuses were written, and then
// gives the addresses by Service.
func allocating(t *testing.T, services ...runtime.Object) (client *fake.Clientset, after func(writes int) map[string]string) {
	ctx, cancel := context.WithCancel(t.Context())
	client = fake.NewClientset(services...)
	written := make(chan struct{}, 1000)
	client.PrependReactor("update", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
		written <- struct{}{}
		return false, nil, nil
	})
	ended := make(chan error, 1)
	go func() { ended <- allocateLoadBalancers(ctx, client) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return client, func(writes int) map[string]string {
		for range writes {
			select {
			case <-written:
			case <-time.After(time.Hour): // of the bubble
				t.Fatal("nothing is written")
			}
		}
		synctest.Wait()
		list, err := client.CoreV1().Services("").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		addresses := map[string]string{}
		for _, one := range list.Items {
			for _, ingress := range one.Status.LoadBalancer.Ingress {
				addresses[one.Name] += ingress.IP
			}
		}
		return addresses
	}
}

// Services that come at the same moment get an address each, and those that have one keep it.
func TestAllocateLoadBalancers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		services := []runtime.Object{service("kept", corev1.ServiceTypeLoadBalancer, "10.244.200.2", ""), service("none", corev1.ServiceTypeClusterIP, "", "")}
		for number := range 20 {
			services = append(services, service(fmt.Sprintf("new-%d", number), corev1.ServiceTypeLoadBalancer, "", ""))
		}
		client, after := allocating(t, services...)
		addresses := after(20)
		if addresses["kept"] != "10.244.200.2" || addresses["none"] != "" {
			t.Errorf("what was there has changed: %v", addresses)
		}
		holders := map[string]string{}
		for name, address := range addresses {
			if other, taken := holders[address]; taken {
				t.Errorf("%s and %s both have %s", name, other, address)
			}
			holders[address] = name
		}
		if len(holders) != 21 {
			t.Errorf("%d addresses, want 21: %v", len(holders), addresses)
		}
		if _, err := client.CoreV1().Services("ns").Create(t.Context(), service("late", corev1.ServiceTypeLoadBalancer, "", ""), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if address := after(1)["late"]; address == "" || holders[address] != "" {
			t.Errorf("a Service that came later has %q", address)
		}
	})
}

// A Service whose address is held gets it once it is free.
func TestAllocateLoadBalancersTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, after := allocating(t, service("holder", corev1.ServiceTypeLoadBalancer, "10.244.200.7", ""), service("waiter", corev1.ServiceTypeLoadBalancer, "", "10.244.200.7"), service("other", corev1.ServiceTypeLoadBalancer, "", ""))
		if addresses := after(1); addresses["waiter"] != "" || addresses["other"] == "" {
			t.Errorf("addresses %v, want none for the waiter, and one for the other", addresses)
		}
		if err := client.CoreV1().Services("ns").Delete(t.Context(), "holder", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if addresses := after(1); addresses["waiter"] != "10.244.200.7" {
			t.Errorf("addresses %v, want the waiter to have what was freed", addresses)
		}
	})
}

// The networks of a node do not overlap, and hold what is fixed in them.
func TestAddresses(t *testing.T) {
	prefixes := map[string]netip.Prefix{}
	for name, text := range map[string]string{"pods": PodCIDR, "services": ServiceCIDR, "load balancers": LoadBalancerCIDR} {
		prefixes[name] = netip.MustParsePrefix(text)
		for other, prefix := range prefixes {
			if other != name && prefix.Overlaps(prefixes[name]) {
				t.Errorf("the network of %s overlaps that of %s", name, other)
			}
		}
	}
	if !prefixes["pods"].Contains(netip.MustParseAddr(NodeAddress)) || !prefixes["services"].Contains(netip.MustParseAddr(DNSAddress)) {
		t.Error("the node's address or that of DNS is outside its network")
	}
	if got := LoadBalancerName("bookinfo", "gw"); got != "gw.bookinfo.lb.mesh.lab" || !strings.HasSuffix(got, LoadBalancerZone) {
		t.Errorf("name of a load balancer: %s", got)
	}
}
