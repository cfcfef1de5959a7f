package prove

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshproof/meshproof/framework/pattern"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// claim is one that was judged.
func claim(alias string, verdict v1.Verdict, cause pattern.Cause) v1.Claim {
	judged := v1.Claim{Alias: alias, Verdict: verdict, Cause: string(cause)}
	if verdict == v1.Skipped {
		judged.Reason = "there are no Routes"
	} else if verdict != v1.Passed {
		judged.Summary = "probe 1 of 20"
	}
	return judged
}

func TestScore(t *testing.T) {
	closed := Mutant{Name: "closed", Says: "it is closed", Killed: Death{By: "SH1", Cause: pattern.NotAnswered}}
	both := closed
	both.Also = map[string]pattern.Cause{"SH2": pattern.EvidenceMissing}
	same := Mutant{Name: "same", Says: "it is the same", Equivalent: true}
	green := func(alias string) v1.Claim { return claim(alias, v1.Passed, "") }
	skipped := func(alias string) v1.Claim { return claim(alias, v1.Skipped, "") }
	dead := claim("SH1", v1.Failed, pattern.NotAnswered)
	type red = map[string]string
	for name, test := range map[string]struct {
		mutant Mutant
		claims []v1.Claim
		score  Score
		good   bool
		red    red
		detail string
	}{
		"the intended check goes red for the intended cause": {closed, []v1.Claim{dead, green("SH2")}, Killed, true, red{"SH1": "not-answered"}, ""},
		"the intended check is inconclusive as intended": {Mutant{Killed: Death{By: "SH1", Cause: pattern.EvidenceMissing}},
			[]v1.Claim{claim("SH1", v1.Inconclusive, pattern.EvidenceMissing)}, Killed, true, red{"SH1": "evidence-missing"}, ""},
		"so does another that is named":         {both, []v1.Claim{dead, claim("SH2", v1.Inconclusive, pattern.EvidenceMissing)}, Killed, true, red{"SH1": "not-answered", "SH2": "evidence-missing"}, ""},
		"another that is named is skipped":      {both, []v1.Claim{dead, skipped("SH2")}, Killed, true, red{"SH1": "not-answered"}, ""},
		"another that is named is not selected": {both, []v1.Claim{dead}, Killed, true, red{"SH1": "not-answered"}, ""},
		"another that is named stays green":     {both, []v1.Claim{dead, green("SH2")}, Survived, false, red{"SH1": "not-answered"}, "SH2 stays green"},
		"another goes red for a cause that is not named": {both, []v1.Claim{dead, claim("SH2", v1.Failed, pattern.Bypassed)}, FalseAlarm, false,
			red{"SH1": "not-answered", "SH2": "bypassed"}, "SH2 is failed (bypassed): probe 1 of 20"},
		"another goes red that is not named": {closed, []v1.Claim{dead, claim("SH3", v1.Inconclusive, pattern.Environment)}, FalseAlarm, false,
			red{"SH1": "not-answered", "SH3": "environment"}, "SH3 is inconclusive (environment): probe 1 of 20"},
		"every check stays green":      {closed, []v1.Claim{green("SH1"), green("SH2")}, Survived, false, nil, "SH1 stays green"},
		"every one of two stays green": {both, []v1.Claim{green("SH1"), green("SH2")}, Survived, false, nil, "SH1 stays green; SH2 stays green"},
		"the intended check goes red for another cause": {closed, []v1.Claim{claim("SH1", v1.Failed, pattern.WrongStatus)}, KilledByAnother, false,
			red{"SH1": "wrong-status"}, "SH1 is failed (wrong-status): probe 1 of 20"},
		"another check goes red in its place": {closed, []v1.Claim{claim("SH3", v1.Failed, pattern.Reached), green("SH1"), claim("SH2", v1.Failed, pattern.Bypassed)}, KilledByAnother, false,
			red{"SH2": "bypassed", "SH3": "reached"}, "SH2 is failed (bypassed): probe 1 of 20; SH3 is failed (reached): probe 1 of 20; SH1 stays green"},
		"only the other one that is named goes red": {both, []v1.Claim{green("SH1"), claim("SH2", v1.Inconclusive, pattern.EvidenceMissing)}, KilledByAnother, false,
			red{"SH2": "evidence-missing"}, "SH1 stays green"},
		"the intended check is skipped":      {closed, []v1.Claim{skipped("SH1"), green("SH2")}, Skipped, true, nil, "SH1 is not judged: there are no Routes"},
		"the intended check is not selected": {closed, []v1.Claim{green("SH2")}, Skipped, true, nil, "SH1 is not judged"},
		"the intended check is skipped, and another goes red": {closed, []v1.Claim{skipped("SH1"), claim("SH2", v1.Failed, pattern.Bypassed)}, KilledByAnother, false,
			red{"SH2": "bypassed"}, "SH2 is failed (bypassed): probe 1 of 20"},
		"an equivalent one changes nothing": {same, []v1.Claim{green("SH1"), skipped("SH2")}, Green, true, nil, ""},
		"an equivalent one turns a check red": {same, []v1.Claim{green("SH1"), claim("SH2", v1.Failed, pattern.Bypassed)}, FalseAlarm, false,
			red{"SH2": "bypassed"}, "SH2 is failed (bypassed): probe 1 of 20"},
	} {
		t.Run(name, func(t *testing.T) {
			got := score(test.mutant, v1.Pattern{Claims: test.claims})
			want := Result{Mutant: test.mutant.Name, Says: test.mutant.Says, Score: test.score, Red: test.red, Detail: test.detail}
			if !test.mutant.Equivalent {
				want.Intended = test.mutant.Killed.By + " " + string(test.mutant.Killed.Cause)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if got.Score.Good() != test.good {
				t.Errorf("%s is good: %t, want %t", got.Score, got.Score.Good(), test.good)
			}
		})
	}
}

// A mutant that names a rule is killed only when that rule explains its check; one that names none may be explained by any.
func TestTheRightRuleHasToExplainTheCheck(t *testing.T) {
	explained := func(rule string) v1.Pattern {
		red := claim("SH1", v1.Failed, pattern.NotAnswered)
		red.Diagnosis = &v1.Diagnosis{Rule: rule, Text: "it is closed"}
		return v1.Pattern{Claims: []v1.Claim{red, {Alias: "SH2", Verdict: v1.Passed}}}
	}
	without := Mutant{Name: "closed", Killed: Death{By: "SH1", Cause: pattern.NotAnswered}}
	with := without
	with.Diagnosis = "port-not-opened"
	unexplained := explained("")
	unexplained.Claims[0].Diagnosis = nil
	for name, test := range map[string]struct {
		mutant Mutant
		judged v1.Pattern
		score  Score
		detail string
	}{
		"the rule that it names":        {with, explained("port-not-opened"), Killed, ""},
		"another rule":                  {with, explained("no-route-matches"), Misdiagnosed, "the rule port-not-opened should explain SH1, not no-route-matches: it is closed"},
		"no rule":                       {with, explained(""), Misdiagnosed, "the rule port-not-opened should explain SH1, not none: it is closed"},
		"nobody has looked":             {with, unexplained, Misdiagnosed, "the rule port-not-opened should explain SH1, not none: "},
		"any rule, where none is named": {without, explained("no-route-matches"), Killed, ""},
	} {
		got := score(test.mutant, test.judged)
		if got.Score != test.score || got.Detail != test.detail || got.Score.Good() != (test.score == Killed) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAMutantThatCouldNotBeJudgedIsNotScored(t *testing.T) {
	closed := Mutant{Name: "closed", Killed: Death{By: "SH1", Cause: pattern.NotAnswered}}
	got := score(closed, v1.Pattern{Error: "settle: no pod", Claims: []v1.Claim{claim("SH1", v1.Inconclusive, "")}})
	if got.Score != Broken || got.Score.Good() || got.Detail != "settle: no pod" || len(got.Red) > 0 {
		t.Errorf("%+v", got)
	}
	if NoEffect.Good() {
		t.Error("a mutant without effect proves something")
	}
}
