package prove

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Score is what became of a mutant.
type Score string

const (
	// Killed: the intended check went red for the intended cause, and nobody else without being named.
	Killed Score = "killed"
	// KilledByAnother: a check went red, but not the intended one, or not for the intended cause.
	KilledByAnother Score = "killed by another"
	// Survived: a check stayed green that must go red.
	Survived Score = "survived"
	// Green: every check stayed green, as it must for an equivalent mutant.
	Green Score = "equivalent"
	// FalseAlarm: a check went red that the mutant does not concern, or for another cause than is named.
	FalseAlarm Score = "false alarm"
	// NoEffect: no proxy showed any effect, so nothing can be said.
	NoEffect Score = "no effect"
	// Skipped: the cluster does not have what the mutant needs, or the intended check is not judged.
	Skipped Score = "skipped"
	// Misdiagnosed: the right check went red for the right cause, and another rule than the mutant names explains it.
	Misdiagnosed Score = "misdiagnosed"
	// Broken: the mutant could not be judged.
	Broken Score = "not judged"
)

// Good tells whether the score is what it should be.
func (s Score) Good() bool { return s == Killed || s == Green || s == Skipped }

// Result is what became of one mutant.
type Result struct {
	Mutant string `json:"mutant"`
	Says   string `json:"says"`
	Score  Score  `json:"score"`
	// Intended is the check that must go red, with its cause; empty for an equivalent mutant.
	Intended string `json:"intended,omitempty"`
	// Red are the checks that went red, with their causes.
	Red map[string]string `json:"red,omitempty"`
	// Diagnosis is the rule by which the likely cause of the intended check was named, Likely what it says.
	Diagnosis string `json:"diagnosis,omitempty"`
	Likely    string `json:"likely,omitempty"`
	// Detail explains a score that is not good.
	Detail string `json:"detail,omitempty"`
	// Effect is what changed on which proxy.
	Effect  string  `json:"effect,omitempty"`
	Seconds float64 `json:"seconds"`
}

// score judges a mutant by the verdicts that its checks came to.
func score(m Mutant, judged v1.Pattern) Result {
	result := Result{Mutant: m.Name, Says: m.Says, Red: map[string]string{}}
	if !m.Equivalent {
		result.Intended = m.Killed.By + " " + string(m.Killed.Cause)
	}
	if judged.Error != "" {
		result.Score, result.Detail = Broken, judged.Error
		return result
	}
	wanted, unjudged := m.wanted(), ""
	if !m.Equivalent {
		unjudged = m.Killed.By + " is not judged"
	}
	var unexpected, spared []string
	for _, claim := range judged.Claims {
		switch {
		case claim.Alias != m.Killed.By:
		case claim.Verdict == v1.Skipped:
			unjudged += ": " + claim.Reason
		default:
			unjudged = ""
		}
		if claim.Alias == m.Killed.By && claim.Diagnosis != nil {
			result.Diagnosis, result.Likely = claim.Diagnosis.Rule, claim.Diagnosis.Text
		}
		red := claim.Verdict == v1.Failed || claim.Verdict == v1.Inconclusive
		if red {
			result.Red[claim.Alias] = claim.Cause
		}
		cause, named := wanted[claim.Alias]
		switch {
		case red && (!named || string(cause) != claim.Cause):
			unexpected = append(unexpected, fmt.Sprintf("%s is %s (%s): %s", claim.Alias, claim.Verdict, claim.Cause, claim.Summary))
		case !red && named && claim.Verdict != v1.Skipped:
			spared = append(spared, claim.Alias+" stays green")
		}
	}
	_, killed := result.Red[m.Killed.By]
	killed = killed && result.Red[m.Killed.By] == string(m.Killed.Cause)
	switch {
	case m.Equivalent && len(result.Red) == 0:
		result.Score = Green
	case m.Equivalent:
		result.Score = FalseAlarm
	case unjudged != "" && len(unexpected) == 0:
		result.Score, result.Detail = Skipped, unjudged
	case len(result.Red) == 0:
		result.Score = Survived
	case !killed:
		result.Score = KilledByAnother
	case len(unexpected) > 0:
		result.Score = FalseAlarm
	case len(spared) > 0:
		result.Score = Survived
	case m.Diagnosis != "" && result.Diagnosis != m.Diagnosis:
		result.Score = Misdiagnosed
		spared = append(spared, fmt.Sprintf("the rule %s should explain %s, not %s: %s", m.Diagnosis, m.Killed.By, cmp.Or(result.Diagnosis, "none"), result.Likely))
	default:
		result.Score = Killed
	}
	slices.Sort(unexpected)
	if !result.Score.Good() {
		result.Detail = strings.Join(append(unexpected, spared...), "; ")
	}
	return result
}
