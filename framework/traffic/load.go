package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Load is a request that is sent many times at once, bounded in count and in time. Every one is a probe of its own.
type Load struct {
	Request Request
	// Users, when set, send one request after another each, as many at once as there are users (a closed loop). Rate, when
	// set, is how many requests begin in a second, whatever is still under way (an open loop). One of both is set.
	Users int
	Rate  float64
	// Count is how many requests are sent in all, and the most of them where For ends the load first.
	Count int
	// For, when set, is for how long requests begin.
	For time.Duration
	// Limit is how long the load may take as a whole; zero means DefaultLoadLimit.
	Limit time.Duration
}

const (
	// DefaultLoadLimit bounds a load that names no limit.
	DefaultLoadLimit = time.Minute
	// mostAtOnce and mostInAll bound what a load may ask for.
	mostAtOnce = 500
	mostInAll  = 5000
)

// check returns what is wrong with the load.
func (l Load) check() error {
	switch {
	case (l.Users > 0) == (l.Rate > 0):
		return fmt.Errorf("a load needs users, or a rate, and not both")
	case l.Users > mostAtOnce || l.Rate > mostAtOnce:
		return fmt.Errorf("a load of more than %d requests at once, or in a second", mostAtOnce)
	case l.Count < 1 || l.Count > mostInAll:
		return fmt.Errorf("a load of %d requests: want 1 to %d", l.Count, mostInAll)
	}
	return nil
}

// SendLoad sends the load and returns the results in the order of their starts. The error is of the load, of the vantage
// point, or of a load that did not end in time; whatever was refused is a Result.
func SendLoad(ctx context.Context, client Client, label string, load Load) ([]Result, error) {
	if err := load.check(); err != nil {
		return nil, err
	}
	limit := load.Limit
	if limit == 0 {
		limit = DefaultLoadLimit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the load did not end within %s", limit))
	defer cancel()
	s := &sender{ctx: ctx, client: client, probes: NewProbes(load.Request, label, load.Count)}
	if load.For > 0 {
		s.end = time.Now().Add(load.For)
	}
	workers, pacer := uint64(load.Users), vegeta.ConstantPacer{}
	if load.Rate > 0 {
		workers, pacer = uint64(load.Count), vegeta.ConstantPacer{Freq: int(load.Rate * 1000), Per: 1000 * time.Second}
	}
	attacker := vegeta.NewAttacker(vegeta.Client(&http.Client{Transport: s}), vegeta.Workers(min(workers, uint64(load.Count))), vegeta.MaxWorkers(workers))
	stop := context.AfterFunc(ctx, func() { attacker.Stop() })
	defer stop()
	for range attacker.Attack(s.next, pacer, load.For, "") {
		// The results are those of the probes.
		if s.broken() {
			attacker.Stop()
		}
	}
	if err := errors.Join(s.problem, context.Cause(ctx)); err != nil {
		return nil, fmt.Errorf("send a load from %s: %w", client.Name(), err)
	}
	slices.SortStableFunc(s.results, func(a, b Result) int { return a.StartedAt.Compare(b.StartedAt) })
	return s.results, nil
}

// sender carries the probes of a load out for the library that paces it.
type sender struct {
	ctx    context.Context
	client Client
	probes []Probe
	// end is when no request begins any more, unless it is zero. The library looks at its own only before it waits for a user.
	end time.Time

	mu      sync.Mutex
	taken   int
	results []Result
	problem error
}

// indexHeader tells the sender which probe a request of the library stands for; it is never sent.
const indexHeader = "X-Meshproof-Index"

// next is the library's source of requests: one for each probe.
func (s *sender) next(target *vegeta.Target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == len(s.probes) || s.ctx.Err() != nil || !s.end.IsZero() && time.Now().After(s.end) {
		return vegeta.ErrNoTargets
	}
	target.Method, target.URL = http.MethodGet, "http://probe.invalid/"
	target.Header = http.Header{indexHeader: {strconv.Itoa(s.taken)}}
	s.taken++
	return nil
}

// RoundTrip implements http.RoundTripper, for the library's own client: it sends the probe from the vantage point.
func (s *sender) RoundTrip(request *http.Request) (*http.Response, error) {
	index, err := strconv.Atoi(request.Header.Get(indexHeader))
	if err != nil {
		return nil, err
	}
	result, err := s.client.Do(s.ctx, s.probes[index])
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.ctx.Err() != nil {
		err = context.Cause(s.ctx) // what it cut off says nothing about the path
	}
	if err != nil {
		if s.problem == nil {
			s.problem = err
		}
		return nil, err
	}
	s.results = append(s.results, result)
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: request}, nil
}

// broken tells whether the vantage point has failed.
func (s *sender) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem != nil
}
