package mesh

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// gateways: every Gateway that selects the workload must have its listeners, and every VirtualService bound to it its routes.
func (d *derivation) gateways(w Workload) {
	d.each("Gateway", "", func(object *unstructured.Unstructured) {
		if !selects(object.Object, w.Labels, "spec", "selector") {
			return
		}
		for _, fields := range list(object.Object, "spec", "servers") {
			s := server{fields: fields, gateway: object}
			port := d.targetPort(w, s.number())
			routed := d.gatewayConnections(w, s, port)
			if s.carries() == "http" || routed {
				d.listener(w, s, port)
			}
		}
		d.gatewayRoutes(w, object)
	})
}

// listener: a server has its listener, which takes TLS when the server does. Istio makes none for a server of connections
// that no VirtualService leads on.
func (d *derivation) listener(w Workload, s server, port int64) {
	d.add(Expectation{Hop: w.Hop, Text: fmt.Sprintf("listener on port %d", port), gone: withItsObject, Holds: func(s Snapshot) (bool, string) {
		return hasListener(s.Listeners, port)
	}})
	if !s.terminates() {
		return
	}
	if credential := text(s.fields, "tls", "credentialName"); credential != "" {
		d.secret(w, credential)
	}
	if hosts := s.hosts(); !slices.Contains(hosts, "*") {
		for _, host := range hosts {
			d.add(Expectation{Hop: w.Hop, Text: fmt.Sprintf("TLS for %s on port %d", host, port), gone: withItsObject, Holds: func(s Snapshot) (bool, string) {
				return takesTLS(s.Listeners, port, host)
			}})
		}
		return
	}
	d.add(Expectation{Hop: w.Hop, Text: fmt.Sprintf("TLS on port %d", port), gone: withItsObject, Holds: func(s Snapshot) (bool, string) {
		return takesTLS(s.Listeners, port, "")
	}})
}

// secret: what a credentialName names has come, in the name that Istio gives it on the way.
func (d *derivation) secret(w Workload, credential string) {
	name := "kubernetes://" + credential
	d.add(Expectation{Hop: w.Hop, Text: "secret " + name, gone: withItsObject, Holds: func(s Snapshot) (bool, string) {
		for _, secret := range s.Secrets {
			if secret.Name == name {
				return secret.Rejected == "" && secret.Kind == envoy.CertificateSecret, "refused: " + secret.Rejected
			}
		}
		return false, "it has not come: see whether it is there, and whether the gateway's service account may list secrets"
	}})
}

// server is one of a Gateway's.
type server struct {
	fields  map[string]any
	gateway *unstructured.Unstructured
}

func (s server) number() int64 { return number(s.fields, "port", "number") }

// name is the Gateway as a VirtualService of another namespace names it.
func (s server) name() string { return s.gateway.GetNamespace() + "/" + s.gateway.GetName() }

// hosts are those of the server without the namespaces whose VirtualServices may bind to them.
func (s server) hosts() []string {
	var hosts []string
	for _, host := range texts(s.fields, "hosts") {
		hosts = append(hosts, host[strings.Index(host, "/")+1:])
	}
	return hosts
}

// terminates tells whether the gateway takes TLS itself.
func (s server) terminates() bool {
	return slices.Contains([]string{"SIMPLE", "MUTUAL", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"}, text(s.fields, "tls", "mode"))
}

// carries is the field of a VirtualService whose rules lead on what the server takes.
func (s server) carries() string {
	protocol := strings.ToUpper(text(s.fields, "port", "protocol"))
	switch {
	case strings.HasSuffix(text(s.fields, "tls", "mode"), "PASSTHROUGH"):
		return "tls"
	case slices.Contains([]string{"TCP", "TLS", "MONGO", "MYSQL", "REDIS"}, protocol):
		return "tcp"
	}
	return "http"
}

// binds tells whether a VirtualService has a host that is the server's; a server's host may want it of one namespace.
func (s server) binds(virtualService *unstructured.Unstructured) bool {
	return slices.ContainsFunc(texts(s.fields, "hosts"), func(entry string) bool {
		namespace, pattern, found := strings.Cut(entry, "/")
		if !found {
			namespace, pattern = "*", entry
		}
		if namespace == "." {
			namespace = s.gateway.GetNamespace()
		}
		of := namespace == "*" || namespace == virtualService.GetNamespace()
		return of && slices.ContainsFunc(texts(virtualService.Object, "spec", "hosts"), func(host string) bool {
			return covers(pattern, host) || covers(host, pattern)
		})
	})
}

// targetPort is the container's port behind a Service port of the gateway.
func (d *derivation) targetPort(w Workload, number int64) int64 {
	target := number
	d.each("Service", w.Namespace, func(object *unstructured.Unstructured) {
		if !selects(object.Object, w.Labels, "spec", "selector") {
			return
		}
		for _, port := range list(object.Object, "spec", "ports") {
			if port["port"] != number {
				continue
			}
			switch value := port["targetPort"].(type) {
			case int64:
				target = value
			case string:
				target = d.containerPort(object, value, target)
			}
		}
	})
	return target
}

// containerPort is what the pods behind a Service call by a name.
func (d *derivation) containerPort(service *unstructured.Unstructured, name string, otherwise int64) int64 {
	found := otherwise
	for _, workload := range d.objects {
		pods, _, _ := unstructured.NestedStringMap(workload.Object, "spec", "template", "metadata", "labels")
		if !MakesPods(workload) || workload.GetNamespace() != service.GetNamespace() || !selects(service.Object, pods, "spec", "selector") {
			continue
		}
		for _, container := range list(workload.Object, "spec", "template", "spec", "containers") {
			for _, port := range list(container, "ports") {
				if text(port, "name") == name {
					found = number(port, "containerPort")
				}
			}
		}
	}
	return found
}

// listens tells whether a listener is on a port.
func listens(listener envoy.Listener, port int64) bool {
	address, ok := listener.Address.AddrPort()
	return ok && int64(address.Port()) == port
}

func hasListener(listeners []envoy.Listener, port int64) (bool, string) {
	var states []string
	for _, listener := range listeners {
		there := listens(listener, port)
		// One that was refused from the start has no address; Istio puts the port into its name.
		refused := listener.State == envoy.Refused && strings.HasSuffix(listener.Name, fmt.Sprintf("_%d", port))
		if there && listener.State == envoy.Active {
			return true, ""
		}
		if !there && !refused {
			continue
		}
		state := string(listener.State)
		if listener.Rejected != "" {
			state += " (" + listener.Rejected + ")"
		}
		states = append(states, state)
	}
	if len(states) == 0 {
		return false, "no listener has that port"
	}
	return false, "not active: " + strings.Join(states, ", ")
}

// takesTLS judges the filter chains of a port that are for a host; without a host, whether there is one that takes TLS.
func takesTLS(listeners []envoy.Listener, port int64, host string) (bool, string) {
	if there, state := hasListener(listeners, port); !there {
		return false, state
	}
	state := "no filter chain takes TLS"
	if host != "" {
		state = "no filter chain is for " + host
	}
	taken := false
	for _, listener := range listeners {
		if listener.State != envoy.Active || !listens(listener, port) {
			continue
		}
		for _, chain := range listener.Chains {
			ours := host == "" || slices.Contains(chain.Match.ServerNames, host)
			if ours && host != "" && chain.TLS == nil {
				return false, "filter chain " + chain.Name + " takes no TLS"
			}
			taken = taken || ours && chain.TLS != nil
		}
	}
	return taken, state
}
