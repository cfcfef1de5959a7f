package compare

import (
	"path/filepath"
	"slices"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

func compareClaim(id string, a, b []part) Claim {
	claim := Claim{ID: id, A: resultOf(id, a), B: resultOf(id, b)}
	for _, p := range slices.Concat(a, b) {
		for _, c := range p.pattern.Claims {
			if c.ID == id {
				claim.Alias = c.Alias
			}
		}
	}
	claim.Class = classOf(claim.A, claim.B)
	if claim.Class == Unchanged && claim.A.proven() {
		claim.Times = compareTimes(claimsOf(id, a), claimsOf(id, b))
		claim.Class = classOfTimes(claim.Times)
	}
	return claim
}

// claimsOf returns what each run has found about a claim; those that skipped it are left out.
func claimsOf(id string, parts []part) []v1.Claim {
	var found []v1.Claim
	for _, p := range parts {
		for _, claim := range p.pattern.Claims {
			if claim.ID == id && claim.Verdict != v1.Skipped {
				found = append(found, claim)
			}
		}
	}
	return found
}

// worst is the order in which verdicts of several runs count.
var worst = []v1.Verdict{v1.Failed, v1.Inconclusive, v1.Passed, v1.Skipped}

// resultOf is what the runs of a side found; nil when none has the claim.
func resultOf(id string, parts []part) *Result {
	var result *Result
	for _, p := range parts {
		for _, claim := range p.pattern.Claims {
			if claim.ID != id {
				continue
			}
			if result == nil {
				result = &Result{Verdict: v1.Skipped, Reason: claim.Reason}
			}
			if claim.Verdict != v1.Skipped {
				result.Runs++
			}
			if claim.Verdict == v1.Passed {
				result.Proven++
			}
			if slices.Index(worst, claim.Verdict) < slices.Index(worst, result.Verdict) {
				result.Verdict, result.Cause, result.Reason, result.Look = claim.Verdict, claim.Cause, claim.Reason, ""
				if claim.Look != "" {
					result.Look = filepath.Join(p.folder, claim.Look)
				}
			}
		}
	}
	return result
}

// judged tells whether a run has judged the claim.
func (r *Result) judged() bool { return r != nil && r.Verdict != v1.Skipped }

// proven tells whether it passed in every run that judged it.
func (r *Result) proven() bool { return r.judged() && r.Verdict == v1.Passed }

func classOf(a, b *Result) Class {
	switch {
	case !a.judged() && !b.judged():
		return Unchanged
	case !a.judged():
		return New
	case !b.judged():
		return Gone
	case a.proven() && !b.proven():
		return Broken
	case !a.proven() && b.proven():
		return Fixed
	}
	return Unchanged
}
