package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// order is what a parent tells a child that runs, as a line of JSON on its standard input.
type order struct {
	// Stop says why no further check is to begin.
	Stop string `json:"stop,omitempty"`
	// Alone says that no other pattern installs or judges.
	Alone bool `json:"alone,omitempty"`
}

// unproven tells whether a claim that has its verdict is the last that a run which is to fail fast judges.
func unproven(claim v1.Claim) bool {
	return claim.Verdict == v1.Failed || claim.Verdict == v1.Inconclusive
}

// notBegun says why claims after this one are skipped.
func notBegun(claim v1.Claim) string {
	verdict := "failed"
	if claim.Verdict != v1.Failed {
		verdict = "is inconclusive"
	}
	return fmt.Sprintf("not begun, because of --fail-fast: %s %s", cmp.Or(claim.Alias, claim.ID), verdict)
}

// failFast stops the run when the event leaves a claim unproven: one that was judged, or, when a pattern has ended in an error,
// one that was not.
func (r *Runner) failFast(event v1.Event) {
	switch {
	case event.Type == v1.ClaimFinished && event.Claim != nil && unproven(*event.Claim):
		r.stop(notBegun(*event.Claim))
	case event.Type == v1.PatternFinished && event.Error != "":
		r.mu.Lock()
		report := v1.Fold(r.events)
		r.mu.Unlock()
		for _, p := range report.Patterns {
			for _, claim := range p.Claims {
				if p.Name == event.PatternName && unproven(claim) {
					r.stop(notBegun(claim))
					return
				}
			}
		}
	}
}

// stop has no further check begin, in the children that run and in those that are started later.
func (r *Runner) stop(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped != "" {
		return
	}
	r.stopped = why
	for input := range r.inputs {
		give(input, order{Stop: why})
	}
}

// tell gives an order.
func (r *Runner) tell(input io.Writer, o order) {
	r.mu.Lock()
	defer r.mu.Unlock()
	give(input, o)
}

// instruct has a child told what comes, and what has come already, until it is called again.
func (r *Runner) instruct(input io.Writer, running bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !running {
		delete(r.inputs, input)
		return
	}
	r.inputs[input] = true
	if r.stopped != "" {
		give(input, order{Stop: r.stopped})
	}
}

// give writes an order. A child that cannot take it has ended.
func give(input io.Writer, o order) { _ = json.NewEncoder(input).Encode(o) }

// leaveOut skips the claims of a pattern that was not begun when the run was stopped, and tells whether it did.
func (r *Runner) leaveOut(job Job) bool {
	r.mu.Lock()
	why := r.stopped
	r.mu.Unlock()
	if why == "" {
		return false
	}
	p := r.plan.byName[job.Pattern]
	for _, alias := range job.Claims {
		if claim, found := p.Claim(alias); found {
			r.emit(v1.Event{Type: v1.ClaimFinished, PatternName: p.Name, Claim: &v1.Claim{
				ID: p.ID(claim), Alias: claim.Alias, Text: claim.Text, Ends: claim.Ends, Verdict: v1.Skipped, Reason: why,
			}})
		}
	}
	r.emit(v1.Event{Type: v1.PatternFinished, PatternName: p.Name})
	return true
}

// obey carries out the parent's orders, until it has none any more because it has ended.
func (c *child) obey(orders *json.Decoder) {
	for {
		var given order
		if err := orders.Decode(&given); err != nil {
			return
		}
		if given.Stop != "" {
			c.halting.wish(given.Stop)
		}
		if given.Alone {
			close(c.alone)
		}
	}
}

// errHalted is the cause of a context that ended because no check may begin after what it is for.
var errHalted = errors.New("no further check is begun")

// halting is the wish that no further check begins; its zero value is that there is none.
type halting struct {
	mu   sync.Mutex
	why  string
	ends []context.CancelCauseFunc
}

// wish ends what is bound by the wish; why counts when it is the first.
func (h *halting) wish(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why != "" {
		return
	}
	h.why = why
	for _, end := range h.ends {
		end(errHalted)
	}
}

// reason is why no check is to begin; empty as long as some may.
func (h *halting) reason() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.why
}

// bound returns a context that also ends with the wish.
func (h *halting) bound(ctx context.Context) (bound context.Context, release func()) {
	bound, end := context.WithCancelCause(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why != "" {
		end(errHalted)
	}
	h.ends = append(h.ends, end)
	return bound, func() { end(nil) }
}
