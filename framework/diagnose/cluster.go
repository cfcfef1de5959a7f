package diagnose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/internal/hide"
	"github.com/meshproof/meshproof/framework/kube"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// writeObjects writes the objects that concern the used hops as the cluster has them now: those that are installed, one that is not
// there any more as a line that says so, and those of others that decide what becomes of a probe.
func (s Scene) writeObjects(ctx context.Context, folder string, of scope, live []*unstructured.Unstructured) error {
	var content bytes.Buffer
	var errs []error
	add := func(object *unstructured.Unstructured, note string) {
		data, err := yaml.Marshal(bare(object).Object)
		errs = append(errs, err)
		fmt.Fprintf(&content, "---\n%s%s", note, data)
	}
	for _, object := range s.Objects {
		if !of.object(object) {
			continue
		}
		live, err := s.get(ctx, object)
		switch {
		case apierrors.IsNotFound(err):
			fmt.Fprintf(&content, "---\n# %s is not there\n", kube.Describe(object))
		case err != nil:
			errs = append(errs, fmt.Errorf("read %s: %w", kube.Describe(object), err))
		default:
			add(live, "")
		}
	}
	for _, object := range live {
		if !slices.ContainsFunc(s.Objects, func(o *unstructured.Unstructured) bool { return same(o, object) }) && of.object(object) {
			add(object, "# not installed by this run\n")
		}
	}
	return errors.Join(append(errs, s.write(filepath.Join(folder, "objects.yaml"), content.Bytes()))...)
}

func same(a, b *unstructured.Unstructured) bool {
	return a.GroupVersionKind().GroupKind() == b.GroupVersionKind().GroupKind() && a.GetNamespace() == b.GetNamespace() && a.GetName() == b.GetName()
}

func (s Scene) get(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	resource, err := s.Client.Resource(object)
	if err != nil {
		return nil, err
	}
	return resource.Get(ctx, object.GetName(), metav1.GetOptions{})
}

// bare is the object without what only the API server reads, and without secrets: a Secret has no values.
func bare(object *unstructured.Unstructured) *unstructured.Unstructured {
	object = object.DeepCopy()
	object.SetManagedFields(nil)
	object.Object, _ = hide.Values(object.Object).(map[string]any)
	if object.GetKind() == "Secret" {
		for _, field := range []string{"data", "stringData"} {
			values, _, _ := unstructured.NestedMap(object.Object, field)
			for key := range values {
				values[key] = v1.Redacted
			}
			if values != nil {
				object.Object[field] = values
			}
		}
	}
	return object
}

// writeEvents writes the events of the namespaces that concern the used hops, the oldest first.
func (s Scene) writeEvents(ctx context.Context, folder string, of scope) error {
	var errs []error
	var all []corev1.Event
	for _, namespace := range s.Namespaces {
		events, err := s.Client.Typed.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			errs = append(errs, fmt.Errorf("read the events of namespace %s: %w", namespace, err))
			continue
		}
		all = append(all, slices.DeleteFunc(events.Items, func(e corev1.Event) bool { return !of.named(namespace, e.InvolvedObject.Name) })...)
	}
	slices.SortStableFunc(all, func(a, b corev1.Event) int { return when(a).Compare(when(b)) })
	var content bytes.Buffer
	for _, event := range all {
		fmt.Fprintf(&content, "%s %s %s %s/%s: %s: %s\n", when(event).UTC().Format(time.RFC3339), event.Type, event.InvolvedObject.Kind, event.Namespace, event.InvolvedObject.Name, event.Reason, event.Message)
	}
	return errors.Join(append(errs, s.write(filepath.Join(folder, "events.txt"), content.Bytes()))...)
}

// when is the last time of an event: older and newer components write it into different fields.
func when(event corev1.Event) time.Time {
	for _, at := range []time.Time{event.LastTimestamp.Time, event.EventTime.Time} {
		if !at.IsZero() {
			return at
		}
	}
	return event.CreationTimestamp.Time
}
