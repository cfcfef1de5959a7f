package mesh

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// exported tells whether an object of Istio's, or a Service by its annotation, is there for the workloads of a namespace.
func exported(object *unstructured.Unstructured, namespace string) bool {
	to := texts(object.Object, "spec", "exportTo")
	if annotation := object.GetAnnotations()["networking.istio.io/exportTo"]; object.GetKind() == "Service" && annotation != "" {
		to = strings.Split(annotation, ",")
	}
	return len(to) == 0 || slices.ContainsFunc(to, func(entry string) bool {
		entry = strings.TrimSpace(entry)
		return entry == "*" || entry == namespace || entry == "." && object.GetNamespace() == namespace
	})
}

// imported tells whether the Sidecar that applies to a workload, if any, lets it have a host of a namespace. Gateways heed
// no Sidecar.
func (d *derivation) imported(w Workload, namespace, host string) bool {
	sidecar := d.sidecarOf(w)
	egress := []map[string]any(nil)
	if sidecar != nil {
		egress = list(sidecar.Object, "spec", "egress")
	}
	if w.Gateway || len(egress) == 0 {
		return true
	}
	return slices.ContainsFunc(egress, func(listener map[string]any) bool {
		return slices.ContainsFunc(texts(listener, "hosts"), func(entry string) bool {
			from, pattern, found := strings.Cut(entry, "/")
			of := from == "*" || from == namespace || from == "." && w.Namespace == namespace
			return found && of && covers(pattern, host)
		})
	})
}

// sidecarOf is the Sidecar of a workload: one that selects it before one of the whole namespace.
func (d *derivation) sidecarOf(w Workload) *unstructured.Unstructured {
	var general, own *unstructured.Unstructured
	d.each("Sidecar", w.Namespace, func(object *unstructured.Unstructured) {
		selector, _, _ := unstructured.NestedStringMap(object.Object, "spec", "workloadSelector", "labels")
		switch {
		case len(selector) == 0:
			general = object
		case selects(object.Object, w.Labels, "spec", "workloadSelector", "labels"):
			own = object
		}
	})
	if own != nil {
		return own
	}
	return general
}

// covers tells whether a host, which may itself begin with "*.", is one that a pattern stands for: "*", "*.suffix", or a name.
func covers(pattern, host string) bool {
	suffix, wild := strings.CutPrefix(pattern, "*")
	return pattern == host || wild && strings.HasSuffix(host, suffix)
}

// visible tells whether a workload may have the host of a Service or ServiceEntry.
func (d *derivation) visible(w Workload, object *unstructured.Unstructured, host string) bool {
	return exported(object, w.Namespace) && d.imported(w, object.GetNamespace(), host)
}

// fullName is a host as Istio completes it: a name without dots is of a namespace.
func fullName(host, namespace string) string {
	if host == "*" || strings.Contains(host, ".") {
		return host
	}
	return host + "." + namespace + ".svc.cluster.local"
}
