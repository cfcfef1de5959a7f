package github

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/internal/golden"
	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

const results = "results/latest"

func TestGolden(t *testing.T) {
	events := example.Events()
	for name, report := range map[string]v1.Report{
		"finished": example.Report(),
		"killed":   v1.Fold(events[:len(events)-8]),
	} {
		t.Run(name, func(t *testing.T) {
			golden.Compare(t, filepath.Join("testdata", name+".txt"), annotations(t, report))
			golden.Compare(t, filepath.Join("testdata", name+".md"), Summary(report, results, MaxSummary))
		})
	}
}

func annotations(t *testing.T, report v1.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteAnnotations(&b, report, results); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// claims is a complete report of one pattern with a claim for each verdict.
func claims(verdicts ...v1.Verdict) v1.Report {
	p := v1.Pattern{Name: "shop"}
	for i, verdict := range verdicts {
		alias := fmt.Sprintf("SH%d", i+1)
		p.Claims = append(p.Claims, v1.Claim{ID: "shop/claim-" + alias, Alias: alias, Text: "it is so", Verdict: verdict, Summary: "seen " + alias, Probes: 20, StartedAt: example.Start})
	}
	return v1.Report{Run: v1.Run{Complete: true}, Patterns: []v1.Pattern{p}}
}

func repeated(verdict v1.Verdict, count int) []v1.Verdict {
	var all []v1.Verdict
	for range count {
		all = append(all, verdict)
	}
	return all
}

// TestEscapes has the examples of GitHub's toolkit (packages/core, command.ts): a property also loses what would end it.
func TestEscapes(t *testing.T) {
	const hostile = "100%\r\n::error::x,y:z"
	got := annotation{level: failure, title: hostile, message: hostile, source: "a,b/c.go:7"}.command()
	want := "::error file=a%2Cb/c.go,line=7,title=100%25%0D%0A%3A%3Aerror%3A%3Ax%2Cy%3Az::100%25%0D%0A::error::x,y:z\n"
	if got != want {
		t.Errorf("command %q\nwant    %q", got, want)
	}
}

func TestGreenClaimsAndSkippedOnesHaveNoAnnotation(t *testing.T) {
	if got := annotations(t, claims(v1.Passed, v1.Skipped)); got != "" {
		t.Errorf("annotations %q", got)
	}
}

func TestFailedIsAnErrorAndInconclusiveAWarning(t *testing.T) {
	report := claims(v1.Inconclusive, v1.Failed, "nonsense")
	report.Patterns[0].Claims[1].Source = "suites/shop/specs.go:38"
	want := "::error file=suites/shop/specs.go,line=38,title=SH2 claim-SH2 failed::seen SH2%0Aclaim: it is so\n" +
		"::warning title=SH1 claim-SH1 inconclusive::seen SH1%0Aclaim: it is so\n" +
		"::warning title=SH3 claim-SH3 inconclusive::seen SH3%0Aclaim: it is so\n"
	if diff := cmp.Diff(want, annotations(t, report)); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

// TestGitHubDropsTheEleventhAnnotation: so the tenth has to say what is missing, of each kind for itself.
func TestGitHubDropsTheEleventhAnnotation(t *testing.T) {
	for _, test := range []struct {
		count, lines int
		more         string
	}{{10, 10, ""}, {11, 10, "title=2 more::"}, {40, 10, "title=31 more::"}} {
		report := claims(append(repeated(v1.Failed, test.count), repeated(v1.Inconclusive, 3)...)...)
		text := annotations(t, report)
		errorLines, warnings := strings.Count(text, "::error "), strings.Count(text, "::warning ")
		if errorLines != test.lines || warnings != 3 || !strings.Contains(text, test.more) || strings.Contains(text, "more::") != (test.more != "") {
			t.Errorf("%d failed claims: %d errors, %d warnings in\n%s", test.count, errorLines, warnings, text)
		}
	}
}

func TestNeighboursThatNoCheckCameToShareAnAnnotation(t *testing.T) {
	report := claims(repeated(v1.Inconclusive, 4)...)
	for i := range report.Patterns[0].Claims {
		c := &report.Patterns[0].Claims[i]
		c.StartedAt, c.Summary, c.Probes, c.Reason = time.Time{}, "", 0, "install failed: no quota"
	}
	report.Patterns[0].Claims[3].Reason = "another"
	report.Patterns[0].Error = "install failed: no quota" // which the claims carry
	want := "::warning title=shop%3A SH1%2C SH2%2C SH3 inconclusive::install failed: no quota\n::warning title=shop%3A SH4 inconclusive::another\n"
	if diff := cmp.Diff(want, annotations(t, report)); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestWhatIsWrongOutsideClaimsIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1.Report)
		want   string
	}{
		"run error":     {func(r *v1.Report) { r.Run.Error = "gone" }, "::error title=meshproof run::gone\n"},
		"interrupted":   {func(r *v1.Report) { r.Run.Interrupted = "SIGTERM" }, "::error title=meshproof run::the run was interrupted (SIGTERM)\n"},
		"killed":        {func(r *v1.Report) { r.Run.Complete = false }, "::error title=meshproof run::the run ended (killed) before it was complete\n"},
		"pattern error": {func(r *v1.Report) { r.Patterns[0].Error = "exited" }, "::error title=shop::exited\n"},
		"both the same": {func(r *v1.Report) { r.Patterns[0].Error = "exited"; r.Run.Error = "exited" }, "::error title=shop::exited\n"},
		"leftovers":     {func(r *v1.Report) { r.Patterns[0].Leftovers = []string{"Pod a/b", "Pod a/c"} }, "::error title=shop left something behind::Pod a/b%0APod a/c\n"},
	} {
		report := claims(v1.Passed)
		test.change(&report)
		if got := annotations(t, report); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if summary := Summary(report, results, MaxSummary); strings.Count(summary, "gone")+strings.Count(summary, "interrupted")+strings.Count(summary, "killed")+strings.Count(summary, "exited")+strings.Count(summary, "Pod a/b") == 0 {
			t.Errorf("%s: the summary does not tell:\n%s", name, summary)
		}
	}
}

