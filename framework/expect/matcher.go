// Package expect holds the Gomega matchers by which a check says what must be true of its probes. A matcher judges every
// probe, tells the claim's record what it judged, and distinguishes three ends: the statement is true of all probes, it is
// contradicted by at least one, or evidence is missing, which is neither.
package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// Inconclusive is the error of a matcher that lacks evidence. It fails the spec whichever way the assertion is turned.
type Inconclusive struct{ Why, Remedy string }

func (e *Inconclusive) Error() string {
	text := "inconclusive: " + e.Why
	if e.Remedy != "" {
		text += "; to judge it, " + e.Remedy
	}
	return text
}

// verdict is what a matcher finds about one probe.
type verdict struct {
	outcome evidence.Outcome
	cause   string
	detail  string
	remedy  string
}

func holds() verdict { return verdict{outcome: evidence.True} }

func contradicts(cause, format string, args ...any) verdict {
	return verdict{outcome: evidence.False, cause: cause, detail: fmt.Sprintf(format, args...)}
}

func lacks(flows evidence.Flows, hop, format string, args ...any) verdict {
	v := verdict{outcome: evidence.Unknown, cause: "evidence-missing", detail: fmt.Sprintf(format, args...)}
	if gap, found := flows.Gaps[hop]; found {
		v.detail, v.remedy = v.detail+": "+gap.Why, gap.Remedy
	}
	return v
}

// flowMatcher is a Gomega matcher that judges flows one by one.
type flowMatcher struct {
	// statement is what must be true of every probe.
	statement string
	// end is the witness, in a word or two.
	end string
	// logs are the hops whose access logs it rests on; a gap in one of them leaves every probe without evidence.
	logs []string
	// controls asks for controls that were served, without which a refusal proves nothing.
	controls bool
	judge    func(flows evidence.Flows, flow evidence.Flow) verdict
	// whole, when set, judges the flows together, after each was judged true.
	whole func(flows evidence.Flows) verdict
	// made is the last judgement, for the failure message, which must not look again.
	made evidence.Judgement
}

// Match implements Gomega's matcher.
func (m *flowMatcher) Match(actual any) (bool, error) {
	flows, ok := actual.(evidence.Flows)
	if !ok {
		return false, fmt.Errorf("this matcher judges evidence.Flows, not %T", actual)
	}
	if len(flows.List) == 0 {
		return false, fmt.Errorf("there is no probe to judge: %s", m.statement)
	}
	m.made = m.decide(flows)
	if flows.Judge != nil {
		flows.Judge(m.made)
	}
	switch m.made.Outcome {
	case evidence.True:
		return true, nil
	case evidence.Unknown:
		return false, &Inconclusive{Why: m.statement + ": " + m.made.Detail, Remedy: m.made.Remedy}
	default:
		return false, nil
	}
}

// decide: one contrary probe makes the statement false, whatever is missing elsewhere; else one probe without evidence
// makes it unknown.
func (m *flowMatcher) decide(flows evidence.Flows) evidence.Judgement {
	judgement := evidence.Judgement{Statement: m.statement, End: m.end, Outcome: evidence.True, Probes: len(flows.List)}
	if m.controls {
		if failed, v := failedControls(flows); v.outcome != evidence.True {
			judgement.Outcome, judgement.Cause, judgement.Detail, judgement.Remedy = v.outcome, v.cause, v.detail, v.remedy
			judgement.Contrary = failed // what each hop has of them shows why
			return judgement
		}
	}
	worst := verdict{}
	for index, flow := range flows.List {
		v := m.judgeOne(flows, flow)
		switch {
		case v.outcome == evidence.True || (v.outcome == evidence.Unknown && worst.outcome == evidence.False):
			continue
		case v.outcome == evidence.False && worst.outcome == evidence.Unknown:
			judgement.Contrary = nil
		}
		if len(judgement.Contrary) == 0 {
			worst = v
			worst.detail = fmt.Sprintf("probe %d of %d %s", index+1, len(flows.List), v.detail)
		}
		judgement.Contrary = append(judgement.Contrary, flow)
	}
	if len(judgement.Contrary) == 0 && m.whole != nil {
		worst = m.whole(flows)
	}
	if worst.outcome == "" || worst.outcome == evidence.True {
		judgement.Detail = fmt.Sprintf("%d of %d probes", len(flows.List), len(flows.List))
		if worst.detail != "" {
			judgement.Detail += "; " + worst.detail
		}
		return judgement
	}
	judgement.Outcome, judgement.Cause, judgement.Detail, judgement.Remedy = worst.outcome, worst.cause, worst.detail, worst.remedy
	if more := len(judgement.Contrary) - 1; more > 0 {
		judgement.Detail += fmt.Sprintf(" (and %d more probes)", more)
	}
	return judgement
}

func (m *flowMatcher) judgeOne(flows evidence.Flows, flow evidence.Flow) verdict {
	for _, hop := range m.logs {
		if _, found := flows.Gaps[hop]; found {
			return lacks(flows, hop, "cannot be judged by the access log of %s", hop)
		}
	}
	v := m.judge(flows, flow)
	if v.cause == string(pattern.Repeated) {
		return repeated(flow, v)
	}
	return v
}

// repeated is what it means that something came twice. An application that asks again, as some do when an answer takes longer
// than they wait, has the same come twice to all hops behind it: that says that it was slow, and nothing of who repeats.
func repeated(flow evidence.Flow, v verdict) verdict {
	for _, r := range flow.Records {
		if r.AskedAgain != "" {
			return verdict{
				outcome: evidence.Unknown, cause: string(pattern.Environment), remedy: "see what is slow behind " + r.Service + ", or run it on a machine that is less busy",
				detail: fmt.Sprintf("%s, because %s itself had no answer in its time, and asked for its %s again", v.detail, r.Service, r.AskedAgain),
			}
		}
	}
	return v
}

// FailureMessage implements Gomega's matcher.
func (m *flowMatcher) FailureMessage(any) string {
	return fmt.Sprintf("Not true: %s\n%s\ncause: %s", m.made.Statement, m.made.Detail, m.made.Cause)
}

// NegatedFailureMessage implements Gomega's matcher.
func (m *flowMatcher) NegatedFailureMessage(any) string {
	return fmt.Sprintf("True, though it must not be: %s (%s)", m.made.Statement, m.made.Detail)
}

// sorted returns the texts as one line, in order, without repeats.
func sorted(texts []string) string {
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), ", ")
}
