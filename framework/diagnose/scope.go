package diagnose

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshproof/meshproof/framework/diagnose/rules"
	"github.com/meshproof/meshproof/framework/evidence"
)

// UsedHops are the names of the hops that a check used: those that it waited for as witnesses, those that its judgements name, and
// those that recorded something about its flows. Of a check that used none, which was kept from sending anything, they are all.
func UsedHops(all []rules.Hop, witnesses []string, judgements []evidence.Judgement, flows []evidence.Flow) []string {
	var used []string
	for _, hop := range all {
		named := slices.ContainsFunc(judgements, func(j evidence.Judgement) bool {
			return rules.Names(j.End, hop.Name) || rules.Names(j.Statement, hop.Name) || rules.Names(j.Detail, hop.Name)
		})
		recorded := slices.ContainsFunc(flows, func(f evidence.Flow) bool { return recorded(f, hop.Name) })
		if named || recorded || slices.Contains(witnesses, hop.Name) {
			used = append(used, hop.Name)
		}
	}
	if len(used) > 0 {
		return used
	}
	for _, hop := range all {
		used = append(used, hop.Name)
	}
	return used
}

func recorded(flow evidence.Flow, hop string) bool {
	return slices.ContainsFunc(flow.Lines, func(l evidence.Line) bool { return l.Hop == hop }) ||
		slices.ContainsFunc(flow.Connections, func(c evidence.Connection) bool { return c.Hop == hop }) ||
		len(flow.RecordsAt(hop)) > 0 || len(flow.AcceptedAt(hop)) > 0
}

// scope tells what belongs to the hops of a check.
type scope struct {
	all, used []rules.Hop
	// workloads are those of the used hops, others those of the other hops.
	workloads, others []*unstructured.Unstructured
}

// newScope is of these hops; objects hold their workloads.
func newScope(all []rules.Hop, used []string, objects []*unstructured.Unstructured) scope {
	s := scope{all: all}
	for _, hop := range all {
		if slices.Contains(used, hop.Name) {
			s.used = append(s.used, hop)
		}
	}
	for _, object := range objects {
		podLabels := labelsOfPods(object)
		of := func(h rules.Hop) bool { return h.Matches(object.GetNamespace(), podLabels) }
		switch {
		case len(podLabels) == 0:
		case slices.ContainsFunc(s.used, of):
			s.workloads = append(s.workloads, object)
		case slices.ContainsFunc(all, of):
			s.others = append(s.others, object)
		}
	}
	return s
}

func labelsOfPods(object *unstructured.Unstructured) map[string]string {
	found, _, _ := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
	return found
}

// object tells whether an object concerns the used hops. What belongs to no hop, such as Istio's objects, a database's job or a vantage
// point, may concern each of them.
func (s scope) object(object *unstructured.Unstructured) bool {
	mine := slices.ContainsFunc(s.workloads, func(w *unstructured.Unstructured) bool { return belongs(object, w) })
	return mine || !slices.ContainsFunc(s.others, func(w *unstructured.Unstructured) bool { return belongs(object, w) })
}

// belongs tells whether an object is a workload, leads to its pods, or is used by them.
func belongs(object, workload *unstructured.Unstructured) bool {
	if object.GetNamespace() != workload.GetNamespace() {
		return false
	}
	if object.GetKind() == workload.GetKind() {
		return object.GetName() == workload.GetName()
	}
	pod, _, _ := unstructured.NestedMap(workload.Object, "spec", "template", "spec")
	switch object.GetKind() {
	case "Service":
		selector, _, _ := unstructured.NestedStringMap(object.Object, "spec", "selector")
		return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(labelsOfPods(workload)))
	case "Secret", "ConfigMap", "ServiceAccount":
		return mentions(pod, object.GetName())
	}
	return false
}

// mentions tells whether one of the values in there is this text.
func mentions(value any, text string) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, field := range v {
			if mentions(field, text) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(entry any) bool { return mentions(entry, text) })
	case string:
		return v == text
	}
	return false
}

// pod tells whether a pod is of a used hop.
func (s scope) pod(namespace string, podLabels map[string]string) bool {
	return slices.ContainsFunc(s.used, func(h rules.Hop) bool { return h.Matches(namespace, podLabels) })
}

// named tells whether an object of this name, of which no more is known, may concern the used hops: it is not named as one of the
// other hops' workloads is, or as what is made of it.
func (s scope) named(namespace, name string) bool {
	of := func(w *unstructured.Unstructured) bool {
		return w.GetNamespace() == namespace && (name == w.GetName() || strings.HasPrefix(name, w.GetName()+"-"))
	}
	return slices.ContainsFunc(s.workloads, of) || !slices.ContainsFunc(s.others, of)
}
