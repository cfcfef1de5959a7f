package v1

import (
	"slices"
	"strings"
)

// Counts are numbers of claims. Selected is the sum of the other four.
type Counts struct {
	Selected, Passed, Failed, Inconclusive, Skipped int
}

// Summary counts the claims of the whole report.
func Summary(r Report) Counts {
	var sum Counts
	for _, p := range r.Patterns {
		c := p.Counts()
		sum.Selected += c.Selected
		sum.Passed += c.Passed
		sum.Failed += c.Failed
		sum.Inconclusive += c.Inconclusive
		sum.Skipped += c.Skipped
	}
	return sum
}

// Counts counts the claims of one pattern. A claim whose verdict is none of the four is inconclusive, never uncounted.
func (p Pattern) Counts() Counts {
	n := Counts{Selected: len(p.Claims)}
	for _, c := range p.Claims {
		switch c.Verdict {
		case Passed:
			n.Passed++
		case Failed:
			n.Failed++
		case Skipped:
			n.Skipped++
		default:
			n.Inconclusive++
		}
	}
	return n
}

// The exit codes of meshproof. ExitUsage is here for completeness: wrong usage leaves no report.
const (
	ExitPassed       = 0
	ExitFailed       = 1
	ExitUsage        = 2
	ExitInconclusive = 3
	ExitEnvironment  = 4
	ExitInterrupted  = 130
)

// RequireAll is the word in ExitCode's required list that stands for every claim of the report.
const RequireAll = "all"

// ExitCode returns what a process that produced the report exits with. required holds IDs or aliases of claims, in any
// case, or RequireAll. The first line that applies wins:
//
//	130  the run was interrupted: it says nothing about what it did not get to, not even about a failure it saw
//	1    a claim failed
//	4    the run as a whole stopped with an error
//	3    a claim is inconclusive, a required one is skipped or absent, none passed at all, or the journal has no end
//	4    every claim is decided, but a pattern ended with an error or left objects behind
//	0    none of these: at least one claim passed, and every other one was skipped without being required
func ExitCode(r Report, required []string) int {
	n := Summary(r)
	switch {
	case r.Run.Interrupted != "":
		return ExitInterrupted
	case n.Failed > 0:
		return ExitFailed
	case r.Run.Error != "":
		return ExitEnvironment
	case n.Inconclusive > 0, n.Passed == 0, !r.Run.Complete, !requiredJudged(r, required):
		return ExitInconclusive
	case slices.ContainsFunc(r.Patterns, Pattern.troubled):
		return ExitEnvironment
	}
	return ExitPassed
}

func (p Pattern) troubled() bool { return p.Error != "" || len(p.Leftovers) > 0 }

// requiredJudged is false when a required claim is skipped, or is not in the report at all: both mean that it is not proven.
func requiredJudged(r Report, required []string) bool {
	for _, want := range required {
		found := false
		for _, p := range r.Patterns {
			for _, c := range p.Claims {
				if !strings.EqualFold(want, RequireAll) && !strings.EqualFold(want, c.ID) && !strings.EqualFold(want, c.Alias) {
					continue
				}
				found = true
				if c.Verdict == Skipped {
					return false
				}
			}
		}
		if !found {
			return false
		}
	}
	return true
}
