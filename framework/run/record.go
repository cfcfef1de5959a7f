package run

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/proxyconfig"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// record keeps the configuration of each hop in the results, to be compared with that of another run. It judges nothing, so that
// what keeps it from doing so is a note, and no reason not to judge.
func (i *installation) record(ctx context.Context, proxies []*mesh.Proxy) {
	c := i.child
	err := i.writeConfigurations(ctx, proxies)
	if err != nil && ctx.Err() == nil {
		c.emit(v1.Event{Type: v1.Note, Message: "the configuration of the proxies could not be kept, so that this run cannot be compared by it: " + err.Error()})
	}
}

func (i *installation) writeConfigurations(ctx context.Context, proxies []*mesh.Proxy) error {
	names, err := i.names(ctx)
	if err != nil {
		return err
	}
	hops, err := proxyconfig.Record(ctx, proxies, i.recorded(names))
	if err != nil {
		return err
	}
	for _, hop := range hops {
		if err := v1.WriteConfiguration(i.child.job.Results, hop); err != nil {
			return err
		}
	}
	return nil
}

// recorded says what of the proxies' configuration is the pattern's.
func (i *installation) recorded(names *proxyconfig.Names) proxyconfig.Pattern {
	recorded := proxyconfig.Pattern{Namespaces: i.child.pattern.Namespaces(i.child.job.Values), Hosts: hostsOf(i.objects), Names: names, Redactor: redactor}
	for _, hop := range i.child.pattern.Hops {
		recorded.Hops = append(recorded.Hops, proxyconfig.Hop{Name: hop.Name, Gateway: hop.Kind == pattern.Gateway})
	}
	return recorded
}

// names are what differs from run to run: the values of parameters, and the addresses of pods and Services.
func (i *installation) names(ctx context.Context) (*proxyconfig.Names, error) {
	c := i.child
	var parameters []proxyconfig.Parameter
	for _, parameter := range c.pattern.Parameters {
		if value := c.job.Values[parameter.Name]; !parameter.Secret {
			parameters = append(parameters, proxyconfig.Parameter{Name: parameter.Name, Value: value, Namespace: parameter.Namespace})
		}
	}
	var pods []corev1.Pod
	var services []corev1.Service
	for _, namespace := range c.pattern.Namespaces(c.job.Values) {
		podList, err := i.client.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list the pods of namespace %s: %w", namespace, err)
		}
		serviceList, err := i.client.Typed.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list the services of namespace %s: %w", namespace, err)
		}
		pods, services = append(pods, podList.Items...), append(services, serviceList.Items...)
	}
	return proxyconfig.NewNames(parameters, pods, services, c.env.TrustDomain), nil
}

// hostsOf are the hosts that Istio's objects name.
func hostsOf(objects []*unstructured.Unstructured) []string {
	var hosts []string
	add := func(found ...string) {
		for _, host := range found {
			if _, name, ofNamespace := strings.Cut(host, "/"); ofNamespace {
				host = name
			}
			if !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	for _, object := range objects {
		switch object.GetKind() {
		case "ServiceEntry", "VirtualService":
			found, _, _ := unstructured.NestedStringSlice(object.Object, "spec", "hosts")
			add(found...)
		case "DestinationRule":
			if host, found, _ := unstructured.NestedString(object.Object, "spec", "host"); found {
				add(host)
			}
		case "Gateway":
			servers, _, _ := unstructured.NestedSlice(object.Object, "spec", "servers")
			for _, server := range servers {
				fields, _ := server.(map[string]any)
				found, _, _ := unstructured.NestedStringSlice(fields, "hosts")
				add(found...)
			}
		}
	}
	return hosts
}
