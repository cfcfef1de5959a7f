package v1

import (
	"fmt"
	"strings"
	"time"
)

// judged returns the claim as the report shows it: with its verdict, or Inconclusive with the reason why it has none.
func (f *folding) judged(p *foldedPattern, c *foldedClaim, end time.Time) Claim {
	claim := c.now
	if c.finished && known(claim.Verdict) {
		return claim
	}
	if claim.Reason == "" {
		claim.Reason = f.whyUnjudged(p, c)
	}
	claim.Verdict = Inconclusive
	if c.running {
		claim.Seconds = secondsBetween(claim.StartedAt, end)
	}
	return claim
}

func known(v Verdict) bool {
	return v == Passed || v == Failed || v == Inconclusive || v == Skipped
}

// whyUnjudged returns one sentence; the nearest explanation wins: what stopped this pattern, then what stopped the run.
func (f *folding) whyUnjudged(p *foldedPattern, c *foldedClaim) string {
	when := "before this claim was judged"
	if c.running {
		when = "while this claim was being judged"
	}
	phase, failed := p.failedPhase()
	switch {
	case c.finished && c.now.Verdict == "":
		return "the check ended without a verdict"
	case c.finished:
		return fmt.Sprintf("the check reported the verdict %q, which is none of passed, failed, inconclusive and skipped", c.now.Verdict)
	case p.pattern.Error != "" && c.running:
		return fmt.Sprintf("%s (%s)", p.pattern.Error, when)
	case p.pattern.Error != "":
		return p.pattern.Error
	case failed:
		return phaseFailure(phase)
	case f.run.Interrupted != "":
		return fmt.Sprintf("the run was interrupted (%s) %s%s", f.run.Interrupted, p.during(c), when)
	case f.run.Error != "":
		return "the run stopped: " + f.run.Error
	case p.finished && c.running:
		return "the check started and never reported a verdict"
	case p.finished:
		return "the pattern ended without judging this claim"
	case f.run.Complete && c.running:
		return "the run finished " + when
	case f.run.Complete:
		return "the run finished without judging this claim"
	}
	return fmt.Sprintf("the run ended (killed) %s%s", p.during(c), when)
}

// failedPhase returns the first phase of the latest attempt that failed and can have kept claims from being judged.
func (p *foldedPattern) failedPhase() (Phase, bool) {
	for _, phase := range p.pattern.Phases[p.attempt:] {
		if phase.Error != "" && phase.Name != PhaseCleanUp {
			return phase, true
		}
	}
	return Phase{}, false
}

// phaseFailure returns "install failed: ...", also when the error's own text already begins so.
func phaseFailure(phase Phase) string {
	prefix := phase.Name + " failed"
	if strings.HasPrefix(phase.Error, prefix) {
		return phase.Error
	}
	return prefix + ": " + phase.Error
}

// during returns "during install, " for a claim that was still waiting when that phase was cut short; empty when the
// claim was being judged itself, which says more.
func (p *foldedPattern) during(c *foldedClaim) string {
	if c.running {
		return ""
	}
	for i := len(p.pattern.Phases) - 1; i >= p.attempt; i-- {
		if p.pattern.Phases[i].Unfinished {
			return "during " + p.pattern.Phases[i].Name + ", "
		}
	}
	return ""
}
