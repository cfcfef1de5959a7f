package run

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// configuration changes what is installed, for checks that need two states of it.
type configuration struct {
	install *installation
	// now is what is on the cluster.
	now []*unstructured.Unstructured
	// held is what the proxies held at last, and no change since was to alter, not even one that failed.
	held map[string]bool
	// left is what the proxies may hold: what was expected at last, and of changes that failed.
	left []mesh.Expectation
}

// ownManifests names, in errors, what a check gives.
const ownManifests = "the check's own manifests"

// Apply implements pattern.Configuration.
func (c *configuration) Apply(ctx context.Context, manifests string) error {
	objects, err := mesh.RenderText(ownManifests, manifests, c.install.child.job.Values)
	if err != nil {
		return err
	}
	if err := c.own(objects); err != nil {
		return err
	}
	target := slices.Clone(c.install.objects)
	for _, object := range objects {
		target = slices.DeleteFunc(target, func(o *unstructured.Unstructured) bool { return sameObject(o, object) })
	}
	return c.bring(ctx, append(target, objects...))
}

// Patch implements pattern.Configuration.
func (c *configuration) Patch(ctx context.Context, patches string) error {
	target, err := mesh.OverlayText(c.install.objects, ownManifests, patches, c.install.child.job.Values)
	if err != nil {
		return err
	}
	if err := c.own(target); err != nil {
		return err
	}
	return c.bring(ctx, target)
}

// Await implements pattern.Configuration.
func (c *configuration) Await(ctx context.Context, parameter, value string) error {
	child := c.install.child
	index := slices.IndexFunc(child.pattern.Parameters, func(p pattern.Parameter) bool { return p.Name == parameter && p.Observed != nil })
	if index < 0 {
		return fmt.Errorf("pattern %s has no observed parameter %q", child.pattern.Name, parameter)
	}
	from := child.pattern.Parameters[index].Observed
	source := slices.IndexFunc(c.now, func(o *unstructured.Unstructured) bool {
		return o.GetAPIVersion() == from.APIVersion && o.GetKind() == from.Kind && o.GetNamespace() == child.job.Values[from.Namespace] && o.GetName() == from.Name
	})
	if source < 0 {
		return fmt.Errorf("%s %s, which tells parameter %s, is not installed", from.Kind, from.Name, parameter)
	}
	_, err := observe(ctx, c.install.client, c.now[source], from.Paths, value, child.job.Options.Timeouts.Address, func(seen string) bool { return seen == value })
	return err
}

// own refuses what is outside the run's namespaces, and labels the rest as the run's.
func (c *configuration) own(objects []*unstructured.Unstructured) error {
	child := c.install.child
	if err := mesh.CheckNamespaces(objects, child.pattern.Namespaces(child.job.Values)); err != nil {
		return err
	}
	mesh.Mark(objects, child.job.RunID, child.pattern.Name, child.job.Revision)
	return nil
}

// Restore implements pattern.Configuration.
func (c *configuration) Restore(ctx context.Context) error {
	err := c.bring(ctx, c.install.objects)
	if err != nil && ctx.Err() == nil {
		c.install.child.env.Spoil("what was installed can be brought back", err)
	}
	return err
}

// bring makes target what is on the cluster, and waits until the proxies hold it, and no longer what it takes away.
func (c *configuration) bring(ctx context.Context, target []*unstructured.Unstructured) (err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			c.install.child.env.Trouble("the configuration can be changed", err)
		}
	}()
	started := time.Now()
	timeouts := c.install.child.job.Options.Timeouts
	if c.held == nil {
		c.left = c.expectations(c.now)
		c.held = textsOf(c.left)
	}
	wanted := c.expectations(target)
	vanished := mesh.Vanished(c.left, target, c.install.workloads(target))
	// Even what is applied in part has to be taken back.
	from := c.now
	c.now, c.left = mesh.Between(from, target), slices.Concat(c.left, wanted)
	c.held = textsOf(slices.DeleteFunc(slices.Clone(wanted), func(e mesh.Expectation) bool { return !c.held[textOf(e)] }))
	if err := mesh.Change(ctx, c.install.client, from, target, timeouts.Ready); err != nil {
		return fmt.Errorf("change what is installed: %w", err)
	}
	c.now = target
	if err := c.renew(ctx, from, target); err != nil {
		return fmt.Errorf("change what is installed: %w", err)
	}
	// What held before needs no waiting for; a mutant may not even be able to hold it.
	missing := slices.DeleteFunc(slices.Clone(wanted), func(e mesh.Expectation) bool { return c.held[textOf(e)] })
	for _, expectation := range vanished {
		missing = append(missing, mesh.Absent(expectation))
	}
	if err := c.settle(ctx, missing, started); err != nil {
		return err
	}
	c.left, c.held = wanted, textsOf(wanted)
	return nil
}

