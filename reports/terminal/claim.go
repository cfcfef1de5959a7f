package terminal

import (
	"cmp"
	"fmt"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

const (
	// blockIndent is where the explanation of a red claim starts.
	blockIndent = 10
	// maxProbes is how many contrary probes are shown: one explains, the rest is in the report.
	maxProbes = 1
)

// claim returns the line of a claim, and for a red one what explains it.
func (p *Printer) claim(pattern string, c v1.Claim) []string {
	s := p.state(pattern)
	c.Alias = cmp.Or(c.Alias, s.seeds[c.ID].Alias)
	c.Text = cmp.Or(c.Text, s.seeds[c.ID].Text)
	s.printed[c.ID] = true

	l := p.layout(pattern)
	text := measured(c)
	repeated := untouched(c) && c.Reason == s.reason
	s.reason = ""
	if untouched(c) {
		s.reason = c.Reason
	}
	if repeated {
		text = "(as above)"
	}
	lines := append(l.claimLine(s, c, text), l.block(shown(c))...)
	if c.Verdict == v1.Passed || c.Verdict == v1.Skipped || untouched(c) {
		return lines
	}
	return append(lines, l.block(p.explain(c, text))...)
}

// shown is what a check has shown beside its verdict: the ways round a hop, what limits came to, and what is open or weak.
func shown(c v1.Claim) []item {
	var items []item
	for _, way := range c.Ways {
		label, cause := "open", ""
		switch {
		case way.Redirected:
			label = "led back"
		case !way.Open:
			label, cause = "refused", " ("+way.Cause+")"
		}
		items = append(items, item{label, join("; ", way.Name+": "+way.From+" -> "+way.To+cause, way.Control)})
	}
	for _, ceiling := range c.Ceilings {
		items = append(items, item{"ceiling", ceiling.String()})
	}
	for _, finding := range c.Findings {
		items = append(items, item{"finding", finding})
	}
	return items
}

// measured is the text of a claim's line: what was found, or why nothing was.
func measured(c v1.Claim) string {
	if c.Verdict == v1.Skipped {
		return cmp.Or(c.Reason, c.Summary)
	}
	return cmp.Or(c.Summary, c.Reason)
}

// untouched is true for a claim that no check came to: its reason is all there is to say, and often that of its neighbours.
func untouched(c v1.Claim) bool {
	return c.Verdict != v1.Passed && c.Verdict != v1.Failed && c.Reason != "" && c.Remedy == "" && c.Cause == "" &&
		c.Probes == 0 && c.StartedAt.IsZero() && len(c.Judgements) == 0 && len(c.Evidence) == 0
}

func (l layout) claimLine(s *patternState, c v1.Claim, text string) []string {
	verdict, colour := word(c.Verdict)
	head := "  " + pad(l.paint(colour, verdict), len("INCON")) + "  "
	if name := pad(oneLine(c.Alias), s.aliasWidth); name != "" {
		head += name + " "
	}
	head += pad(oneLine(c.Slug()), s.slugWidth) + "  "
	tail := ""
	if c.TrueAfterSeconds != nil {
		tail = "true after " + seconds(*c.TrueAfterSeconds)
	}
	var lines []string
	if l.width > 0 && l.width-width(head) < l.width/2 && !l.fits(head, text, tail) {
		// Too little room beside the name: the text goes under it.
		lines, head = []string{head}, strings.Repeat(" ", blockIndent)
	}
	switch together := join(separator, text, tail); {
	case tail == "" || l.fits(head, text, tail):
		return append(lines, l.columns(head, text, tail)...)
	case l.width == 0 || width(head)+width(clean(together)) <= l.width:
		return append(lines, l.hang(head, together)...)
	}
	return append(lines, l.hang(head, join("\n", text, tail))...)
}

// item is one labelled line of an explanation.
type item struct{ label, text string }

// explain says why a claim is red, in the order of a reader's questions: what was claimed, what was seen, why, what to do, where to look.
func (p *Printer) explain(c v1.Claim, shown string) []item {
	items := append([]item{{"claim", c.Text}}, evidence(c)...)
	reason := c.Reason
	if reason == shown {
		reason = ""
	}
	label := "cause"
	if c.Cause == "" {
		label = "reason"
	}
	items = append(items, item{label, join(": ", c.Cause, reason)}, item{"remedy", c.Remedy})
	if c.Diagnosis != nil {
		items = append(items, item{"likely", c.Diagnosis.Text}, item{"to mend", c.Diagnosis.Remedy})
	}
	if c.Look != "" {
		items = append(items, item{"look", inFolder(p.options.Results, c.Look)})
	}
	return items
}

// evidence lists what each end recorded; without evidence, the judgements that did not pass.
func evidence(c v1.Claim) []item {
	var items []item
	for i, e := range c.Evidence {
		if i == maxProbes {
			return append(items, item{"more", fmt.Sprintf("evidence of %d more probes is in the report", len(c.Evidence)-maxProbes)})
		}
		if len(c.Evidence) > 1 {
			items = append(items, item{"probe", e.Probe})
		}
		for _, end := range e.Items {
			items = append(items, item{end.End, end.Text})
		}
	}
	if len(c.Evidence) > 0 {
		return items
	}
	for _, j := range c.Judgements {
		if j.Verdict != v1.Passed {
			items = append(items, item{"judged", join(": ", j.Statement, j.Detail)})
		}
	}
	return items
}

// block returns the items with their labels in one column; items without text are left out.
func (l layout) block(items []item) []string {
	const narrowest, widest = 8, 24
	labels := narrowest
	for _, i := range items {
		if i.text != "" {
			labels = max(labels, min(width(oneLine(i.label)), widest))
		}
	}
	var lines []string
	for _, i := range items {
		if i.text != "" {
			lines = append(lines, l.hang(strings.Repeat(" ", blockIndent)+pad(oneLine(i.label), labels)+"  ", i.text)...)
		}
	}
	return lines
}

func seconds(s float64) string { return fmt.Sprintf("%.1f s", s) }

// join is strings.Join without empty parts.
func join(by string, parts ...string) string {
	var some []string
	for _, part := range parts {
		if part != "" {
			some = append(some, part)
		}
	}
	return strings.Join(some, by)
}

func inFolder(folder, path string) string {
	if folder == "" {
		return path
	}
	return strings.TrimRight(folder, "/") + "/" + path
}
