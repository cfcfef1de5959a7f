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

	"github.com/meshproof/meshproof/framework/kube"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// The most that is kept of one container's log.
const (
	mostLines = 500
	mostBytes = 256 << 10
)

// writeObjects writes the objects as the cluster has them now; one that is not there any more is a line that says so.
func (s Scene) writeObjects(ctx context.Context, folder string) error {
	var content bytes.Buffer
	var errs []error
	for _, object := range s.Objects {
		live, err := s.get(ctx, object)
		switch {
		case apierrors.IsNotFound(err):
			fmt.Fprintf(&content, "---\n# %s is not there\n", kube.Describe(object))
			continue
		case err != nil:
			errs = append(errs, fmt.Errorf("read %s: %w", kube.Describe(object), err))
			continue
		}
		data, err := yaml.Marshal(bare(live).Object)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(&content, "---\n%s", data)
	}
	return errors.Join(append(errs, s.write(filepath.Join(folder, "objects.yaml"), content.Bytes()))...)
}

func (s Scene) get(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	resource, err := s.Client.Resource(object)
	if err != nil {
		return nil, err
	}
	return resource.Get(ctx, object.GetName(), metav1.GetOptions{})
}

// bare is the object without what only the API server reads, and a Secret without its values.
func bare(object *unstructured.Unstructured) *unstructured.Unstructured {
	object = object.DeepCopy()
	object.SetManagedFields(nil)
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

// writeLogs writes what every container of the namespaces' pods has logged since the check began.
func (s Scene) writeLogs(ctx context.Context, folder string) error {
	var errs []error
	for _, namespace := range s.Namespaces {
		pods, err := s.Client.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			errs = append(errs, fmt.Errorf("list the pods of namespace %s: %w", namespace, err))
			continue
		}
		for _, pod := range pods.Items {
			for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				errs = append(errs, s.writeLog(ctx, folder, pod, container.Name))
			}
		}
	}
	return errors.Join(errs...)
}

func (s Scene) writeLog(ctx context.Context, folder string, pod corev1.Pod, container string) error {
	since := metav1.NewTime(s.Since)
	log, err := s.Client.Typed.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, SinceTime: &since, TailLines: new(int64(mostLines)), LimitBytes: new(int64(mostBytes)), Timestamps: true,
	}).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("read the log of %s in pod %s/%s: %w", container, pod.Namespace, pod.Name, err)
	}
	if len(log) == 0 {
		return nil
	}
	return s.write(filepath.Join(folder, "logs", pod.Name+"-"+container+".log"), log)
}

// writeEvents writes the events of the namespaces, the oldest first.
func (s Scene) writeEvents(ctx context.Context, folder string) error {
	var errs []error
	var all []corev1.Event
	for _, namespace := range s.Namespaces {
		events, err := s.Client.Typed.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			errs = append(errs, fmt.Errorf("read the events of namespace %s: %w", namespace, err))
			continue
		}
		all = append(all, events.Items...)
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
