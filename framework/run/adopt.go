package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
)

// AdoptLabel, with the value true, is how whoever owns a namespace hands it over. The flag alone could be given for a namespace
// by mistake.
const AdoptLabel = "meshproof.dev/adopt"

// takeNames makes the job's namespaces the run's own, or adopts them, and holds them until release is called.
func takeNames(ctx context.Context, client *kube.Client, p pattern.Pattern, job Job) (release func(), detail string, err error) {
	if job.Options.Adopt {
		return adopt(ctx, client, p, job)
	}
	return claimNames(ctx, client, job.RunID, p.Name, p.Namespaces(job.Values), job.Options.Timeouts)
}

// removeAll removes what a job has made: its namespaces, or what it has made in those that it adopted. It returns what is left.
func removeAll(ctx context.Context, client *kube.Client, p pattern.Pattern, job Job) (left []string, err error) {
	namespaces := p.Namespaces(job.Values)
	if !job.Options.Adopt {
		return mesh.Remove(ctx, client, namespaces, job.Options.Timeouts.Gone)
	}
	kinds, err := kindsOf(p, job)
	if err != nil {
		return nil, err
	}
	return mesh.RemoveOwn(ctx, client, namespaces, kinds, job.Options.Timeouts.Gone)
}

// kindsOf are the kinds of a job's objects, each once.
func kindsOf(p pattern.Pattern, job Job) ([]schema.GroupVersionKind, error) {
	objects, err := Objects(p, job)
	if err != nil {
		return nil, err
	}
	var kinds []schema.GroupVersionKind
	for _, object := range objects {
		if kind := object.GroupVersionKind(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}

// adopt holds a Lease in each of the namespaces, which must be handed over and fit for the pattern, and removes what an earlier
// run left there. A namespace that is not handed over, objects of others that have the names of the pattern's, and a living run are
// ConflictErrors. release gives the Leases back and removes them.
func adopt(ctx context.Context, client *kube.Client, p pattern.Pattern, job Job) (release func(), detail string, err error) {
	if err := adoptable(ctx, client, p, job); err != nil {
		return nil, "", err
	}
	namespaces := p.Namespaces(job.Values)
	for _, name := range namespaces {
		if who, held, err := heldBy(ctx, client, name); err != nil {
			return nil, "", err
		} else if held {
			return nil, "", &ConflictError{fmt.Sprintf("run %s (process %d) is using namespace %s: wait for it, or adopt others with --set", who.Run, who.PID, name)}
		}
	}
	var releases []func()
	release = func() {
		for _, one := range releases {
			one()
		}
	}
	times := usualLease
	times.got = job.Options.Timeouts.Lease
	for _, name := range namespaces {
		stop, err := hold(ctx, client, job.RunID, name, times)
		if err != nil {
			release()
			return nil, "", err
		}
		releases = append(releases, func() { giveUp(ctx, client, name, stop) })
	}
	// Only now is nobody else using them.
	left, err := removeAll(ctx, client, p, job)
	if err == nil && len(left) > 0 {
		err = errors.New(strings.Join(left, ", "))
	}
	if err != nil {
		err = fmt.Errorf("remove what an earlier run left: %w", err)
	} else {
		err = strangers(ctx, client, p, job)
	}
	if err != nil {
		release()
		return nil, "", err
	}
	return release, "adopted " + strings.Join(namespaces, ", "), nil
}

// leaseGone is how long the removal of a Lease may take; one that stays is given up all the same.
const leaseGone = 5 * time.Second

// giveUp ends a Lease and removes it: it is the run's, and the namespace stays.
func giveUp(ctx context.Context, client *kube.Client, namespace string, stop func()) {
	stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseGone)
	defer cancel()
	_ = client.Typed.CoordinationV1().Leases(namespace).Delete(ctx, leaseName, metav1.DeleteOptions{})
}

// adoptable returns a ConflictError, with its remedy, when a namespace is not there, not handed over, or lacks a label that the
// pattern's pods need.
func adoptable(ctx context.Context, client *kube.Client, p pattern.Pattern, job Job) error {
	wanted := map[string]map[string]string{}
	objects, err := rendered(p, job)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if isNamespace(object) {
			wanted[object.GetName()] = object.GetLabels()
		}
	}
	for _, name := range p.Namespaces(job.Values) {
		namespace, err := client.Typed.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return &ConflictError{fmt.Sprintf("namespace %s is not there, and could not be adopted: make it, or run without --adopt", name)}
		case err != nil:
			return fmt.Errorf("look at namespace %s: %w", name, err)
		case namespace.Labels[mesh.ManagedByLabel] == kube.FieldManager:
			return &ConflictError{fmt.Sprintf("namespace %s was made by a run, which may remove it: run without --adopt", name)}
		case namespace.Labels[AdoptLabel] != "true":
			return &ConflictError{fmt.Sprintf("namespace %s is not handed over: its owner does that with `kubectl label namespace %s %s=true`", name, name, AdoptLabel)}
		}
		if missing := missingLabels(wanted[name], namespace.Labels); missing != "" {
			return &ConflictError{fmt.Sprintf("namespace %s lacks labels that the pattern needs, for its pods to join the mesh: `kubectl label --overwrite namespace %s %s`", name, name, missing)}
		}
	}
	return nil
}

// missingLabels are those of wanted that a namespace has not, but for the marks of a run; as kubectl takes them.
func missingLabels(wanted, has map[string]string) string {
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		own := key == mesh.RunLabel || key == mesh.PatternLabel || key == mesh.ManagedByLabel
		if !own && has[key] != wanted[key] {
			missing = append(missing, key+"="+wanted[key])
		}
	}
	// It would win over a revision.
	if _, conflicts := has["istio-injection"]; conflicts && wanted["istio.io/rev"] != "" {
		missing = append(missing, "istio-injection-")
	}
	return strings.Join(missing, " ")
}

// strangers returns a ConflictError that names an object of somebody else where the run would apply one of its own.
func strangers(ctx context.Context, client *kube.Client, p pattern.Pattern, job Job) error {
	objects, err := Objects(p, job)
	if err != nil {
		return err
	}
	for _, object := range objects {
		there, err := get(ctx, client, object)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look whether %s is there: %w", kube.Describe(object), err)
		}
		if there.GetLabels()[mesh.ManagedByLabel] != kube.FieldManager {
			return &ConflictError{fmt.Sprintf("%s is there and is not meshproof's: it would be overwritten; adopt another namespace, or rename it", kube.Describe(object))}
		}
	}
	return nil
}

func get(ctx context.Context, client *kube.Client, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	resource, err := client.Resource(object)
	if err != nil {
		return nil, err
	}
	return resource.Get(ctx, object.GetName(), metav1.GetOptions{})
}