// TestTheRunnerCutsMessages at 4,096 characters; the mark that something is missing has to be among them.
func TestTheRunnerCutsMessages(t *testing.T) {
	report := claims(v1.Failed)
	report.Patterns[0].Claims[0].Summary = strings.Repeat("ä", 2*maxMessage)
	_, message, _ := strings.Cut(strings.TrimSuffix(annotations(t, report), "\n"), "failed::")
	if n := len([]rune(message)); n != maxMessage || !strings.HasSuffix(message, "…") {
		t.Errorf("a message of %d characters that ends with %q", n, message[len(message)-5:])
	}
}

// TestTheSummaryFitsItsLimit: of one that is longer GitHub shows nothing.
func TestTheSummaryFitsItsLimit(t *testing.T) {
	report := claims(append(repeated(v1.Failed, 300), repeated(v1.Passed, 300)...)...)
	for i := range report.Patterns[0].Claims {
		report.Patterns[0].Claims[i].Evidence = []v1.Evidence{{Probe: "p", Items: []v1.EvidenceItem{{End: "gateway", Text: strings.Repeat("<&>", 100)}}}}
	}
	whole := Summary(report, results, MaxSummary)
	if strings.Contains(whole, "left out") || len(whole) > MaxSummary {
		t.Errorf("%d bytes, something left out: %t", len(whole), strings.Contains(whole, "left out"))
	}
	for _, limit := range []int{len(whole) - 1, 100_000, 5_000, maxEnd, maxEnd - 1, 0, -5} {
		text := Summary(report, results, limit)
		if len(text) > max(0, limit) {
			t.Errorf("limit %d: %d bytes", limit, len(text))
		}
		if limit >= maxEnd && !strings.HasSuffix(text, "GitHub shows no longer summary: see results/latest/report.json\n") {
			t.Errorf("limit %d: it does not tell what is left out, but ends %q", limit, text[max(0, len(text)-200):])
		}
		if strings.Count(text, "<details>") != strings.Count(text, "</details>") || strings.Count(text, "<pre>") != strings.Count(text, "</pre>") {
			t.Errorf("limit %d: not all that is opened is closed", limit)
		}
	}
}

// TestTextIsNoMarkdown: what a log holds was written by others.
func TestTextIsNoMarkdown(t *testing.T) {
	const hostile = "a|b `c` <img src=x> [d](e) **f**\n## g </pre></details>"
	report := claims(v1.Failed, v1.Passed)
	for i := range report.Patterns[0].Claims {
		c := &report.Patterns[0].Claims[i]
		c.Summary, c.Text, c.Reason, c.Cause = hostile, hostile, hostile, hostile
		c.Evidence = []v1.Evidence{{Probe: hostile, Items: []v1.EvidenceItem{{End: "x", Text: hostile}}}}
	}
	report.Patterns[0].Error = hostile
	text := Summary(report, results, MaxSummary)
	for _, bad := range []string{"<img", "\n## g"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in the summary:\n%s", bad, text)
		}
	}
	if strings.Count(text, "</details>") != 2 || strings.Count(text, "</pre>") != 1 {
		t.Errorf("text closed what it did not open:\n%s", text)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| FAIL") || strings.HasPrefix(line, "| pass") {
			if cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); cells != 5 {
				t.Errorf("a row of %d bars: %s", cells, line)
			}
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriteErrors(t *testing.T) {
	if err := WriteAnnotations(fullDisk{}, example.Report(), results); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("error %v", err)
	}
}
