package mesh

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
)

// settlePeriod is how often a proxy is asked: its administration has no watch.
const settlePeriod = 150 * time.Millisecond

// Settle asks every proxy for its configuration until all expectations of its workload hold, and reports each proxy that
// has got there. Its error names, per proxy, what is still missing when the time is up.
func Settle(ctx context.Context, proxies []*Proxy, expectations []Expectation, since time.Time, timeout time.Duration, converged func(proxy *Proxy, count int, after time.Duration)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("timed out after %s", timeout))
	defer cancel()
	var lock sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, proxy := range proxies {
		var own []Expectation
		for _, expectation := range expectations {
			if expectation.Hop == proxy.Hop {
				own = append(own, expectation)
			}
		}
		group.Go(func() error {
			if err := settleProxy(groupCtx, proxy, own); err != nil {
				return err
			}
			lock.Lock()
			defer lock.Unlock()
			converged(proxy, len(own), time.Since(since))
			return nil
		})
	}
	return group.Wait()
}

func settleProxy(ctx context.Context, proxy *Proxy, expectations []Expectation) error {
	ticker := time.NewTicker(settlePeriod)
	defer ticker.Stop()
	var missing []string // at the last look that was not broken off
	for {
		seen, err := look(ctx, proxy, expectations)
		if err == nil && len(seen) == 0 {
			return nil
		}
		if err == nil {
			missing = seen
		} else if ctx.Err() != nil && len(missing) > 0 {
			err = nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("proxy %s could not be asked for its configuration (%w): %w", proxy, context.Cause(ctx), err)
			}
			return fmt.Errorf("proxy %s does not hold the configuration (%w): %s", proxy, context.Cause(ctx), strings.Join(missing, "; "))
		case <-ticker.C:
		}
	}
}

// look takes a snapshot and returns the expectations that do not hold.
func look(ctx context.Context, proxy *Proxy, expectations []Expectation) ([]string, error) {
	snapshot, err := TakeSnapshot(ctx, proxy)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, expectation := range expectations {
		if holds, state := expectation.Holds(snapshot); !holds {
			missing = append(missing, expectation.Text+" ("+state+")")
		}
	}
	return missing, nil
}

// TakeSnapshot reads the configuration of a proxy.
func TakeSnapshot(ctx context.Context, proxy *Proxy) (Snapshot, error) {
	var snapshot Snapshot
	listeners, dump, err := proxy.Listeners(ctx)
	if err != nil {
		return snapshot, err
	}
	snapshot.Listeners = listeners
	sinks, err := accesslog.Discover(dump)
	if err != nil {
		return snapshot, fmt.Errorf("read the access logs of proxy %s: %w", proxy, err)
	}
	snapshot.Sinks = len(StandardOutput(sinks))
	if snapshot.Routes, err = proxy.Routes(ctx); err != nil {
		return snapshot, err
	}
	if snapshot.Clusters, err = proxy.Clusters(ctx); err != nil {
		return snapshot, err
	}
	if snapshot.Secrets, err = proxy.Secrets(ctx); err != nil {
		return snapshot, err
	}
	snapshot.Endpoints, err = proxy.Endpoints(ctx)
	return snapshot, err
}

// StandardOutput chooses the logs of requests and connections that go to the proxy's standard output or error, where the
// Kubernetes log API reads them. What a listener logs of connections that no chain takes is another matter.
func StandardOutput(sinks []accesslog.Sink) []accesslog.Sink {
	var chosen []accesslog.Sink
	for _, sink := range sinks {
		if sink.Readable && sink.Kind != accesslog.Listener && IsStandardOutput(sink.Path) {
			chosen = append(chosen, sink)
		}
	}
	return chosen
}

// IsStandardOutput tells whether an access log at this path goes where the Kubernetes log API reads it.
func IsStandardOutput(path string) bool { return path == "/dev/stdout" || path == "/dev/stderr" }