// settle waits until the proxies hold what is missing. A mutant may not be able to hold it: what then becomes of the probes
// shows it.
func (c *configuration) settle(ctx context.Context, missing []mesh.Expectation, since time.Time) error {
	child := c.install.child
	timeout := child.job.Options.Timeouts.Settle
	if child.job.Mutation != "" {
		timeout = child.job.Options.TimeoutScale.Of(mutantSettle)
	}
	err := mesh.Settle(ctx, child.env.Observer.Proxies(), missing, since, timeout, func(*mesh.Proxy, int, time.Duration) {})
	if err != nil && child.job.Mutation != "" && ctx.Err() == nil {
		child.emit(v1.Event{Type: v1.Note, Message: "the mutant does not settle: " + err.Error()})
		return nil
	}
	return err
}

// renew has the observer follow the pods that changed workloads have now, and forgets what the proxies before them held.
func (c *configuration) renew(ctx context.Context, from, target []*unstructured.Unstructured) error {
	changed := slices.Concat(mesh.Difference(from, target), mesh.Difference(target, from))
	if !slices.ContainsFunc(changed, mesh.MakesPods) {
		return nil
	}
	observer := c.install.child.env.Observer
	before := observer.Proxies()
	if err := observer.Renew(ctx, c.install.podless(target)...); err != nil {
		return err
	}
	if c.install.child.job.Mutation != "" {
		return nil // what a mutant's proxies cannot hold, those after them cannot either
	}
	for _, proxy := range observer.Proxies() {
		if slices.Contains(before, proxy) {
			continue
		}
		maps.DeleteFunc(c.held, func(text string, _ bool) bool { return strings.HasPrefix(text, proxy.Hop+" ") })
	}
	return nil
}

func (c *configuration) expectations(objects []*unstructured.Unstructured) []mesh.Expectation {
	return mesh.Expectations(objects, c.install.workloads(objects))
}

func textsOf(expectations []mesh.Expectation) map[string]bool {
	texts := map[string]bool{}
	for _, expectation := range expectations {
		texts[textOf(expectation)] = true
	}
	return texts
}

func textOf(e mesh.Expectation) string { return e.Hop + " " + e.Text }

// observe waits until one of the places of an object that may hold a value holds an accepted one, and returns it; what says
// which, for the error of a wait that runs out.
func observe(ctx context.Context, client *kube.Client, object *unstructured.Unstructured, paths [][]string, what string, timeout time.Duration, accept func(string) bool) (value string, err error) {
	resource, err := client.ResourceName(object.GroupVersionKind())
	if err != nil {
		return "", err
	}
	selection := kube.Selection{Resource: resource, Namespace: object.GetNamespace(), Name: object.GetName()}
	err = client.Wait(ctx, selection, fmt.Sprintf("to have %s as %s", what, placesOf(paths)), timeout, func(objects []*unstructured.Unstructured) (bool, string, error) {
		seen := ""
		for _, found := range objects {
			for _, path := range paths {
				text := mesh.FieldAt(found.Object, path)
				if text != "" && accept(text) {
					value = text
					return true, "", nil
				}
				seen = cmp.Or(seen, text)
			}
		}
		return false, "it has " + cmp.Or(seen, "none"), nil
	})
	return value, err
}

// placesOf names the fields that may hold a value.
func placesOf(paths [][]string) string {
	var places []string
	for _, path := range paths {
		places = append(places, strings.Join(path, "."))
	}
	return strings.Join(places, " or ")
}
