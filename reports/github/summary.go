package github

import (
	"cmp"
	"fmt"
	"html"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// MaxSummary is how many bytes GitHub shows of one step's job summary. Of a longer one it shows nothing at all.
const MaxSummary = 1 << 20

// Summary is the job summary of report in Markdown, in at most limit bytes: how much is proven, every red claim with its
// evidence, and then all claims. What is left out for want of room is counted in its last line; where there is no room even for
// that, it is empty. results is the results folder as the reader would type it.
func Summary(report v1.Report, results string, limit int) string {
	if limit < maxEnd {
		return ""
	}
	n := v1.Summary(report)
	b := &bounded{limit: limit - maxEnd}
	b.add(fmt.Sprintf("## meshproof: proven %d of %d · %d failed · %d inconclusive · %d skipped\n\n", n.Passed, n.Selected, n.Failed, n.Inconclusive, n.Skipped))
	b.add(markdown(identity(report)) + "\n\n")
	if problem := runProblem(report); problem != "" {
		b.add("**The run:** " + markdown(problem) + "\n\n")
	}
	patternsTable(b, report)
	for _, p := range report.Patterns {
		for _, c := range p.Claims {
			if red(c) {
				b.add(details(p, c, results))
			}
		}
	}
	claimsTable(b, report)
	return b.String() + b.end(results)
}

// maxEnd is the room that is kept for what was left out.
const maxEnd = 512

// bounded takes parts as long as there is room for them, whole or not at all.
type bounded struct {
	strings.Builder
	limit, left int
}

// add tells whether the part was taken. Behind one that was not, none is, or a table would go on without its head.
func (b *bounded) add(part string) bool {
	if b.left > 0 || b.Len()+len(part) > b.limit {
		b.left++
		return false
	}
	b.WriteString(part)
	return true
}

func (b *bounded) end(results string) string {
	if b.left == 0 {
		return ""
	}
	return shortened(fmt.Sprintf("\n\n%d more parts are left out, because GitHub shows no longer summary: see %s/report.json\n", b.left, markdown(results)), maxEnd/4)
}

// identity says what ran where.
func identity(report v1.Report) string {
	run, cluster := report.Run, report.Cluster
	var parts []string
	for _, part := range []struct{ label, text string }{
		{"meshproof", run.Version}, {"run", run.ID}, {cluster.Provider, cluster.Name}, {"context", cluster.Context}, {"", cluster.APIServer},
		{"Kubernetes", cluster.Kubernetes}, {cluster.Mesh.Flavour, cluster.Mesh.Version}, {"revision", cluster.Mesh.Revision}, {"proxy", cluster.Mesh.Proxy}, {"cluster", cluster.UID},
	} {
		if part.text != "" {
			parts = append(parts, strings.TrimSpace(part.label+" "+part.text))
		}
	}
	return strings.Join(parts, " · ")
}

func patternsTable(b *bounded, report v1.Report) {
	b.add("| pattern | proven | failed | inconclusive | skipped | |\n|---|---|---|---|---|---|\n")
	for _, p := range report.Patterns {
		n := p.Counts()
		trouble := p.Error
		if len(p.Leftovers) > 0 {
			trouble = strings.TrimPrefix(trouble+"; left behind: "+strings.Join(p.Leftovers, ", "), "; ")
		}
		b.add(fmt.Sprintf("| %s | %d of %d | %d | %d | %d | %s |\n", markdown(p.Name), n.Passed, n.Selected, n.Failed, n.Inconclusive, n.Skipped, markdown(shortened(trouble, maxCell))))
	}
	b.add("\n")
}

// details is a red claim with all that explains it, folded until it is asked for.
func details(p v1.Pattern, c v1.Claim, results string) string {
	var text strings.Builder
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&text, "%-14s  %s\n", label, strings.Join(strings.Fields(value), " "))
		}
	}
	line("claim", c.Text)
	line("measured", c.Summary)
	for _, e := range c.Evidence {
		line("probe", e.Probe)
		for _, item := range e.Items {
			line("  "+item.End, item.Text)
		}
	}
	for _, j := range c.Judgements {
		if j.Verdict != v1.Passed {
			line("judged", strings.TrimSuffix(j.Statement+": "+j.Detail, ": "))
		}
	}
	line("cause", c.Cause)
	line("reason", c.Reason)
	line("remedy", c.Remedy)
	if c.Diagnosis != nil {
		line("likely", c.Diagnosis.Text)
		line("to mend", c.Diagnosis.Remedy)
	}
	line("look", inFolder(results, c.Look))
	line("check", c.Source)
	head := fmt.Sprintf("<b>%s</b> %s %s %s", word(c.Verdict), html.EscapeString(p.Name), html.EscapeString(strings.TrimSpace(c.Alias+" "+c.Slug())),
		html.EscapeString(shortened(oneLine(cmp.Or(c.Summary, c.Reason)), maxCell)))
	return "<details><summary>" + head + "</summary>\n\n<pre>\n" + html.EscapeString(text.String()) + "</pre>\n\n</details>\n\n"
}

func claimsTable(b *bounded, report v1.Report) {
	if b.add("<details><summary>all claims</summary>\n\n| | claim | | measured |\n|---|---|---|---|\n") {
		defer b.WriteString("\n</details>\n") // in the room of the end, which would be folded away with the table
	}
	for _, p := range report.Patterns {
		for _, c := range p.Claims {
			measured := cmp.Or(c.Summary, c.Reason)
			if c.Verdict == v1.Skipped {
				measured = cmp.Or(c.Reason, c.Summary)
			}
			for _, finding := range c.Findings {
				measured += "; finding: " + finding
			}
			b.add(fmt.Sprintf("| %s | %s %s | %s | %s |\n", word(c.Verdict), markdown(p.Name), markdown(c.Alias), markdown(c.Text), markdown(shortened(measured, maxCell))))
		}
	}
}

// word is a verdict as the terminal has it.
func word(v v1.Verdict) string {
	switch v {
	case v1.Passed:
		return "pass"
	case v1.Failed:
		return "FAIL"
	case v1.Skipped:
		return "skip"
	}
	return "INCON"
}
