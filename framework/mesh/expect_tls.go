package mesh

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// transport: a cluster must begin TLS as a DestinationRule says of it. Of mutual TLS of the mesh, Istio knows by itself how
// servers are checked.
func (d *derivation) transport(w Workload, to target) {
	settings := d.tlsTo(w, to)
	mode, name, authority := text(settings, "mode"), text(settings, "sni"), authorityOf(settings)
	if !slices.Contains([]string{"SIMPLE", "MUTUAL", "ISTIO_MUTUAL"}, mode) {
		return
	}
	told, gone := "TLS of "+to.cluster(), (func(*derivation) bool)(nil)
	if name != "" {
		told += " for " + name
	}
	if authority != "" {
		told += " by " + strings.TrimPrefix(authority, "file-root:")
		gone = func(next *derivation) bool { return authorityOf(next.tlsTo(w, to)) != authority }
	}
	d.add(Expectation{Hop: w.Hop, Text: told, gone: gone, Holds: func(s Snapshot) (bool, string) {
		return beginsTLS(s.Clusters, to.cluster(), name, authority)
	}})
}

// authorityOf is the secret by which a server is checked, in the name that Istio gives it on the way: of a file, or of a
// credentialName; empty when a rule names none.
func authorityOf(settings map[string]any) string {
	if file := text(settings, "caCertificates"); file != "" {
		return "file-root:" + file
	}
	if credential := text(settings, "credentialName"); credential != "" {
		return "kubernetes://" + credential + "-cacert"
	}
	return ""
}

// tlsTo is what the DestinationRule that counts for a workload says of the TLS to a target: one of the workload's namespace
// before one of the host's; of a subset before of all, and of a port before of all.
func (d *derivation) tlsTo(w Workload, to target) map[string]any {
	var rules []*unstructured.Unstructured
	d.each("DestinationRule", "", func(object *unstructured.Unstructured) {
		selector, _, _ := unstructured.NestedStringMap(object.Object, "spec", "workloadSelector", "matchLabels")
		ours := len(selector) == 0 || selects(object.Object, w.Labels, "spec", "workloadSelector", "matchLabels")
		if ours && exported(object, w.Namespace) && fullName(text(object.Object, "spec", "host"), object.GetNamespace()) == to.host {
			rules = append(rules, object)
		}
	})
	if len(rules) == 0 {
		return nil
	}
	rule := rules[max(0, slices.IndexFunc(rules, func(o *unstructured.Unstructured) bool { return o.GetNamespace() == w.Namespace }))]
	spec, _, _ := unstructured.NestedMap(rule.Object, "spec")
	settings := tlsOfPolicy(spec, to.port)
	for _, subset := range list(spec, "subsets") {
		if own := tlsOfPolicy(subset, to.port); to.subset != "" && text(subset, "name") == to.subset && len(own) > 0 {
			settings = own
		}
	}
	return settings
}

func tlsOfPolicy(fields map[string]any, port int64) map[string]any {
	settings, _, _ := unstructured.NestedMap(fields, "trafficPolicy", "tls")
	for _, level := range list(fields, "trafficPolicy", "portLevelSettings") {
		if own, _, _ := unstructured.NestedMap(level, "tls"); number(level, "port", "number") == port && len(own) > 0 {
			settings = own
		}
	}
	return settings
}

// beginsTLS judges the active cluster of a name; an empty server name or authority stands for any.
func beginsTLS(clusters []envoy.Cluster, cluster, name, authority string) (bool, string) {
	index := slices.IndexFunc(clusters, func(c envoy.Cluster) bool { return c.Name == cluster })
	if index < 0 {
		return false, "no such cluster"
	}
	sockets := []*envoy.TLS{clusters[index].TLS}
	for _, match := range clusters[index].Matches {
		sockets = append(sockets, match.TLS)
	}
	state := "it is plain text"
	for _, tls := range sockets {
		switch {
		case tls == nil:
			continue
		case name != "" && tls.SNI != name:
			state = "it asks for " + tls.SNI
		case authority != "" && tls.Validation != authority:
			state = "it checks by " + tls.Validation
		default:
			return true, ""
		}
	}
	return false, state
}
