package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/hack/internal/drive"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// TestJudge: a program that looks for what is wrong must be seen to find it.
func TestJudge(t *testing.T) {
	outcome := func(exit int, verdict v1.Verdict, reason string) drive.Outcome {
		claims := []v1.Claim{{Alias: "BG1", Verdict: verdict, Reason: reason}, {Alias: "BG2", Verdict: v1.Passed}, {Alias: "BG3", Verdict: v1.Skipped}}
		return drive.Outcome{Exit: exit, Report: v1.Report{Run: v1.Run{Complete: true}, Patterns: []v1.Pattern{{Claims: claims}}}}
	}
	unreadable, endless, killed := outcome(3, v1.Passed, ""), outcome(3, v1.Passed, ""), outcome(-1, v1.Passed, "")
	unreadable.Problem, endless.Report.Run.Complete, killed.Report.Run.Complete = errors.New("cut off"), false, false
	one := fault{exits: []int{3, -1}, reasons: []string{"API server"}, clean: true}
	for name, test := range map[string]struct {
		outcome drive.Outcome
		left    []string
		want    string
	}{
		"as it should be":           {outcome(3, v1.Inconclusive, "the api server has not answered"), nil, ""},
		"killed":                    {killed, nil, ""},
		"another exit code":         {outcome(4, v1.Passed, ""), nil, "exit 4"},
		"the mesh is blamed":        {outcome(3, v1.Failed, "not true: the API server"), nil, "BG1 blames the mesh"},
		"no cause is told":          {outcome(3, v1.Inconclusive, "no line"), nil, "BG1 does not tell the cause: no line"},
		"something is left":         {outcome(3, v1.Passed, ""), []string{"namespace/a"}, "left at once: namespace/a"},
		"the journal is unreadable": {unreadable, nil, "the journal cannot be read: cut off"},
		"the journal has no end":    {endless, nil, "the journal has no end"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := strings.Join(one.judge(test.outcome, test.left), "; ")
			if test.want == "" && wrong != "" || !strings.Contains(wrong, test.want) {
				t.Errorf("wrong is %q, want %q", wrong, test.want)
			}
		})
	}
}

func TestWhere(t *testing.T) {
	phase, claim := &v1.Phase{Name: "install"}, &v1.Claim{Alias: "BG1"}
	events := []v1.Event{
		{Type: v1.PhaseStarted, Phase: phase}, {Type: v1.PhaseFinished, Phase: phase},
		{Type: v1.ClaimStarted, Claim: claim}, {Type: v1.ClaimFinished, Claim: claim}, {Type: v1.RunFinished},
	}
	for count, want := range []string{"start", "install", "after install", "probe BG1", "after BG1", "end"} {
		if got := where(events[:count]); got != want {
			t.Errorf("after %d events: %q, want %q", count, got, want)
		}
	}
}
