package terminal

import (
	"fmt"
	"time"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Summary writes the end of a run: the claims that never had an event of their own, what went wrong with the run as a
// whole, and how much is proven. resultsPath is where to read more, as the reader would type it; empty when there is nothing.
func (p *Printer) Summary(r v1.Report, resultsPath string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run = r.Run
	p.cluster = p.cluster.Overlay(r.Cluster)
	lines := p.headerLines()
	for _, pattern := range r.Patterns {
		p.seed(v1.Event{Pattern: &pattern})
		s := p.state(pattern.Name)
		for _, c := range pattern.Claims {
			if !s.printed[c.ID] {
				lines = append(lines, p.prefixed(pattern.Name, p.claim(pattern.Name, c))...)
			}
		}
	}
	l := p.layout("")
	if p.options.MultiplePatterns {
		for _, pattern := range r.Patterns {
			lines = append(lines, p.prefixed(pattern.Name, p.layout(pattern.Name).flow("", l.countParts(pattern.Counts())))...)
		}
	}
	lines = append(lines, l.runEnd(r.Run)...)
	parts := append(l.countParts(v1.Summary(r)), seconds(r.Run.Seconds()))
	if resultsPath != "" {
		parts = append(parts, oneLine(resultsPath))
	}
	p.write(append(lines, l.flow("", parts)...))
}

// runEnd says how a run ended that did not simply finish.
func (l layout) runEnd(run v1.Run) []string {
	var lines []string
	if run.Error != "" {
		lines = l.row(l.paint(red, "ERROR"), run.Error, "")
	}
	switch {
	case run.Interrupted != "":
		lines = append(lines, l.row(l.paint(yellow, "INTERRUPTED"), "by "+run.Interrupted, "")...)
	case !run.Complete:
		lines = append(lines, l.row(l.paint(yellow, "INCOMPLETE"),
			"the run was killed or is still going on; its journal ends at "+run.LastEventAt.UTC().Format(time.RFC3339), "")...)
	}
	return lines
}

// countParts are the numbers of a summary; those that should be 0 and are not are coloured.
func (l layout) countParts(n v1.Counts) []string {
	proven := fmt.Sprintf("proven %d of %d", n.Passed, n.Selected)
	if n.Passed == n.Selected && n.Passed > 0 {
		proven = l.paint(green, proven)
	}
	count := func(n int, what, colour string) string {
		text := fmt.Sprintf("%d %s", n, what)
		if n > 0 {
			text = l.paint(colour, text)
		}
		return text
	}
	return []string{proven, count(n.Failed, "failed", red), count(n.Inconclusive, "inconclusive", yellow), count(n.Skipped, "skipped", dim)}
}
