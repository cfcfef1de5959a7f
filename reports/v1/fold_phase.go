package v1

import "time"

// applyPhase adds a phase to its pattern, or to the run when the event names no pattern.
func (f *folding) applyPhase(e Event) {
	if e.Phase == nil {
		return
	}
	phases := &f.run.Phases
	if p := f.patternOf(e); p != nil {
		phases = &p.pattern.Phases
	}
	if e.Type == PhaseStarted {
		started := *e.Phase
		started.StartedAt = firstTime(started.StartedAt, e.Time)
		started.Unfinished = true
		*phases = append(*phases, started)
		return
	}
	*phases = finishPhase(*phases, *e.Phase, e.Time)
}

// finishPhase replaces the phase that the latest phase-started of the same name opened, or appends one that was never announced.
func finishPhase(phases []Phase, done Phase, at time.Time) []Phase {
	done.Unfinished = false
	for i := len(phases) - 1; i >= 0; i-- {
		open := phases[i]
		if open.Name != done.Name || !open.Unfinished {
			continue
		}
		done.StartedAt = firstTime(done.StartedAt, open.StartedAt)
		if done.Seconds == 0 {
			done.Seconds = secondsBetween(done.StartedAt, at)
		}
		phases[i] = done
		return phases
	}
	if done.StartedAt.IsZero() {
		done.StartedAt = at.Add(-time.Duration(done.Seconds * float64(time.Second)))
	}
	return append(phases, done)
}

// closePhases gives every phase that never finished the time up to end, which is the end of what it belongs to: with
// several patterns in one journal, a pattern that died early must not look as if its install took until the last one was done.
func closePhases(phases []Phase, end time.Time) []Phase {
	for i := range phases {
		if phases[i].Unfinished {
			phases[i].Seconds = secondsBetween(phases[i].StartedAt, end)
		}
	}
	return phases
}
