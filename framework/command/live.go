package command

import (
	"fmt"
	"time"

	"github.com/meshproof/meshproof/reports/terminal"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// liveSink prints a run's events, and on a terminal shows below them what is going on: the phase of each pattern, or the
// claim that is being judged.
type liveSink struct {
	printer  *terminal.Printer
	progress *progress
	steps    map[string]*progressStep
	// claims are how many each pattern has, begun how many of them were judged or are.
	claims, begun map[string]int
}

func newLiveSink(printer *terminal.Printer, progress *progress) *liveSink {
	return &liveSink{printer: printer, progress: progress, steps: map[string]*progressStep{}, claims: map[string]int{}, begun: map[string]int{}}
}

// Event implements run.Sink; the runner calls it for one event at a time.
func (s *liveSink) Event(event v1.Event) {
	s.progress.around(func() {
		s.printer.Event(event)
		key := event.PatternName
		switch event.Type {
		case v1.PatternSeeded:
			s.claims[key] = len(event.Pattern.Claims)
		case v1.PhaseStarted:
			s.begin(key, event.PatternName+" "+event.Phase.Name)
		case v1.ClaimStarted:
			s.begun[key]++
			s.begin(key, fmt.Sprintf("%s judging %s (%d of %d)", event.PatternName, event.Claim.Alias, s.begun[key], s.claims[key]))
		case v1.PhaseFinished, v1.ClaimFinished, v1.PatternFinished:
			s.end(key)
		}
	})
}

// begin shows a step in place of the pattern's earlier one; the progress is locked.
func (s *liveSink) begin(key, name string) {
	s.end(key)
	if !s.progress.live {
		return
	}
	step := &progressStep{parent: s.progress, name: name, started: time.Now()}
	s.steps[key] = step
	s.progress.active = append(s.progress.active, step)
}

func (s *liveSink) end(key string) {
	if step, found := s.steps[key]; found {
		s.progress.drop(step)
		delete(s.steps, key)
	}
}
