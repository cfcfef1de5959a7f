package junit

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/internal/golden"
	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestGolden(t *testing.T) {
	events := example.Events()
	installFailed := v1.Fold([]v1.Event{
		events[0],
		{Time: example.At(1), Type: v1.PatternSeeded, Pattern: &v1.Pattern{Name: "p", Claims: []v1.Claim{{ID: "p/one", Alias: "P1", Text: "one"}, {ID: "p/two", Alias: "P2", Text: "two"}}}},
		{Time: example.At(2), Type: v1.PhaseFinished, PatternName: "p", Phase: &v1.Phase{Name: "install", Seconds: 1, Error: "no quota"}},
		{Time: example.At(2), Type: v1.PatternFinished, PatternName: "p", Error: "install failed: no quota"},
		{Time: example.At(3), Type: v1.RunFinished},
	})
	for name, report := range map[string]v1.Report{
		"finished":       example.Report(),
		"killed":         v1.Fold(events[:len(events)-8]),
		"install-failed": installFailed,
		"no-cluster":     v1.Fold([]v1.Event{events[0], {Time: example.At(1), Type: v1.RunFinished, Error: "no API server answers at https://127.0.0.1:6443"}}),
	} {
		t.Run(name, func(t *testing.T) {
			got := render(t, report)
			golden.Compare(t, filepath.Join("testdata", name+".xml"), string(got))
			if again := render(t, report); !bytes.Equal(got, again) {
				t.Error("rendering twice gives different bytes")
			}
		})
	}
}

// TestEveryPrefix kills the run after each of its events: the document must be well-formed, its counts those of its
// elements, and red exactly when the exit code is.
func TestEveryPrefix(t *testing.T) {
	events := example.Events()
	for n := range len(events) + 1 {
		report := v1.Fold(events[:n])
		all := decode(t, render(t, report))
		checkCounts(t, all)
		if red, code := all.Failures+all.Errors > 0, v1.ExitCode(report, nil); red != (code != v1.ExitPassed) {
			t.Errorf("after %d events: red is %v, the exit code %d", n, red, code)
		}
	}
}

// TestRedOutsideClaims has reports whose claims are all green or absent, and that are red all the same.
func TestRedOutsideClaims(t *testing.T) {
	green := v1.Fold(example.Events())
	green.Patterns = green.Patterns[:1]
	with := func(change func(*v1.Report)) v1.Report {
		r := green
		r.Patterns = slices.Clone(r.Patterns)
		r.Patterns[0].Claims = slices.Clone(r.Patterns[0].Claims)
		r.Patterns[0].Phases = slices.Clone(r.Patterns[0].Phases)
		change(&r)
		return r
	}
	for name, tc := range map[string]struct {
		report   v1.Report
		testcase string
		message  string
	}{
		"green":       {green, "", ""},
		"run error":   {with(func(r *v1.Report) { r.Run.Error = "gone" }), "run", "gone"},
		"interrupted": {with(func(r *v1.Report) { r.Run.Interrupted = "SIGTERM" }), "run", "the run was interrupted (SIGTERM)"},
		"killed":      {with(func(r *v1.Report) { r.Run.Complete = false }), "run", "the run ended (killed) before it was complete"},
		"nothing selected": {with(func(r *v1.Report) { r.Patterns = nil }), "run",
			"no claim was selected, so nothing was proven"},
		"all skipped": {with(func(r *v1.Report) { r.Patterns[0].Claims[0].Verdict = v1.Skipped }), "run",
			"every claim was skipped, so nothing was proven"},
		"pattern error": {with(func(r *v1.Report) { r.Patterns[0].Error = "exited" }), "pattern", "exited"},
		"cut-off phase": {with(func(r *v1.Report) { r.Patterns[0].Error = "exited"; r.Patterns[0].Phases[0].Unfinished = true }), "install", "exited"},
		"objects left":  {with(func(r *v1.Report) { r.Patterns[0].Leftovers = []string{"Pod a/b"} }), "nothing is left behind", "left behind: Pod a/b"},
		"carried already": {with(func(r *v1.Report) {
			r.Run.Error = "gone"
			c := &r.Patterns[0].Claims[0]
			c.Verdict, c.Reason = "", "gone"
		}), "BG1 page-is-complete: " + green.Patterns[0].Claims[0].Text, "gone"},
	} {
		all := decode(t, render(t, tc.report))
		checkCounts(t, all)
		var red []string
		for _, s := range all.Suites {
			for _, c := range s.Cases {
				if c.Error != nil {
					red = append(red, c.Name+" | "+c.Error.Message)
				}
			}
		}
		var want []string
		if tc.testcase != "" {
			want = []string{tc.testcase + " | " + tc.message}
		}
		if !slices.Equal(red, want) {
			t.Errorf("%s: red test cases %q, want %q", name, red, want)
		}
	}
}

