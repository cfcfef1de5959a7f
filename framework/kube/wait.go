package kube

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// Selection is the set of objects that a wait looks at.
type Selection struct {
	Resource  schema.GroupVersionResource
	Namespace string
	// Name, when set, restricts the set to one object; Labels is a label selector.
	Name, Labels string
}

func (s Selection) String() string {
	what := s.Resource.Resource
	if s.Name != "" {
		what += "/" + s.Name
	}
	if s.Labels != "" {
		what += " with " + s.Labels
	}
	if s.Namespace != "" {
		what += " in " + s.Namespace
	}
	return what
}

// Condition looks at all objects of a selection and says whether the wait is over; state describes, in a few words, what
// was seen, for the error of a wait that runs out.
type Condition func(objects []*unstructured.Unstructured) (done bool, state string, err error)

// Wait watches the selection until the condition holds, ctx ends, or the timeout runs out. what names the condition in
// the error, for example "to be ready".
func (c *Client) Wait(ctx context.Context, selection Selection, what string, timeout time.Duration, condition Condition) error {
	started := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("timed out"))
	defer cancel()
	var resource dynamic.ResourceInterface = c.Dynamic.Resource(selection.Resource)
	if selection.Namespace != "" {
		resource = c.Dynamic.Resource(selection.Resource).Namespace(selection.Namespace)
	}
	options := func(o metav1.ListOptions) metav1.ListOptions {
		o.LabelSelector = selection.Labels
		if selection.Name != "" {
			o.FieldSelector = "metadata.name=" + selection.Name
		}
		return o
	}
	// The informer only logs the errors of its requests, and tries again.
	var failure atomic.Pointer[error]
	note := func(err error) error {
		if err == nil {
			failure.Store(nil)
		} else if ctx.Err() == nil {
			failure.Store(&err)
		}
		return err
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := resource.List(ctx, options(o))
			return list, note(err)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			watcher, err := resource.Watch(ctx, options(o))
			return watcher, note(err)
		},
	}
	state := "nothing was seen"
	objects := map[string]*unstructured.Unstructured{}
	judge := func() (bool, error) {
		list := make([]*unstructured.Unstructured, 0, len(objects))
		for _, object := range objects {
			list = append(list, object)
		}
		done, seen, err := condition(list)
		state = seen
		return done, err
	}
	// The informer behind UntilWithSync lists first and re-establishes a broken watch, so an API server that restarts in
	// between does not end the wait.
	_, err := watchtools.UntilWithSync(ctx, source, &unstructured.Unstructured{}, func(store cache.Store) (bool, error) {
		for _, item := range store.List() {
			object := item.(*unstructured.Unstructured)
			objects[object.GetNamespace()+"/"+object.GetName()] = object
		}
		return judge()
	}, func(event watch.Event) (bool, error) {
		object, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			return false, nil
		}
		key := object.GetNamespace() + "/" + object.GetName()
		if event.Type == watch.Deleted {
			delete(objects, key)
		} else {
			objects[key] = object
		}
		return judge()
	})
	if err == nil {
		return nil
	}
	if cause := failure.Load(); cause != nil && ctx.Err() != nil {
		return fmt.Errorf("waited %s for %s %s (%w); last seen: %s; the last request failed: %w", time.Since(started).Round(100*time.Millisecond), selection, what, context.Cause(ctx), state, *cause)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("waited %s for %s %s (%w); last seen: %s", time.Since(started).Round(100*time.Millisecond), selection, what, context.Cause(ctx), state)
	}
	return fmt.Errorf("wait for %s %s: %w", selection, what, err)
}
