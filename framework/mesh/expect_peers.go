package mesh

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// peers: what the PeerAuthentication that counts for the workload (its own before its namespace's) says of plain text must
// show in its inbound listener. What its own says by port is not derived.
func (d *derivation) peers(w Workload) {
	mode, own := "", false
	d.each("PeerAuthentication", w.Namespace, func(object *unstructured.Unstructured) {
		selector, selective, _ := unstructured.NestedStringMap(object.Object, "spec", "selector", "matchLabels")
		given, _, _ := unstructured.NestedString(object.Object, "spec", "mtls", "mode")
		_, byPort, _ := unstructured.NestedMap(object.Object, "spec", "portLevelMtls")
		matches := selective && labels.SelectorFromSet(selector).Matches(labels.Set(w.Labels))
		switch {
		case matches && byPort:
			mode, own = "", true
		case matches:
			mode, own = given, true
		case !selective && !own:
			mode = given
		}
	})
	switch mode {
	case "STRICT":
		d.add(Expectation{Hop: w.Hop, Text: "inbound takes mutual TLS only", Holds: func(s Snapshot) (bool, string) { return takesOnlyTLS(s.Listeners) }})
	case "PERMISSIVE", "DISABLE":
		d.add(Expectation{Hop: w.Hop, Text: "inbound takes plain text", Holds: func(s Snapshot) (bool, string) { return takesPlainText(s.Listeners) }})
	}
}

// inboundListener is the name of the listener that takes all inbound connections of a sidecar.
const inboundListener = "virtualInbound"

// inbound is that listener; missing says why there is none. One that warms counts as absent.
func inbound(listeners []envoy.Listener) (found envoy.Listener, missing string) {
	for _, listener := range listeners {
		if listener.Name == inboundListener && listener.State == envoy.Active {
			return listener, ""
		}
	}
	return envoy.Listener{}, "no active listener " + inboundListener
}

func takesOnlyTLS(listeners []envoy.Listener) (bool, string) {
	listener, missing := inbound(listeners)
	if missing != "" {
		return false, missing
	}
	var plain []string
	tls := false
	for _, chain := range listener.Chains {
		if chain.Match.TransportProtocol == "raw_buffer" {
			plain = append(plain, chain.Name)
		}
		tls = tls || chain.TLS != nil
	}
	if len(plain) > 0 {
		return false, "filter chains that take plain text: " + strings.Join(plain, ", ")
	}
	return tls, "no filter chain takes TLS"
}

func takesPlainText(listeners []envoy.Listener) (bool, string) {
	if _, missing := inbound(listeners); missing != "" {
		return false, missing
	}
	only, _ := takesOnlyTLS(listeners)
	return !only, "only TLS is taken"
}
