package main

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"

	routev1 "github.com/openshift/api/route/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// endpoint is one port of one pod behind a Service.
type endpoint struct {
	service, pod string
	port         string // the port's name, which may be empty
	ip           string
	number       int32
}

// serverName names an endpoint in the configuration and the access log, as OpenShift's router does.
func (e endpoint) serverName() string {
	object := "pod:" + e.pod
	if e.pod == "" {
		object = "ept"
	}
	return fmt.Sprintf("%s:%s:%s:%s:%d", object, e.service, e.port, e.ip, e.number)
}

func (e endpoint) address() string { return net.JoinHostPort(e.ip, strconv.Itoa(int(e.number))) }

// endpoints are those of every Service that are ready for new connections, by namespace/name.
type endpoints map[string][]endpoint

// newEndpoints reads the ready TCP endpoints out of slices, each once, in an order that does not depend on theirs.
func newEndpoints(endpointSlices []*discoveryv1.EndpointSlice) endpoints {
	all := endpoints{}
	for _, slice := range endpointSlices {
		service := slice.Labels[discoveryv1.LabelServiceName]
		if service == "" || slice.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		key := slice.Namespace + "/" + service
		for _, port := range slice.Ports {
			if port.Port == nil || (port.Protocol != nil && *port.Protocol != corev1.ProtocolTCP) {
				continue
			}
			for _, one := range slice.Endpoints {
				if one.Conditions.Ready != nil && !*one.Conditions.Ready {
					continue
				}
				e := endpoint{service: service, number: *port.Port}
				if port.Name != nil {
					e.port = *port.Name
				}
				if one.TargetRef != nil && one.TargetRef.Kind == "Pod" {
					e.pod = one.TargetRef.Name
				}
				for _, ip := range one.Addresses {
					e.ip = ip
					all[key] = append(all[key], e)
				}
			}
		}
	}
	for key, list := range all {
		slices.SortFunc(list, func(a, b endpoint) int { return cmp.Compare(a.serverName(), b.serverName()) })
		all[key] = slices.Compact(list)
	}
	return all
}

// of returns the endpoints of a Service that a Route leads to: those of the port that it names by name or number, or all.
func (all endpoints) of(route *routev1.Route, service string) []endpoint {
	list := all[route.Namespace+"/"+service]
	if route.Spec.Port == nil {
		return list
	}
	wanted := route.Spec.Port.TargetPort
	var matching []endpoint
	for _, e := range list {
		if e.port == wanted.String() || (wanted.IntVal != 0 && e.number == wanted.IntVal) {
			matching = append(matching, e)
		}
	}
	return matching
}

// weighedService is a Service of a Route, with the weight of each of its endpoints.
type weighedService struct {
	weight      int
	endpoints   []endpoint
	perEndpoint int
}

type weighedServices []weighedService

// The weights that HAProxy knows, and what the API server fills in for a Route's reference that has none.
const (
	maxWeight     = 256
	defaultWeight = 100
)

// weigh shares the weight of each Service out among its endpoints, so that the Services get requests in proportion to their
// weights, however many endpoints each has. The largest becomes 256, for the least loss to rounding; none that is to get
// requests becomes 0. Where one Service gets everything, its endpoints weigh the same.
func weigh(route *routev1.Route, all endpoints) weighedServices {
	var services weighedServices
	for _, reference := range append([]routev1.RouteTargetReference{route.Spec.To}, route.Spec.AlternateBackends...) {
		weight := defaultWeight
		if reference.Weight != nil {
			weight = min(max(int(*reference.Weight), 0), maxWeight)
		}
		services = append(services, weighedService{weight: weight, endpoints: all.of(route, reference.Name)})
	}
	largest := 0.0
	for _, service := range services {
		largest = max(largest, service.share())
	}
	alone := len(services.active()) == 1
	for i, service := range services {
		switch {
		case service.share() == 0:
		case alone:
			services[i].perEndpoint = 1
		default:
			services[i].perEndpoint = max(int(service.share()*maxWeight/largest), 1)
		}
	}
	return services
}

// share is what one endpoint gets of its Service's weight.
func (s weighedService) share() float64 {
	if len(s.endpoints) == 0 {
		return 0
	}
	return float64(s.weight) / float64(len(s.endpoints))
}

// active are the Services that are to get requests, be there endpoints or not.
func (s weighedServices) active() weighedServices {
	return slices.DeleteFunc(slices.Clone(s), func(service weighedService) bool { return service.weight == 0 })
}

func (s weighedServices) endpointsInUse() int {
	count := 0
	for _, service := range s.active() {
		count += len(service.endpoints)
	}
	return count
}