func TestHostileText(t *testing.T) {
	hostile := "a\x00b\x1b[31mc\xff\xfed ]]> <e> & \"f\" \ufffe\r\ng\rh\u0085i" + strings.Repeat("ä", 1000)
	report := example.Report()
	report.Cluster.APIServer = hostile
	p := &report.Patterns[0]
	p.Name, p.Error, p.Leftovers = hostile, "x"+hostile, []string{hostile}
	c := &p.Claims[0]
	c.ID, c.Alias, c.Text, c.Reason, c.Cause, c.Verdict, c.Look, c.Seconds = hostile, hostile, hostile, hostile, hostile, v1.Failed, hostile, math.Inf(1)
	c.Evidence = []v1.Evidence{{Probe: hostile, Items: []v1.EvidenceItem{{End: hostile, Text: hostile, Fields: map[string]string{hostile: hostile}}}}}
	c.Judgements = []v1.Judgement{{Statement: hostile, Verdict: v1.Failed, Detail: hostile}}

	out := render(t, report)
	if !utf8.Valid(out) || bytes.ContainsAny(out, "\x00\x1b\r") {
		t.Error("the document holds bytes that XML forbids")
	}
	all := decode(t, out)
	checkCounts(t, all)
	failure := all.Suites[0].Cases[0].Failure
	if n := utf8.RuneCountInString(failure.Message); n != maxMessage || strings.Contains(failure.Message, "\n") {
		t.Errorf("message of %d characters: %q", n, failure.Message)
	}
	if !strings.Contains(failure.Body, "d ]]> <e> & \"f\"") {
		t.Errorf("body = %q", failure.Body)
	}
	if all.Suites[0].Cases[0].Time != "0.000" {
		t.Errorf("time = %s", all.Suites[0].Cases[0].Time)
	}
}

// TestNamesAreStable compares a run where all passed with one where all went wrong.
func TestNamesAreStable(t *testing.T) {
	good, bad := example.Report(), example.Report()
	for i := range bad.Patterns[1].Claims {
		c := &bad.Patterns[1].Claims[i]
		c.Verdict, c.Summary, c.Reason, c.Seconds = v1.Failed, "other", "other", 99
	}
	names := func(r v1.Report) (names []string) {
		for _, c := range decode(t, render(t, r)).Suites[1].Cases {
			names = append(names, c.Class+" "+c.Name)
		}
		return names
	}
	if diff := cmp.Diff(names(good), names(bad)); diff != "" {
		t.Error(diff)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriteErrors(t *testing.T) {
	if err := Write(fullDisk{}, example.Report()); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("error = %v", err)
	}
}

func render(t *testing.T, report v1.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, report); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decode reads the whole document token by token first, since Unmarshal stops at the end of the first element.
func decode(t *testing.T, document []byte) suites {
	t.Helper()
	tokens := xml.NewDecoder(bytes.NewReader(document))
	for {
		if _, err := tokens.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, document)
		}
	}
	var all suites
	if err := xml.Unmarshal(document, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// checkCounts counts elements, never what add counted.
func checkCounts(t *testing.T, all suites) {
	t.Helper()
	type counts struct{ tests, failures, errors, skipped int }
	var total counts
	for _, s := range all.Suites {
		var n counts
		for _, c := range s.Cases {
			n.tests++
			outcomes := 0
			for _, o := range []struct {
				*outcome
				count *int
			}{{c.Failure, &n.failures}, {c.Error, &n.errors}, {c.Skipped, &n.skipped}} {
				if o.outcome != nil {
					*o.count++
					outcomes++
				}
			}
			if outcomes > 1 {
				t.Errorf("%s has %d outcomes", c.Name, outcomes)
			}
		}
		if got := (counts{s.Tests, s.Failures, s.Errors, s.Skipped}); got != n {
			t.Errorf("suite %s says %+v and holds %+v", s.Name, got, n)
		}
		total = counts{total.tests + n.tests, total.failures + n.failures, total.errors + n.errors, total.skipped + n.skipped}
	}
	if got := (counts{all.Tests, all.Failures, all.Errors, all.Skipped}); got != total {
		t.Errorf("the document says %+v and holds %+v", got, total)
	}
}
