package terminal

import v1 "github.com/meshproof/meshproof/reports/v1"

// Report writes a whole run that is over, as its lines would have come while it ran with its patterns one after the
// other, and ends with Summary.
func (p *Printer) Report(r v1.Report, resultsPath string) {
	for _, e := range replay(r) {
		p.Event(e)
	}
	p.Summary(r, resultsPath)
}

// replay returns the events that have lines. A claim that no check came to is among them: there is no more to wait for.
func replay(r v1.Report) []v1.Event {
	events := []v1.Event{{Type: v1.RunStarted, Run: &r.Run, Cluster: &r.Cluster}}
	for _, phase := range r.Run.Phases {
		events = append(events, v1.Event{Type: v1.PhaseFinished, Phase: &phase})
	}
	for _, pattern := range r.Patterns {
		add := func(e v1.Event) {
			e.PatternName = pattern.Name
			events = append(events, e)
		}
		phases := func(cleanUp bool) {
			for _, phase := range pattern.Phases {
				if (phase.Name == v1.PhaseCleanUp) == cleanUp {
					add(v1.Event{Type: v1.PhaseFinished, Phase: &phase})
				}
			}
		}
		add(v1.Event{Type: v1.PatternSeeded, Pattern: &pattern})
		phases(false)
		for _, c := range pattern.Claims {
			add(v1.Event{Type: v1.ClaimFinished, Claim: &c})
		}
		phases(true)
		add(v1.Event{Type: v1.PatternFinished, Error: pattern.Error, Leftovers: pattern.Leftovers})
	}
	return events
}
