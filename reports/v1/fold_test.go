package v1_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestFoldOfAFinishedRun(t *testing.T) {
	r := v1.Fold(example.Events())
	if r.SchemaVersion != v1.SchemaVersion || !r.Run.Complete || r.Run.ID != "20261122-150405-7f3a" || r.Run.Seconds() != 17.2 {
		t.Errorf("run = %+v, %v s", r.Run, r.Run.Seconds())
	}
	if len(r.Run.Phases) != 1 || r.Run.Phases[0].Unfinished || !r.Run.Phases[0].StartedAt.Equal(example.At(0)) {
		t.Errorf("phases of the run = %+v", r.Run.Phases)
	}
	if r.Cluster.Mesh.Proxy != "1.40.0" || len(r.Patterns) != 2 {
		t.Fatalf("cluster = %+v, %d patterns", r.Cluster, len(r.Patterns))
	}
	page := r.Patterns[0].Claims[0]
	if page.Verdict != v1.Passed || page.Text == "" || !page.StartedAt.Equal(example.At(6)) {
		t.Errorf("claim = %+v", page)
	}
	mongo := r.Patterns[1]
	if len(mongo.Convergence) != 1 || len(mongo.Leftovers) != 1 || mongo.Error == "" || !mongo.FinishedAt.Equal(example.At(16.5)) {
		t.Errorf("pattern = %+v", mongo)
	}
}

func TestFoldIsPure(t *testing.T) {
	events := example.Events()
	before := mustJSON(t, events)
	first, second := v1.Fold(events), v1.Fold(events)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two folds differ:\n%s", diff)
	}
	if after := mustJSON(t, events); before != after {
		t.Error("Fold changed its events")
	}
}

// TestFoldOfEveryPrefix kills the run after each of its events: the report must hold every claim seeded so far, each with a
// verdict, and a reason wherever it is not one that a check gave.
func TestFoldOfEveryPrefix(t *testing.T) {
	events := example.Events()
	for n := range len(events) {
		r := v1.Fold(events[:n])
		if r.Run.Complete {
			t.Fatalf("after %d of %d events: complete", n, len(events))
		}
		seeded := 0
		for _, e := range events[:n] {
			if e.Type == v1.PatternSeeded {
				seeded += len(e.Pattern.Claims)
			}
		}
		if got := v1.Summary(r).Selected; got != seeded {
			t.Fatalf("after %d events: %d claims, want %d", n, got, seeded)
		}
		for _, p := range r.Patterns {
			for _, c := range p.Claims {
				if c.Verdict == "" || (c.Verdict == v1.Inconclusive && c.Reason == "") {
					t.Fatalf("after %d events: %+v", n, c)
				}
			}
		}
	}
}

func TestFoldOfNothing(t *testing.T) {
	r := v1.Fold(nil)
	if r.Run.Complete || r.Patterns == nil || v1.ExitCode(r, nil) == 0 {
		t.Errorf("report = %+v", r)
	}
}

// TestFoldPhases has two patterns, of which one died early: its phase ends with it, the other's with the journal.
func TestFoldPhases(t *testing.T) {
	r := v1.Fold([]v1.Event{
		{Time: example.At(1), Type: v1.PhaseStarted, PatternName: "a", Phase: &v1.Phase{Name: "install"}},
		{Time: example.At(2), Type: v1.PhaseStarted, PatternName: "b", Phase: &v1.Phase{Name: "install"}},
		{Time: example.At(3), Type: v1.PatternFinished, PatternName: "a", Error: "died"},
		{Time: example.At(6), Type: v1.PhaseFinished, PatternName: "b", Phase: &v1.Phase{Name: "install", Detail: "done"}},
		{Time: example.At(6), Type: v1.PhaseFinished, PatternName: "b", Phase: &v1.Phase{Name: "never announced", Seconds: 1}},
		{Time: example.At(6), Type: v1.PhaseStarted, PatternName: "b", Phase: &v1.Phase{Name: "settle"}},
		{Time: example.At(9), Type: v1.Note},
	})
	want := [][]v1.Phase{
		{{Name: "install", StartedAt: example.At(1), Seconds: 2, Unfinished: true}},
		{
			{Name: "install", StartedAt: example.At(2), Seconds: 4, Detail: "done"},
			{Name: "never announced", StartedAt: example.At(5), Seconds: 1},
			{Name: "settle", StartedAt: example.At(6), Seconds: 3, Unfinished: true},
		},
	}
	for i, p := range r.Patterns {
		if diff := cmp.Diff(want[i], p.Phases); diff != "" {
			t.Errorf("phases of %s (-want +got):\n%s", p.Name, diff)
		}
	}
}

