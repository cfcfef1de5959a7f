package v1_test

import (
	"testing"

	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// TestWhyUnjudged gives two claims, of which "running" was being judged and "waiting" was not, each way a run can end.
func TestWhyUnjudged(t *testing.T) {
	running := v1.Event{Time: example.At(5), Type: v1.ClaimStarted, Claim: &v1.Claim{ID: "p/running"}}
	install := v1.Event{Time: example.At(2), Type: v1.PhaseStarted, PatternName: "p", Phase: &v1.Phase{Name: "install"}}
	finished := v1.Event{Time: example.At(9), Type: v1.RunFinished}
	patternFinished := v1.Event{Time: example.At(8), Type: v1.PatternFinished, PatternName: "p"}
	reseeded := v1.Event{Time: example.At(6), Type: v1.PatternSeeded, Pattern: &v1.Pattern{Name: "p"}}
	failed := func(name, text string) v1.Event {
		return v1.Event{Time: example.At(4), Type: v1.PhaseFinished, PatternName: "p", Phase: &v1.Phase{Name: name, Error: text}}
	}
	died := v1.Event{Time: example.At(8), Type: v1.PatternFinished, PatternName: "p", Error: "the pattern's process exited with status 2"}
	interrupted := v1.Event{Time: example.At(9), Type: v1.RunFinished, Run: &v1.Run{Interrupted: "SIGINT"}}
	verdict := func(v v1.Verdict, reason string) v1.Event {
		return v1.Event{Time: example.At(7), Type: v1.ClaimFinished, Claim: &v1.Claim{ID: "p/running", Verdict: v, Reason: reason}}
	}

	tests := []struct {
		name             string
		events           []v1.Event
		running, waiting string
	}{
		{"killed", []v1.Event{running},
			"the run ended (killed) while this claim was being judged",
			"the run ended (killed) before this claim was judged"},
		{"killed in a phase", []v1.Event{install},
			"the run ended (killed) during install, before this claim was judged",
			"the run ended (killed) during install, before this claim was judged"},
		{"phase failed", []v1.Event{install, failed("install", "pod mongo-0 is not ready"), finished},
			"install failed: pod mongo-0 is not ready", "install failed: pod mongo-0 is not ready"},
		{"phase failed and says so", []v1.Event{failed("install", "install failed: no quota")},
			"install failed: no quota", "install failed: no quota"},
		{"only clean-up failed", []v1.Event{failed(v1.PhaseCleanUp, "still there"), finished},
			"the run finished without judging this claim", "the run finished without judging this claim"},
		{"a phase of an earlier attempt failed", []v1.Event{failed("install", "no quota"), reseeded, finished},
			"the run finished without judging this claim", "the run finished without judging this claim"},
		{"child died", []v1.Event{failed("install", "x"), running, died, finished},
			"the pattern's process exited with status 2 (while this claim was being judged)",
			"the pattern's process exited with status 2"},
		{"interrupted", []v1.Event{running, patternFinished, interrupted},
			"the run was interrupted (SIGINT) while this claim was being judged",
			"the run was interrupted (SIGINT) before this claim was judged"},
		{"interrupted in a phase", []v1.Event{install, interrupted},
			"the run was interrupted (SIGINT) during install, before this claim was judged",
			"the run was interrupted (SIGINT) during install, before this claim was judged"},
		{"run stopped", []v1.Event{running, {Time: example.At(9), Type: v1.RunFinished, Error: "the lab went away"}},
			"the run stopped: the lab went away", "the run stopped: the lab went away"},
		{"pattern finished", []v1.Event{running, patternFinished},
			"the check started and never reported a verdict", "the pattern ended without judging this claim"},
		{"run finished", []v1.Event{running, finished},
			"the run finished while this claim was being judged", "the run finished without judging this claim"},
		{"no verdict", []v1.Event{running, verdict("", "")},
			"the check ended without a verdict", "the run ended (killed) before this claim was judged"},
		{"no verdict but a reason", []v1.Event{running, verdict("", "the check panicked"), finished},
			"the check panicked", "the run finished without judging this claim"},
		{"unknown verdict", []v1.Event{verdict("fine", ""), finished},
			`the check reported the verdict "fine", which is none of passed, failed, inconclusive and skipped`, "the run finished without judging this claim"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			seeded := v1.Event{Time: example.At(1), Type: v1.PatternSeeded, Pattern: &v1.Pattern{Name: "p", Claims: []v1.Claim{{ID: "p/running"}, {ID: "p/waiting"}}}}
			r := v1.Fold(append([]v1.Event{seeded}, tc.events...))
			for i, want := range []string{tc.running, tc.waiting} {
				c := r.Patterns[0].Claims[i]
				if c.Verdict != v1.Inconclusive || c.Reason != want {
					t.Errorf("%s is %q because %q\nwant inconclusive because %q", c.ID, c.Verdict, c.Reason, want)
				}
			}
		})
	}
}

func TestUnjudgedClaimLastedToTheEnd(t *testing.T) {
	r := v1.Fold([]v1.Event{
		{Time: example.At(1), Type: v1.ClaimStarted, Claim: &v1.Claim{ID: "p/one"}},
		{Time: example.At(3.5), Type: v1.Note},
	})
	if got := r.Patterns[0].Claims[0].Seconds; got != 2.5 {
		t.Errorf("seconds = %v, want 2.5", got)
	}
}
