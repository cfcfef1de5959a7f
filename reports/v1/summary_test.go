package v1_test

import (
	"testing"

	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestSummary(t *testing.T) {
	r := example.Report()
	if got, want := v1.Summary(r), (v1.Counts{Selected: 5, Passed: 2, Failed: 1, Inconclusive: 1, Skipped: 1}); got != want {
		t.Errorf("summary = %+v, want %+v", got, want)
	}
	if got, want := r.Patterns[0].Counts(), (v1.Counts{Selected: 1, Passed: 1}); got != want {
		t.Errorf("basic-gateway = %+v, want %+v", got, want)
	}
	odd := v1.Pattern{Claims: []v1.Claim{{}, {Verdict: "fine"}}}
	if got, want := odd.Counts(), (v1.Counts{Selected: 2, Inconclusive: 2}); got != want {
		t.Errorf("claims without a verdict count as %+v, want %+v", got, want)
	}
}

func TestExitCode(t *testing.T) {
	report := func(verdicts ...v1.Verdict) v1.Report {
		r := v1.Report{Run: v1.Run{Complete: true}, Patterns: []v1.Pattern{{Name: "p"}}}
		for i, v := range verdicts {
			r.Patterns[0].Claims = append(r.Patterns[0].Claims, v1.Claim{ID: "p/" + string(rune('a'+i)), Alias: "P" + string(rune('1'+i)), Verdict: v})
		}
		return r
	}
	with := func(r v1.Report, change func(*v1.Report)) v1.Report {
		change(&r)
		return r
	}
	interrupt := func(r *v1.Report) { r.Run.Interrupted = "SIGINT" }
	stop := func(r *v1.Report) { r.Run.Error = "no cluster" }
	kill := func(r *v1.Report) { r.Run.Complete = false }
	patternError := func(r *v1.Report) { r.Patterns[0].Error = "clean-up failed" }
	leave := func(r *v1.Report) { r.Patterns[0].Leftovers = []string{"Namespace a"} }

	tests := []struct {
		name     string
		report   v1.Report
		required []string
		want     int
	}{
		{"passed", report(v1.Passed), nil, v1.ExitPassed},
		{"passed, all required", report(v1.Passed, v1.Passed), []string{"all"}, v1.ExitPassed},
		{"failed", report(v1.Passed, v1.Failed), nil, v1.ExitFailed},
		{"failed and inconclusive", report(v1.Inconclusive, v1.Failed), nil, v1.ExitFailed},
		{"failed and stopped", with(report(v1.Failed), stop), nil, v1.ExitFailed},
		{"failed and killed", with(report(v1.Failed), kill), nil, v1.ExitFailed},
		{"failed and interrupted", with(report(v1.Failed), interrupt), nil, v1.ExitInterrupted},
		{"passed and interrupted", with(report(v1.Passed), interrupt), nil, v1.ExitInterrupted},
		{"inconclusive", report(v1.Passed, v1.Inconclusive), nil, v1.ExitInconclusive},
		{"without a verdict", report(v1.Passed, ""), nil, v1.ExitInconclusive},
		{"inconclusive and stopped", with(report(v1.Inconclusive), stop), nil, v1.ExitEnvironment},
		{"inconclusive and pattern error", with(report(v1.Inconclusive), patternError), nil, v1.ExitInconclusive},
		{"passed and killed", with(report(v1.Passed), kill), nil, v1.ExitInconclusive},
		{"skipped beside passed", report(v1.Passed, v1.Skipped), nil, v1.ExitPassed},
		{"skipped, required by alias", report(v1.Passed, v1.Skipped), []string{"p2"}, v1.ExitInconclusive},
		{"skipped, required by ID", report(v1.Passed, v1.Skipped), []string{"p/b"}, v1.ExitInconclusive},
		{"skipped, another one required", report(v1.Passed, v1.Skipped), []string{"P1"}, v1.ExitPassed},
		{"skipped, all required", report(v1.Passed, v1.Skipped), []string{"all"}, v1.ExitInconclusive},
		{"required and absent", report(v1.Passed), []string{"P9"}, v1.ExitInconclusive},
		{"nothing but skipped", report(v1.Skipped), nil, v1.ExitInconclusive},
		{"nothing selected", report(), nil, v1.ExitInconclusive},
		{"nothing selected and stopped", with(report(), stop), nil, v1.ExitEnvironment},
		{"passed, pattern error", with(report(v1.Passed), patternError), nil, v1.ExitEnvironment},
		{"passed, leftovers", with(report(v1.Passed), leave), nil, v1.ExitEnvironment},
	}
	for _, tc := range tests {
		if got := v1.ExitCode(tc.report, tc.required); got != tc.want {
			t.Errorf("%s: exit code %d, want %d", tc.name, got, tc.want)
		}
	}
}
