// Package mesh puts a pattern's manifests on a cluster and finds out when the proxies hold what they ask for.
package mesh

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
)

// Labels that every object of a run carries.
const (
	// RunLabel holds the run's ID, PatternLabel the pattern's name.
	RunLabel     = "meshproof.dev/run"
	PatternLabel = "meshproof.dev/pattern"
	// ManagedByLabel has the value "meshproof" on every object that meshproof made and may remove.
	ManagedByLabel = "app.kubernetes.io/managed-by"
)

var (
	placeholder = regexp.MustCompile(`\$\{[^}\n]*\}?`)
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// Render reads every *.yaml of manifests, in the order of their names, with ${name} replaced by values. It is a pure
// function: the same input gives the same objects. A placeholder without a value, a value that no manifest uses (unless
// its name is in optional), a file that is not YAML, and finding no manifest at all are errors.
func Render(manifests fs.FS, values map[string]string, optional ...string) ([]*unstructured.Unstructured, error) {
	var files []string
	err := fs.WalkDir(manifests, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && path.Ext(name) == ".yaml" {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the manifests: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no manifest (*.yaml)")
	}
	sort.Strings(files)
	used := map[string]bool{}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		data, err := fs.ReadFile(manifests, file)
		if err != nil {
			return nil, fmt.Errorf("read manifest %s: %w", file, err)
		}
		text, err := substitute(file, string(data), values, used)
		if err != nil {
			return nil, err
		}
		decoded, err := kube.Decode(file, []byte(text))
		if err != nil {
			return nil, err
		}
		objects = append(objects, decoded...)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !used[name] && !slices.Contains(optional, name) {
			return nil, fmt.Errorf("parameter %s is used by no manifest", name)
		}
	}
	return objects, refuseDuplicates(objects)
}

// RenderText reads one YAML text, with ${name} replaced by values; source names it in errors.
func RenderText(source, text string, values map[string]string) ([]*unstructured.Unstructured, error) {
	replaced, err := substitute(source, text, values, map[string]bool{})
	if err != nil {
		return nil, err
	}
	objects, err := kube.Decode(source, []byte(replaced))
	if err != nil {
		return nil, err
	}
	return objects, refuseDuplicates(objects)
}

// Substitute replaces ${name} in a text by values; source names it in errors.
func Substitute(source, text string, values map[string]string) (string, error) {
	return substitute(source, text, values, map[string]bool{})
}

func substitute(file, text string, values map[string]string, used map[string]bool) (string, error) {
	var problem error
	replaced := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		name, closed := strings.CutSuffix(match[2:], "}")
		value, found := values[name]
		switch {
		case !closed || !nameForm.MatchString(name):
			problem = fmt.Errorf("%s: %s is no placeholder: use ${name} with a-z, 0-9 and _", file, match)
		case !found:
			problem = fmt.Errorf("%s: %s has no value: the pattern declares no such parameter", file, match)
		case strings.ContainsAny(value, "\n\r"):
			problem = fmt.Errorf("%s: the value of %s holds a line break", file, match)
		}
		used[name] = true
		return value
	})
	return replaced, problem
}

func refuseDuplicates(objects []*unstructured.Unstructured) error {
	seen := map[string]bool{}
	for _, object := range objects {
		key := object.GroupVersionKind().GroupKind().String() + " " + object.GetNamespace() + "/" + object.GetName()
		if seen[key] {
			return fmt.Errorf("%s is there twice", kube.Describe(object))
		}
		seen[key] = true
	}
	return nil
}

// Mark labels the objects as those of a run. With a revision other than the default, whatever joins the mesh joins that one,
// by the label istio.io/rev: namespaces have it instead of istio-injection, which would win over it, and pods that ask for
// a proxy themselves beside their own label.
func Mark(objects []*unstructured.Unstructured, runID, patternName, revision string) {
	for _, object := range objects {
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[RunLabel], labels[PatternLabel], labels[ManagedByLabel] = runID, patternName, kube.FieldManager
		if revision != "" && revision != "default" {
			if object.GetKind() == "Namespace" && labels["istio-injection"] == "enabled" {
				delete(labels, "istio-injection")
				labels["istio.io/rev"] = revision
			}
			joinByPod(object, labels, revision)
		}
		object.SetLabels(labels)
	}
}

// joinByPod chooses the revision for a pod, or the pods of a workload, that ask for a proxy by their own label.
func joinByPod(object *unstructured.Unstructured, labels map[string]string, revision string) {
	const asks = "sidecar.istio.io/inject"
	if object.GetKind() == "Pod" && labels[asks] == "true" {
		labels["istio.io/rev"] = revision
	}
	template := []string{"spec", "template", "metadata", "labels"}
	if value, _, _ := unstructured.NestedString(object.Object, append(template, asks)...); value == "true" {
		// The label beside it was read at this very place, so it fits.
		_ = unstructured.SetNestedField(object.Object, revision, append(template, "istio.io/rev")...)
	}
}

// CheckNamespaces refuses objects outside the run's own namespaces, and objects without a namespace other than those
// namespaces themselves: nothing else on the cluster may change.
func CheckNamespaces(objects []*unstructured.Unstructured, own []string) error {
	for _, object := range objects {
		if object.GetKind() == "Namespace" && object.GroupVersionKind().Group == "" {
			if !slices.Contains(own, object.GetName()) {
				return fmt.Errorf("%s is not one of the run's own namespaces (%s)", kube.Describe(object), strings.Join(own, ", "))
			}
			continue
		}
		if !slices.Contains(own, object.GetNamespace()) {
			return fmt.Errorf("%s is outside the run's own namespaces (%s)", kube.Describe(object), strings.Join(own, ", "))
		}
	}
	return nil
}
