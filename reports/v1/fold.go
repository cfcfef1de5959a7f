package v1

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Fold turns the events of one journal, in their order, into the report that they amount to. It is pure: the same events
// give the same report, and the events are not changed (the report shares their inner slices and maps).
//
// Every claim that was ever seeded is in the report. One without a verdict is Inconclusive, and its Reason says what kept
// it from being judged, as precisely as the journal allows. Events of an unknown type are ignored, so that an older
// program can read a newer journal. Of several claim-finished events of one claim the last wins; a pattern that is seeded
// a second time (a rerun) keeps the verdicts it has until new ones arrive.
func Fold(events []Event) Report {
	f := folding{byName: map[string]*foldedPattern{}}
	for _, e := range events {
		f.apply(e)
	}
	return f.report()
}

// folding is the state of a Fold between two events.
type folding struct {
	run      Run
	cluster  Cluster
	patterns []*foldedPattern
	byName   map[string]*foldedPattern
	// last is the latest time seen: the end of everything that never reported its own.
	last time.Time
}

// foldedPattern is a pattern whose claims still have their history; pattern.Claims is filled at the end only.
type foldedPattern struct {
	pattern  Pattern
	claims   []*foldedClaim
	finished bool
	// attempt is the index of the first phase after the latest seeding: earlier phases explain nothing about it.
	attempt int
}

// foldedClaim is a claim as it was seeded and as the latest event has it.
type foldedClaim struct {
	seed     Claim
	now      Claim
	running  bool
	finished bool
}

func (f *folding) apply(e Event) {
	if e.Time.After(f.last) {
		f.last = e.Time
	}
	switch e.Type {
	case RunStarted, ClusterIdentified, RunFinished:
		f.applyRun(e)
	case PatternSeeded:
		f.seed(e)
	case ParametersKnown:
		if p := f.patternOf(e); p != nil && e.Pattern != nil {
			p.pattern.Parameters = e.Pattern.Parameters
		}
	case PhaseStarted, PhaseFinished:
		f.applyPhase(e)
	case Converged:
		if p := f.patternOf(e); p != nil && e.Convergence != nil {
			p.pattern.Convergence = append(p.pattern.Convergence, *e.Convergence)
		}
	case ClaimStarted, ClaimFinished:
		f.applyClaim(e)
	case PatternFinished:
		f.finishPattern(e)
	}
}

func (f *folding) applyRun(e Event) {
	if e.Run != nil {
		f.run = overlayRun(f.run, *e.Run)
	}
	if e.Cluster != nil {
		f.cluster = f.cluster.Overlay(*e.Cluster)
	}
	switch e.Type {
	case RunStarted:
		f.run.StartedAt = firstTime(f.run.StartedAt, e.Time)
	case RunFinished:
		f.run.FinishedAt = firstTime(f.run.FinishedAt, e.Time)
		f.run.Error = cmp.Or(f.run.Error, e.Error)
		f.run.Complete = true
	}
}

func (f *folding) seed(e Event) {
	p := f.patternOf(e)
	if p == nil || e.Pattern == nil {
		return
	}
	held := p.pattern
	p.pattern = *e.Pattern
	p.pattern.Claims = nil
	p.pattern.Name = held.Name
	p.pattern.StartedAt = firstTime(held.StartedAt, e.Pattern.StartedAt, e.Time)
	p.pattern.Phases = slices.Concat(held.Phases, e.Pattern.Phases)
	p.pattern.Convergence = slices.Concat(held.Convergence, e.Pattern.Convergence)
	p.attempt = len(held.Phases)
	p.finished = false
	for _, c := range e.Pattern.Claims {
		claim, known := p.claim(c)
		if !known {
			claim.now = c
			claim.finished = c.Verdict != ""
		}
		claim.running = false
	}
}

func (f *folding) applyClaim(e Event) {
	p := f.patternOf(e)
	if p == nil || e.Claim == nil {
		return
	}
	c, _ := p.claim(*e.Claim)
	if e.Type == ClaimStarted {
		c.running = true
		if !c.finished {
			c.now.StartedAt = firstTime(e.Claim.StartedAt, e.Time)
		}
		return
	}
	started := c.now.StartedAt
	c.now = *e.Claim
	c.now.Alias = cmp.Or(c.now.Alias, c.seed.Alias)
	c.now.Text = cmp.Or(c.now.Text, c.seed.Text)
	c.now.StartedAt = firstTime(c.now.StartedAt, started)
	if len(c.now.Ends) == 0 {
		c.now.Ends = c.seed.Ends
	}
	c.running, c.finished = false, true
}

func (f *folding) finishPattern(e Event) {
	p := f.patternOf(e)
	if p == nil {
		return
	}
	p.finished = true
	p.pattern.FinishedAt = e.Time
	p.pattern.Error = e.Error
	p.pattern.Leftovers = e.Leftovers
}

// patternOf returns the pattern that e belongs to, creating it when the journal names it for the first time: a verdict
// must not be lost because its pattern was never seeded. It returns nil for an event that names no pattern.
func (f *folding) patternOf(e Event) *foldedPattern {
	name := e.PatternName
	if name == "" && e.Pattern != nil {
		name = e.Pattern.Name
	}
	if name == "" && e.Claim != nil {
		name, _, _ = strings.Cut(e.Claim.ID, "/")
	}
	if name == "" {
		return nil
	}
	if p, ok := f.byName[name]; ok {
		return p
	}
	p := &foldedPattern{pattern: Pattern{Name: name}}
	f.byName[name] = p
	f.patterns = append(f.patterns, p)
	return p
}

// claim returns the claim with c's ID and whether it was known; one that was not is seeded with c's unchanging fields.
func (p *foldedPattern) claim(c Claim) (_ *foldedClaim, known bool) {
	for _, have := range p.claims {
		if have.seed.ID == c.ID {
			return have, true
		}
	}
	seed := Claim{ID: c.ID, Alias: c.Alias, Text: c.Text, Ends: c.Ends}
	added := &foldedClaim{seed: seed, now: seed}
	p.claims = append(p.claims, added)
	return added, false
}

func (f *folding) report() Report {
	f.run.LastEventAt = f.last
	f.run.Phases = closePhases(f.run.Phases, firstTime(f.run.FinishedAt, f.last))
	r := Report{SchemaVersion: SchemaVersion, Run: f.run, Cluster: f.cluster, Patterns: []Pattern{}}
	for _, p := range f.patterns {
		end := firstTime(p.pattern.FinishedAt, f.last)
		p.pattern.Phases = closePhases(p.pattern.Phases, end)
		p.pattern.Claims = make([]Claim, 0, len(p.claims))
		for _, c := range p.claims {
			p.pattern.Claims = append(p.pattern.Claims, f.judged(p, c, end))
		}
		r.Patterns = append(r.Patterns, p.pattern)
	}
	return r
}
