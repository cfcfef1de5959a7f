package github

import (
	"cmp"
	"fmt"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// annotationsOf are those of all that is red in a report, in its order.
func annotationsOf(report v1.Report, results string) []annotation {
	var all []annotation
	for _, p := range report.Patterns {
		all = append(all, claimAnnotations(p, results)...)
		if p.Error != "" && !carried(p, p.Error) {
			all = append(all, annotation{level: failure, title: p.Name, message: p.Error})
		}
		if len(p.Leftovers) > 0 {
			all = append(all, annotation{level: failure, title: p.Name + " left something behind", message: strings.Join(p.Leftovers, "\n")})
		}
	}
	if problem := runProblem(report); problem != "" {
		all = append(all, annotation{level: failure, title: "meshproof run", message: problem})
	}
	return all
}

// claimAnnotations has one for each red claim, and a common one for neighbours that no check came to for the same reason.
func claimAnnotations(p v1.Pattern, results string) []annotation {
	var all []annotation
	var aliases []string // of the common one that is last in all
	reason := ""
	for _, c := range p.Claims {
		if !red(c) {
			continue
		}
		if !untouched(c) {
			all, aliases = append(all, annotationOf(c, results)), nil
			continue
		}
		if len(aliases) > 0 && c.Reason == reason {
			aliases = append(aliases, c.Alias)
			all[len(all)-1].title = p.Name + ": " + strings.Join(aliases, ", ") + " inconclusive"
			continue
		}
		aliases, reason = []string{c.Alias}, c.Reason
		all = append(all, annotation{level: doubt, title: p.Name + ": " + c.Alias + " inconclusive", message: c.Reason})
	}
	return all
}

func annotationOf(c v1.Claim, results string) annotation {
	a := annotation{level: doubt, title: fmt.Sprintf("%s %s inconclusive", c.Alias, c.Slug()), source: c.Source}
	if c.Verdict == v1.Failed {
		a.level, a.title = failure, fmt.Sprintf("%s %s failed", c.Alias, c.Slug())
	}
	lines := []string{cmp.Or(c.Summary, c.Reason)}
	for _, line := range []struct{ label, text string }{
		{"claim", c.Text}, {"cause", causeOf(c)}, {"remedy", c.Remedy}, {"look", inFolder(results, c.Look)},
	} {
		if line.text != "" {
			lines = append(lines, line.label+": "+line.text)
		}
	}
	a.message = strings.Join(lines, "\n")
	return a
}

// causeOf is the cause with the reason, unless the reason is all that was told before.
func causeOf(c v1.Claim) string {
	switch {
	case c.Summary == "" || c.Reason == "":
		return c.Cause
	case c.Cause == "":
		return c.Reason
	}
	return c.Cause + ": " + c.Reason
}

// red tells whether a claim is neither proven nor skipped.
func red(c v1.Claim) bool { return c.Verdict != v1.Passed && c.Verdict != v1.Skipped }

// untouched is true for a claim that no check came to: its reason is all there is to say, and often that of its neighbours.
func untouched(c v1.Claim) bool {
	return c.Verdict != v1.Failed && c.StartedAt.IsZero() && c.Probes == 0 && c.Cause == "" && len(c.Judgements) == 0 && len(c.Evidence) == 0
}

// carried is true when a red claim shows the error already.
func carried(p v1.Pattern, problem string) bool {
	for _, c := range p.Claims {
		if red(c) && strings.Contains(c.Reason, problem) {
			return true
		}
	}
	return false
}

// runProblem says what went wrong with the run as a whole, unless a claim shows it; empty when nothing did.
func runProblem(report v1.Report) string {
	run := report.Run
	switch {
	case run.Error != "":
		for _, p := range report.Patterns {
			if carried(p, run.Error) || p.Error != "" && strings.Contains(run.Error, p.Error) {
				return ""
			}
		}
		return run.Error
	case run.Interrupted != "":
		return "the run was interrupted (" + run.Interrupted + ")"
	case !run.Complete:
		return "the run ended (killed) before it was complete"
	}
	return ""
}

func inFolder(folder, path string) string {
	if folder == "" || path == "" {
		return path
	}
	return strings.TrimRight(folder, "/") + "/" + path
}
