package command

import (
	"fmt"
	"slices"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/run"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// rerun restricts options, and the names of patterns (none: all), to the claims that an earlier run has not proven: those that
// failed or are inconclusive, and with them those that were skipped. nothing says, in one line, that there are none.
func rerun(folder string, patterns []pattern.Pattern, names []string, options *run.Options) (selected []string, nothing string, err error) {
	if len(options.Claims) > 0 {
		return nil, "", usageError("--claim and --rerun-failed both choose the claims: give one of them, and --focus to narrow it")
	}
	if _, err := run.Select(patterns, names); err != nil {
		return nil, "", usageError("%w", err)
	}
	report, err := v1.Load(folder)
	if err != nil {
		return nil, "", usageError("--rerun-failed: %w", err)
	}
	all, red := 0, 0
	for _, p := range report.Patterns {
		if len(names) > 0 && !slices.Contains(names, p.Name) {
			continue
		}
		unproven := unprovenOf(p)
		n := p.Counts()
		all, red = all+n.Selected, red+n.Failed+n.Inconclusive
		if len(unproven) == 0 {
			continue
		}
		if p.Hardened != options.Hardened {
			return nil, "", usageError("--rerun-failed: %s was run %s: give the same --hardened", p.Name, variantOf(p.Hardened))
		}
		selected, options.Claims = append(selected, p.Name), append(options.Claims, unproven...)
	}
	switch {
	case all == 0:
		return nil, "", usageError("--rerun-failed: the run in %s had no claim of the selected patterns", folder)
	case red == 0:
		return nil, fmt.Sprintf("nothing to rerun: of %d claims in %s none failed, and none is inconclusive", all, folder), nil
	}
	return selected, "", nil
}

// unprovenOf are the IDs of the claims of a pattern that did not pass.
func unprovenOf(p v1.Pattern) []string {
	var ids []string
	for _, claim := range p.Claims {
		if claim.Verdict != v1.Passed {
			ids = append(ids, claim.ID)
		}
	}
	return ids
}

func variantOf(hardened bool) string {
	if hardened {
		return "in its hardened variant"
	}
	return "as its source has it"
}