func TestFoldTakesTheLastVerdict(t *testing.T) {
	finished := func(v v1.Verdict) v1.Event {
		return v1.Event{Type: v1.ClaimFinished, PatternName: "p", Claim: &v1.Claim{ID: "p/one", Verdict: v, Summary: string(v)}}
	}
	seeded := v1.Event{Type: v1.PatternSeeded, Pattern: &v1.Pattern{Name: "p", Claims: []v1.Claim{{ID: "p/one", Alias: "P1", Text: "one", Ends: []string{"x"}}}}}
	for name, tc := range map[string]struct {
		events []v1.Event
		want   v1.Verdict
	}{
		"twice":                 {[]v1.Event{seeded, finished(v1.Failed), finished(v1.Passed)}, v1.Passed},
		"rerun":                 {[]v1.Event{seeded, finished(v1.Failed), seeded, finished(v1.Passed)}, v1.Passed},
		"rerun without verdict": {[]v1.Event{seeded, finished(v1.Failed), seeded}, v1.Failed},
		"never seeded":          {[]v1.Event{finished(v1.Failed)}, v1.Failed},
		"an unknown event":      {[]v1.Event{seeded, {Type: "from-the-future", PatternName: "q"}, finished(v1.Passed)}, v1.Passed},
		"events without parts":  {[]v1.Event{seeded, {Type: v1.ClaimFinished, PatternName: "p"}, {Type: v1.PhaseStarted}, {Type: v1.Converged}, {Type: v1.PatternSeeded}, finished(v1.Passed)}, v1.Passed},
	} {
		r := v1.Fold(tc.events)
		if len(r.Patterns) != 1 || len(r.Patterns[0].Claims) != 1 {
			t.Errorf("%s: %+v", name, r.Patterns)
			continue
		}
		c := r.Patterns[0].Claims[0]
		if c.Verdict != tc.want || c.Summary != string(tc.want) {
			t.Errorf("%s: %+v, want %s", name, c, tc.want)
		}
		if name != "never seeded" && (c.Text != "one" || c.Alias != "P1" || !slices.Equal(c.Ends, []string{"x"})) {
			t.Errorf("%s lost what was seeded: %+v", name, c)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestFoldTakesTheParametersThatTheClusterTold(t *testing.T) {
	parameters := func(host string) *v1.Pattern {
		return &v1.Pattern{Name: "p", Title: "from another event", Parameters: map[string]string{"host": host}}
	}
	claims := []v1.Claim{{ID: "p/one", Verdict: v1.Passed}}
	seeded := v1.Event{Type: v1.PatternSeeded, Pattern: &v1.Pattern{Name: "p", Title: "seeded", Parameters: map[string]string{"host": "planned"}, Claims: claims}}
	told := v1.Event{Type: v1.ParametersKnown, PatternName: "p", Pattern: parameters("told")}
	for name, tc := range map[string]struct {
		events []v1.Event
		want   string
	}{
		"none are told":                {[]v1.Event{seeded}, "planned"},
		"the told ones win":            {[]v1.Event{seeded, told}, "told"},
		"the last ones win":            {[]v1.Event{seeded, told, {Type: v1.ParametersKnown, Pattern: parameters("told again")}}, "told again"},
		"an event without a pattern":   {[]v1.Event{seeded, told, {Type: v1.ParametersKnown, PatternName: "p"}}, "told"},
		"those of another pattern":     {[]v1.Event{seeded, {Type: v1.ParametersKnown, PatternName: "q", Pattern: parameters("told")}}, "planned"},
		"a rerun plans them once more": {[]v1.Event{seeded, told, seeded}, "planned"},
	} {
		p := v1.Fold(tc.events).Patterns[0]
		if p.Parameters["host"] != tc.want || p.Title != "seeded" || len(p.Claims) != 1 || p.Claims[0].Verdict != v1.Passed {
			t.Errorf("%s: %+v, want the host %s", name, p, tc.want)
		}
	}
}
