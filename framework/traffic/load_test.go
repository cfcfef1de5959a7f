package traffic

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// slow is a vantage point whose every probe takes a while; it counts how many are under way.
type slow struct {
	takes     time.Duration
	fails     error
	mu        sync.Mutex
	now, most int
	seen      map[string]bool
}

func (s *slow) Name() string { return "slow" }

func (s *slow) Do(ctx context.Context, probe Probe) (Result, error) {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[probe.ID] = true
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.now--; s.mu.Unlock() }()
	started := time.Now()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
	}
	return Result{Probe: probe, Status: 200, StartedAt: started, Duration: time.Since(started)}, s.fails
}

func TestSendLoad(t *testing.T) {
	request := Request{URL: "http://x/product/" + NumberPlaceholder}
	for name, test := range map[string]struct {
		load          Load
		sent, atOnce  int
		atLeast, most time.Duration
	}{
		"users, one request each":    {Load{Users: 5, Count: 5}, 5, 5, 50 * time.Millisecond, time.Second},
		"users, one after another":   {Load{Users: 2, Count: 6}, 6, 2, 150 * time.Millisecond, time.Second},
		"fewer requests than users":  {Load{Users: 9, Count: 3}, 3, 3, 50 * time.Millisecond, time.Second},
		"a rate, whatever they take": {Load{Rate: 100, Count: 10}, 10, 10, 90 * time.Millisecond, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			test.load.Request = request
			client := &slow{takes: 50 * time.Millisecond}
			started := time.Now()
			results, err := SendLoad(t.Context(), client, "TC1", test.load)
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != test.sent || len(client.seen) != test.sent || client.most > test.atOnce {
				t.Errorf("%d results of %d probes, %d at once; want %d, and %d at most", len(results), len(client.seen), client.most, test.sent, test.atOnce)
			}
			if took := time.Since(started); took < test.atLeast || took > test.most {
				t.Errorf("took %s, want %s to %s", took, test.atLeast, test.most)
			}
		})
	}
}

func TestALoadEndsWithItsTime(t *testing.T) {
	results, err := SendLoad(t.Context(), &slow{takes: 20 * time.Millisecond}, "TC1", Load{Users: 1, Count: 1000, For: 50 * time.Millisecond})
	if err != nil || len(results) < 1 || len(results) > 3 {
		t.Errorf("%d results, %v", len(results), err)
	}
}

func TestALoadThatCannotBeSent(t *testing.T) {
	for name, test := range map[string]struct {
		load   Load
		client *slow
		want   string
	}{
		"neither users nor rate": {Load{Count: 1}, &slow{}, "needs users, or a rate"},
		"users and rate":         {Load{Users: 1, Rate: 1, Count: 1}, &slow{}, "not both"},
		"too many at once":       {Load{Users: 501, Count: 501}, &slow{}, "more than 500"},
		"unbounded":              {Load{Users: 1}, &slow{}, "want 1 to 5000"},
		"too many":               {Load{Users: 1, Count: 5001}, &slow{}, "want 1 to 5000"},
		"no end in time":         {Load{Users: 1, Count: 1, Limit: 20 * time.Millisecond}, &slow{takes: time.Minute}, "did not end within 20ms"},
		"no vantage point":       {Load{Users: 1, Count: 3}, &slow{fails: errors.New("the agent is gone")}, "send a load from slow: the agent is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := SendLoad(t.Context(), test.client, "TC1", test.load); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestProbesHaveNumbers(t *testing.T) {
	seen := map[uint64]bool{}
	for range 3 {
		for _, probe := range NewProbes(Request{URL: "http://x/product/" + NumberPlaceholder + "/vote"}, "TC1", 100) {
			target, err := probe.Target()
			if err != nil || !probe.Numbered() {
				t.Fatal(err, probe.Numbered())
			}
			number, _, _ := strings.Cut(strings.TrimPrefix(target, "http://x/product/"), "/")
			if len(number) != 19 || seen[probe.Number] || int64(probe.Number) < 0 {
				t.Fatalf("number %s of %s", number, target)
			}
			seen[probe.Number] = true
		}
	}
	if NewProbes(Request{URL: "http://x/product/7"}, "TC1", 1)[0].Numbered() {
		t.Error("a probe without a place for its number is numbered")
	}
}
