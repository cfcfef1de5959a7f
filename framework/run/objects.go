package run

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
)

// Objects renders what a job installs: the pattern's manifests with the overlay, marked as the run's own. Objects that
// require what the cluster does not have are left out, and so are namespaces that are adopted; objects outside the run's
// namespaces are refused.
func Objects(p pattern.Pattern, job Job) ([]*unstructured.Unstructured, error) {
	objects, err := rendered(p, job)
	if err == nil && job.Options.Adopt {
		objects = slices.DeleteFunc(objects, isNamespace)
	}
	return objects, err
}

func isNamespace(object *unstructured.Unstructured) bool {
	return object.GetKind() == "Namespace" && object.GroupVersionKind().Group == ""
}

// rendered are the objects as if nothing were adopted.
func rendered(p pattern.Pattern, job Job) ([]*unstructured.Unstructured, error) {
	values, err := p.Computed(job.Values, job.Options.Set)
	if err != nil {
		return nil, err
	}
	objects, err := mesh.Render(p.Manifests, values, p.Unrendered()...)
	if err != nil {
		return nil, err
	}
	if job.Options.Hardened {
		if objects, err = mesh.Harden(objects, p.Hardened, values); err != nil {
			return nil, err
		}
	}
	for _, overlay := range []string{job.Options.Overlay, job.Mutation} {
		if overlay == "" {
			continue
		}
		if objects, err = mesh.Overlay(objects, overlay, values); err != nil {
			return nil, err
		}
	}
	if err := mesh.CheckNamespaces(objects, p.Namespaces(job.Values)); err != nil {
		return nil, err
	}
	if objects, err = required(p, job, objects); err != nil {
		return nil, err
	}
	if job.Cluster != nil {
		objects = mesh.PullWith(objects, job.Cluster.PullSecret)
	}
	mesh.Mark(objects, job.RunID, p.Name, job.Revision)
	return objects, nil
}

// required leaves out the objects whose requirement the cluster does not meet.
func required(p pattern.Pattern, job Job, objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	var kept []*unstructured.Unstructured
	for _, object := range objects {
		name, requires := object.GetAnnotations()[pattern.RequiresAnnotation]
		if requires {
			if _, known := p.Requirement(name); !known {
				return nil, fmt.Errorf("%s %s requires %q, which the pattern does not declare", object.GetKind(), object.GetName(), name)
			}
		}
		if _, unmet := job.Unmet[name]; !requires || !unmet {
			kept = append(kept, object)
		}
	}
	return kept, nil
}

// notYetKnown stands for a value that the cluster has not told yet.
func notYetKnown(parameter string) string {
	return "not-yet-known-" + strings.ReplaceAll(parameter, "_", "-")
}

// stages are the objects of an install whose parameters are not all known beforehand.
type stages struct {
	// first are the objects that need no such value; in the object that a value is observed from, fields that hold it are
	// left out.
	first []*unstructured.Unstructured
	// observed are the parameters to be observed, with their objects.
	observed map[string]*unstructured.Unstructured
}

// firstStage renders the job with what is known of its parameters.
func firstStage(p pattern.Pattern, job Job) (stages, error) {
	unknown := map[string]string{}
	job.Values = maps.Clone(job.Values)
	for _, parameter := range p.Parameters {
		if parameter.Observed != nil && job.Options.Set[parameter.Name] == "" {
			unknown[parameter.Name] = notYetKnown(parameter.Name)
		}
	}
	planned := maps.Clone(job.Values)
	// What is computed may depend on what is not known.
	set := map[string]string{}
	maps.Copy(set, job.Options.Set)
	for _, parameter := range p.Parameters {
		if _, given := set[parameter.Name]; !given && parameter.Compute != nil {
			unknown[parameter.Name] = notYetKnown(parameter.Name)
			set[parameter.Name] = unknown[parameter.Name]
		}
	}
	job.Options.Set = set
	maps.Copy(job.Values, unknown)
	objects, err := Objects(p, job)
	if err != nil {
		return stages{}, err
	}
	result := stages{observed: map[string]*unstructured.Unstructured{}}
	var dropped bool
	for _, parameter := range p.Parameters {
		if unknown[parameter.Name] == "" || parameter.Observed == nil {
			continue
		}
		from := *parameter.Observed
		index := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool {
			return o.GetAPIVersion() == from.APIVersion && o.GetKind() == from.Kind && o.GetNamespace() == job.Values[from.Namespace] && o.GetName() == from.Name
		})
		if index < 0 {
			job.Values[parameter.Name], dropped = planned[parameter.Name], true
			continue
		}
		result.observed[parameter.Name] = objects[index]
	}
	if dropped {
		if objects, err = Objects(p, job); err != nil {
			return stages{}, err
		}
	}
	for name, source := range result.observed {
		index := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return sameObject(o, source) })
		objects[index].Object = without(objects[index].Object, notYetKnown(name)).(map[string]any)
		result.observed[name] = objects[index]
	}
	for _, name := range slices.Sorted(maps.Keys(result.observed)) {
		if source := result.observed[name]; mentions(source, unknown) {
			return stages{}, fmt.Errorf("parameter %s cannot be told by %s, which needs a value itself that is not known before", name, kube.Describe(source))
		}
	}
	var later []*unstructured.Unstructured
	for _, object := range objects {
		if mentions(object, unknown) {
			later = append(later, object)
		}
	}
	for _, object := range objects {
		// A pod without what it mounts would look for it again after ever longer breaks.
		if !mentions(object, unknown) && !mounts(object, later) {
			result.first = append(result.first, object)
		}
	}
	return result, nil
}

// mounts tells whether a workload uses one of the Secrets or ConfigMaps.
func mounts(workload *unstructured.Unstructured, objects []*unstructured.Unstructured) bool {
	pod, found, _ := unstructured.NestedMap(workload.Object, "spec", "template", "spec")
	if !found {
		return false
	}
	return slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool {
		kind := o.GetKind()
		return (kind == "Secret" || kind == "ConfigMap") && o.GetNamespace() == workload.GetNamespace() && holds(pod, o.GetName())
	})
}

// holds tells whether one of the values in there is this text.
func holds(value any, text string) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, field := range v {
			if holds(field, text) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(entry any) bool { return holds(entry, text) })
	case string:
		return v == text
	}
	return false
}

func sameObject(a, b *unstructured.Unstructured) bool {
	return a.GroupVersionKind().GroupKind() == b.GroupVersionKind().GroupKind() && a.GetNamespace() == b.GetNamespace() && a.GetName() == b.GetName()
}

// without returns the value without the fields that hold exactly this text.
func without(value any, text string) any {
	switch v := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, field := range v {
			if field != text {
				kept[key] = without(field, text)
			}
		}
		return kept
	case []any:
		kept := []any{}
		for _, entry := range v {
			if entry != text {
				kept = append(kept, without(entry, text))
			}
		}
		return kept
	}
	return value
}

// mentions tells whether one of the values occurs anywhere in the object.
func mentions(object *unstructured.Unstructured, values map[string]string) bool {
	data, err := json.Marshal(object.Object)
	if err != nil {
		return false // it was made of YAML, so it can be written
	}
	for _, value := range values {
		if strings.Contains(string(data), value) {
			return true
		}
	}
	return false
}
