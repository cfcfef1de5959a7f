package rules

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// workloads are the live Deployments and StatefulSets.
func (s *Scene) workloads(ctx context.Context) ([]*unstructured.Unstructured, error) {
	deployments, err := s.of(ctx, "Deployment")
	if err != nil {
		return nil, err
	}
	sets, err := s.of(ctx, "StatefulSet")
	return slices.Concat(deployments, sets), err
}

// podLabels are those of a workload's pods.
func podLabels(workload *unstructured.Unstructured) map[string]string {
	return stringMap(workload.Object, "spec", "template", "metadata", "labels")
}

// hopOf is the hop whose pods a workload makes.
func (s *Scene) hopOf(workload *unstructured.Unstructured) (Hop, bool) {
	for _, hop := range s.Hops {
		if hop.Matches(workload.GetNamespace(), podLabels(workload)) {
			return hop, true
		}
	}
	return Hop{}, false
}

// selects tells whether a Service leads to the pods of a workload.
func selects(service, workload *unstructured.Unstructured) bool {
	selector := stringMap(service.Object, "spec", "selector")
	return len(selector) > 0 && service.GetNamespace() == workload.GetNamespace() && labels.SelectorFromSet(selector).Matches(labels.Set(podLabels(workload)))
}

// services visits the Services that lead to each hop that the check used.
func (s *Scene) services(ctx context.Context, visit func(Hop, *unstructured.Unstructured) []Fact) ([]Fact, error) {
	services, err := s.of(ctx, "Service")
	if err != nil {
		return nil, err
	}
	workloads, err := s.workloads(ctx)
	var facts []Fact
	for _, hop := range s.used() {
		for _, service := range services {
			if slices.ContainsFunc(workloads, func(w *unstructured.Unstructured) bool {
				return selects(service, w) && hop.Matches(w.GetNamespace(), podLabels(w))
			}) {
				facts = append(facts, visit(hop, service)...)
			}
		}
	}
	return facts, err
}

// replicas are how many pods a workload should have, and how many are ready.
func replicas(workload *unstructured.Unstructured) (wanted, ready string) {
	return cmp.Or(field(workload.Object, "spec", "replicas"), "1"), cmp.Or(field(workload.Object, "status", "readyReplicas"), "0")
}

// down are workloads behind a Service of the run that have no ready pod.
func down(ctx context.Context, s *Scene) ([]Fact, error) {
	services, err := s.of(ctx, "Service")
	if err != nil {
		return nil, err
	}
	workloads, err := s.workloads(ctx)
	var facts []Fact
	for _, workload := range workloads {
		wanted, ready := replicas(workload)
		index := slices.IndexFunc(services, func(service *unstructured.Unstructured) bool { return selects(service, workload) })
		if ready == "0" && index >= 0 {
			facts = append(facts, Fact{"workload": describe(workload), "wanted": wanted, "ready": ready, "service": nameOf(services[index])})
		}
	}
	return facts, err
}

// alsoBehind are workloads with ready pods behind the Service of a gateway, beside one that has none.
func alsoBehind(ctx context.Context, s *Scene) ([]Fact, error) {
	workloads, err := s.workloads(ctx)
	if err != nil {
		return nil, err
	}
	return s.services(ctx, func(hop Hop, service *unstructured.Unstructured) []Fact {
		var up, down []string
		for _, workload := range workloads {
			if !selects(service, workload) {
				continue
			}
			if _, ready := replicas(workload); ready == "0" {
				down = append(down, describe(workload))
			} else {
				up = append(up, describe(workload))
			}
		}
		if !hop.Gateway || len(up) == 0 || len(down) == 0 {
			return nil
		}
		return []Fact{{"hop": hop.Name, "service": nameOf(service), "workload": strings.Join(up, ", "), "down": strings.Join(down, ", ")}}
	})
}

// subPaths are Secrets that are mounted by subPath, which the kubelet never brings up to date.
func subPaths(ctx context.Context, s *Scene) ([]Fact, error) {
	workloads, err := s.workloads(ctx)
	var facts []Fact
	for _, workload := range workloads {
		hop, found := s.hopOf(workload)
		if !found {
			continue
		}
		secrets := map[string]string{}
		for _, volume := range entries(workload.Object, "spec", "template", "spec", "volumes") {
			secrets[field(volume, "name")] = field(volume, "secret", "secretName")
		}
		for _, container := range entries(workload.Object, "spec", "template", "spec", "containers") {
			for _, mount := range entries(container, "volumeMounts") {
				if secret := secrets[field(mount, "name")]; secret != "" && field(mount, "subPath") != "" {
					facts = append(facts, Fact{"hop": hop.Name, "workload": describe(workload), "path": field(mount, "mountPath"), "secret": secret})
				}
			}
		}
	}
	return facts, err
}

