package terminal

import (
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

const (
	failed     = "FAILED"
	unfinished = "UNFINISHED"
)

// phase returns the line of a phase that finished, failed or was cut short.
func (p *Printer) phase(pattern string, phase v1.Phase) []string {
	l := p.layout(pattern)
	text := phase.Detail
	if phase.Error != "" {
		text = join("; ", text, failed+": "+phase.Error)
		p.state(pattern).phaseError = phase.Error
	}
	if phase.Unfinished {
		text = join("; ", text, unfinished)
	}
	lines := l.row(oneLine(phase.Name), text, seconds(phase.Seconds))
	// Painted last, because text is cleaned of everything that looks like a colour.
	if phase.Error != "" {
		l.paintFirst(lines, red, failed)
	}
	if phase.Unfinished {
		l.paintFirst(lines, yellow, unfinished)
	}
	return lines
}

// patternEnd returns what went wrong in a pattern outside its claims, unless one of its phases said so already.
func (p *Printer) patternEnd(e v1.Event) []string {
	l := p.layout(e.PatternName)
	s := p.state(e.PatternName)
	var lines []string
	if e.Error != "" && (s.phaseError == "" || !strings.Contains(e.Error, s.phaseError)) {
		lines = append(lines, l.row(l.paint(red, "ERROR"), e.Error, "")...)
	}
	if len(e.Leftovers) > 0 {
		lines = append(lines, l.row(l.paint(red, "LEFT BEHIND"), strings.Join(e.Leftovers, ", ")+` (remove with "meshproof clean")`, "")...)
	}
	if lines != nil {
		lines = append(p.headerLines(), lines...)
	}
	return lines
}
