// Package terminal renders a run as lines for people, while it runs and afterwards.
//
// Lines are plain: nothing moves the cursor, so that a terminal, a file and a CI log show the same.
package terminal

import (
	"io"
	"strings"
	"sync"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Options says how to render; the zero value is one pattern, without colour, in lines of any length.
type Options struct {
	// Colour adds ANSI colours. No meaning depends on them.
	Colour bool
	// Width is the number of columns to wrap at; 0 does not wrap. A word that is longer than a line is kept whole, so that
	// it can be copied.
	Width int
	// MultiplePatterns starts each line of a pattern with the pattern's name.
	MultiplePatterns bool
	// Results is the results folder as the reader would type it, for the folders of failed checks; empty shows them as the report has them.
	Results string
}

// Printer writes what is worth seeing of each event. It is safe for concurrent use: the lines of one event stay together.
type Printer struct {
	mu      sync.Mutex
	w       io.Writer
	options Options
	err     error

	run      v1.Run
	cluster  v1.Cluster
	header   bool   // the header line is out
	identity string // the cluster's identity as it was last printed

	patterns  map[string]*patternState
	nameWidth int // of the longest pattern name so far
}

// patternState is what the printer remembers of one pattern.
type patternState struct {
	seeds      map[string]v1.Claim
	printed    map[string]bool
	aliasWidth int
	slugWidth  int
	phaseError string // of the latest phase that failed, which the pattern's own error tends to repeat
	reason     string // of the claim printed last, when it was not judged
}

// New returns a Printer that writes to w.
func New(w io.Writer, options Options) *Printer {
	return &Printer{w: w, options: options, patterns: map[string]*patternState{}}
}

// Err returns the first error of the writer; after it nothing more is written.
func (p *Printer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Event writes the lines of one event; most events have none, because progress is told by what has finished.
func (p *Printer) Event(e v1.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.lines(e))
}

func (p *Printer) lines(e v1.Event) []string {
	switch e.Type {
	case v1.RunStarted, v1.ClusterIdentified:
		return p.identify(e)
	case v1.PatternSeeded:
		p.seed(e)
	case v1.PhaseFinished:
		if e.Phase != nil {
			return append(p.headerLines(), p.prefixed(e.PatternName, p.phase(e.PatternName, *e.Phase))...)
		}
	case v1.ClaimFinished:
		if e.Claim != nil {
			return append(p.headerLines(), p.prefixed(e.PatternName, p.claim(e.PatternName, *e.Claim))...)
		}
	case v1.PatternFinished:
		return p.prefixed(e.PatternName, p.patternEnd(e))
	case v1.Note:
		return append(p.headerLines(), p.prefixed(e.PatternName, p.layout(e.PatternName).row("note", e.Message, ""))...)
	}
	return nil
}

// seed remembers what a pattern's claims are called, so that their lines align before the first has finished.
func (p *Printer) seed(e v1.Event) {
	if e.Pattern == nil {
		return
	}
	name := e.PatternName
	if name == "" {
		name = e.Pattern.Name
	}
	s := p.state(name)
	for _, c := range e.Pattern.Claims {
		s.seeds[c.ID] = c
		s.aliasWidth = max(s.aliasWidth, width(oneLine(c.Alias)))
		s.slugWidth = max(s.slugWidth, min(width(oneLine(c.Slug())), maxSlug))
	}
}

func (p *Printer) state(pattern string) *patternState {
	s, ok := p.patterns[pattern]
	if !ok {
		s = &patternState{seeds: map[string]v1.Claim{}, printed: map[string]bool{}}
		p.patterns[pattern] = s
		p.nameWidth = max(p.nameWidth, width(oneLine(pattern)))
	}
	return s
}

// layout is the room that the lines of a pattern have: all of it for the run's own.
func (p *Printer) layout(pattern string) layout {
	l := layout{width: p.options.Width, colour: p.options.Colour}
	if p.options.MultiplePatterns && pattern != "" && l.width > 0 {
		p.state(pattern)
		l.width -= p.nameWidth + 2
	}
	return l.sensible()
}

func (p *Printer) prefixed(pattern string, lines []string) []string {
	if !p.options.MultiplePatterns || pattern == "" {
		return lines
	}
	p.state(pattern)
	for i, line := range lines {
		lines[i] = pad(oneLine(pattern), p.nameWidth) + "  " + line
	}
	return lines
}

func (p *Printer) write(lines []string) {
	if len(lines) == 0 || p.err != nil {
		return
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, p.err = io.WriteString(p.w, b.String())
}