// accounts are the mesh identities of the hops' workloads, from their namespace on.
func accounts(ctx context.Context, s *Scene) ([]Fact, error) {
	workloads, err := s.workloads(ctx)
	var facts []Fact
	for _, workload := range workloads {
		if hop, found := s.hopOf(workload); found {
			account := cmp.Or(field(workload.Object, "spec", "template", "spec", "serviceAccountName"), "default")
			facts = append(facts, Fact{"hop": hop.Name, "workload": describe(workload), "account": "/ns/" + workload.GetNamespace() + "/sa/" + account})
		}
	}
	return facts, err
}

// notOpened are ports of a gateway's Service that were connected to, and that no Gateway for its pods opens.
func notOpened(ctx context.Context, s *Scene) ([]Fact, error) {
	gateways, err := s.of(ctx, "Gateway")
	if err != nil {
		return nil, err
	}
	workloads, err := s.workloads(ctx)
	if err != nil {
		return nil, err
	}
	asked := s.asked()
	return s.services(ctx, func(hop Hop, service *unstructured.Unstructured) []Fact {
		var facts []Fact
		for _, port := range entries(service.Object, "spec", "ports") {
			number := field(port, "port")
			opened := slices.ContainsFunc(gateways, func(gateway *unstructured.Unstructured) bool {
				selector := labels.SelectorFromSet(stringMap(gateway.Object, "spec", "selector"))
				return slices.ContainsFunc(workloads, func(w *unstructured.Unstructured) bool {
					return hop.Matches(w.GetNamespace(), podLabels(w)) && selector.Matches(labels.Set(podLabels(w)))
				}) && slices.ContainsFunc(entries(gateway.Object, "spec", "servers"), func(server map[string]any) bool {
					opens := field(server, "port", "number")
					return opens == number || opens == field(port, "targetPort")
				})
			})
			connected := slices.ContainsFunc(addressesOf(service), func(address string) bool { return slices.Contains(asked, net.JoinHostPort(address, number)) })
			if hop.Gateway && connected && !opened {
				facts = append(facts, Fact{"hop": hop.Name, "service": nameOf(service), "port": number})
			}
		}
		return facts
	})
}

// asked are the addresses, as host:port, that clients, applications and proxies of connections connected to.
func (s *Scene) asked() []string {
	var addresses []string
	for _, flow := range s.Flows {
		addresses = append(addresses, flow.Result.RemoteAddress)
		if request := flow.Result.Probe.Request.Database; request != nil {
			addresses = append(addresses, request.Address)
		}
		for _, made := range flow.Attempts() {
			addresses = append(addresses, made.Remote)
		}
		for _, line := range flow.Lines {
			addresses = append(addresses, line.UpstreamHost)
		}
	}
	return addresses
}

// addressesOf are the names and addresses by which a Service is reached.
func addressesOf(service *unstructured.Unstructured) []string {
	addresses := []string{fullHost(service.GetName(), service.GetNamespace()), service.GetName() + "." + service.GetNamespace(), field(service.Object, "spec", "clusterIP")}
	for _, balancer := range entries(service.Object, "status", "loadBalancer", "ingress") {
		addresses = append(addresses, field(balancer, "ip"), field(balancer, "hostname"))
	}
	return slices.DeleteFunc(addresses, func(address string) bool { return address == "" })
}

// routes are OpenShift's Routes that do more with plain HTTP than to refuse it.
func routes(ctx context.Context, s *Scene) ([]Fact, error) {
	found, err := s.of(ctx, "Route")
	var facts []Fact
	for _, route := range found {
		policy := field(route.Object, "spec", "tls", "insecureEdgeTerminationPolicy")
		if policy == "Allow" || policy == "Redirect" {
			facts = append(facts, Fact{"route": nameOf(route), "host": field(route.Object, "spec", "host"), "policy": policy})
		}
	}
	return facts, err
}
