package pattern

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/meshproof/meshproof/framework/traffic"
)

// timelinePeriod is the time between the starts of two probes of a timeline.
const timelinePeriod = 100 * time.Millisecond

// Timeline is what became of probes that were sent all the while something changed. It is measured, not judged.
type Timeline struct {
	cancel  context.CancelFunc
	done    chan struct{}
	results []traffic.Result
	problem error
}

// Follow sends the request again and again, from the named agent or from the run's vantage point, until Stop.
func (e *Env) Follow(ctx context.Context, request traffic.Request, from string) *Timeline {
	ginkgo.GinkgoHelper()
	m := e.measurement(ctx, from)
	ctx, cancel := context.WithCancel(ctx)
	t := &Timeline{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		ticker := time.NewTicker(timelinePeriod)
		defer ticker.Stop()
		for {
			result, err := m.client.Do(ctx, traffic.NewProbes(request, "timeline", 1)[0])
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				t.problem = err
				return
			}
			t.results = append(t.results, result)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return t
}

// Stop ends the timeline. The error is of the vantage point.
func (t *Timeline) Stop() error {
	t.cancel()
	<-t.done
	return t.problem
}

// Gap is the longest time from the end of a probe that was served to the start of the next one that was, if any failed
// in between; zero when none failed. It may be called after Stop.
func (t *Timeline) Gap() time.Duration {
	var longest time.Duration
	var last time.Time
	failed := false
	for _, result := range t.results {
		if !result.Served() {
			failed = true
			continue
		}
		if failed && !last.IsZero() {
			longest = max(longest, result.StartedAt.Sub(last))
		}
		last, failed = result.StartedAt.Add(result.Duration), false
	}
	return longest
}

// ServedAfter is the time from a moment until the start of the first probe after it that was served; false when none was.
func (t *Timeline) ServedAfter(moment time.Time) (time.Duration, bool) {
	for _, result := range t.results {
		if result.Served() && result.StartedAt.After(moment) {
			return result.StartedAt.Sub(moment), true
		}
	}
	return 0, false
}

// Failed is how many of all probes were not served.
func (t *Timeline) Failed() (failed, all int) {
	for _, result := range t.results {
		if !result.Served() {
			failed++
		}
	}
	return failed, len(t.results)
}
