package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"time"

	routev1 "github.com/openshift/api/route/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	// gatherTime lets what is created together, a Route and its endpoints, become one configuration.
	gatherTime = 15 * time.Millisecond
	// retryTime is the wait after a failure.
	retryTime = time.Second
)

// controller keeps HAProxy, and the status of Routes, as the API server's Routes and EndpointSlices say. It judges all of
// them anew after each change: they are few, and nothing of an earlier judgement can be left over.
type controller struct {
	settings      settings
	canonicalHost string
	cluster       cluster
	haproxy       *haproxy

	// served are the files that HAProxy serves.
	served map[string]string
}

// run returns nil when ctx ends, and otherwise why the router cannot go on.
func (c *controller) run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	routes, slices, err := c.cluster.watch(ctx, func() {
		select {
		case changed <- struct{}{}:
		default: // it is noted already
		}
	})
	if err != nil {
		return err
	}
	defer c.haproxy.stop()
	retry := time.NewTimer(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case ended := <-c.haproxy.ended:
			if err := c.haproxy.failure(ended); err != nil {
				return err
			}
			continue
		case <-changed:
			select {
			case <-time.After(gatherTime):
			case <-ctx.Done():
				return nil
			}
		case <-retry.C:
		}
		err := c.sync(ctx, list[routev1.Route](routes), list[discoveryv1.EndpointSlice](slices))
		if err != nil && ctx.Err() == nil {
			log.Printf("tried again in %s: %v", retryTime, err)
			retry.Reset(retryTime)
		}
	}
}

// sync makes HAProxy serve what is admitted, and then says so in the status: a Route that is admitted is served.
func (c *controller) sync(ctx context.Context, routes []*routev1.Route, slices []*discoveryv1.EndpointSlice) error {
	verdicts := admit(routes, c.settings.serviceCA != "")
	var admitted []*routev1.Route
	for _, v := range verdicts {
		if v.admitted() {
			admitted = append(admitted, v.route)
		}
	}
	files, err := render(c.settings, admitted, newEndpoints(slices))
	if err != nil {
		return fmt.Errorf("make HAProxy's configuration: %w", err)
	}
	if !maps.Equal(files, c.served) {
		started := time.Now()
		if err := c.haproxy.apply(ctx, files); err != nil {
			return fmt.Errorf("serve %d of %d routes: %w", len(admitted), len(routes), err)
		}
		c.served = files
		log.Printf("serving %d of %d routes after %s", len(admitted), len(routes), time.Since(started).Round(time.Millisecond))
	}
	var failures error
	for _, v := range verdicts {
		route, changed := v.withStatus(c.canonicalHost, metav1.Now())
		if !changed {
			continue
		}
		err := c.cluster.updateStatus(ctx, route)
		// A Route that has changed or gone is judged again by the event of that.
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			failures = errors.Join(failures, fmt.Errorf("write the status of route %s/%s: %w", route.Namespace, route.Name, err))
		}
	}
	return failures
}

// list returns what an informer has.
func list[T any](store cache.Store) []*T {
	var all []*T
	for _, item := range store.List() {
		all = append(all, item.(*T))
	}
	return all
}
