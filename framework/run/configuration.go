package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
)

// configuration changes what is installed, for checks that need two states of it.
type configuration struct {
	install *installation
	// now is what is on the cluster.
	now []*unstructured.Unstructured
	// held is what the proxies held at last, and no change since was to alter, not even one that failed.
	held map[string]bool
}

// Apply implements pattern.Configuration.
func (c *configuration) Apply(ctx context.Context, manifests string) error {
	child := c.install.child
	objects, err := mesh.RenderText("the check's own manifests", manifests, child.job.Values)
	if err != nil {
		return err
	}
	if err := mesh.CheckNamespaces(objects, child.pattern.Namespaces(child.job.Values)); err != nil {
		return err
	}
	mesh.Mark(objects, child.job.RunID, child.pattern.Name, child.job.Revision)
	target := slices.Clone(c.install.objects)
	for _, object := range objects {
		target = slices.DeleteFunc(target, func(o *unstructured.Unstructured) bool { return sameObject(o, object) })
	}
	return c.bring(ctx, append(target, objects...))
}

// Restore implements pattern.Configuration.
func (c *configuration) Restore(ctx context.Context) error {
	return c.bring(ctx, c.install.objects)
}

// bring makes target what is on the cluster, and waits until the proxies hold it.
func (c *configuration) bring(ctx context.Context, target []*unstructured.Unstructured) error {
	started := time.Now()
	timeouts := c.install.child.job.Options.Timeouts
	if c.held == nil {
		c.held = map[string]bool{}
		for _, expectation := range c.expectations(c.now) {
			c.held[textOf(expectation)] = true
		}
	}
	// What held before needs no waiting for; a mutant may not even be able to hold it.
	held, missing := map[string]bool{}, []mesh.Expectation{}
	for _, expectation := range c.expectations(target) {
		if c.held[textOf(expectation)] {
			held[textOf(expectation)] = true
		} else {
			missing = append(missing, expectation)
		}
	}
	// Even what is applied in part has to be taken back.
	from := c.now
	c.now, c.held = mesh.Between(from, target), held
	if err := mesh.Change(ctx, c.install.client, from, target, timeouts.Ready); err != nil {
		return fmt.Errorf("change what is installed: %w", err)
	}
	c.now = target
	err := mesh.Settle(ctx, c.install.child.env.Observer.Proxies(), missing, started, timeouts.Settle, func(*mesh.Proxy, int, time.Duration) {})
	if err == nil {
		for _, expectation := range missing {
			held[textOf(expectation)] = true
		}
	}
	return err
}

func (c *configuration) expectations(objects []*unstructured.Unstructured) []mesh.Expectation {
	return mesh.Expectations(objects, c.install.workloads())
}

func textOf(e mesh.Expectation) string { return e.Hop + " " + e.Text }

// observe waits until the cluster has told the value of a field of an object, and returns it.
func observe(ctx context.Context, client *kube.Client, object *unstructured.Unstructured, paths [][]string, timeout time.Duration) (string, error) {
	resource, err := client.ResourceName(object.GroupVersionKind())
	if err != nil {
		return "", err
	}
	value := ""
	condition := func(objects []*unstructured.Unstructured) (bool, string, error) {
		value = ""
		for _, seen := range objects {
			for _, path := range paths {
				value = cmp.Or(value, mesh.FieldAt(seen.Object, path))
			}
		}
		return value != "", "it has none", nil
	}
	selection := kube.Selection{Resource: resource, Namespace: object.GetNamespace(), Name: object.GetName()}
	err = client.Wait(ctx, selection, "to have "+placesOf(paths), timeout, condition)
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
