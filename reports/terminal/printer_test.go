package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/internal/golden"
	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

const resultsPath = "results/latest/index.html"

// live shows events as they come and the summary of what they fold into.
func live(p *Printer, events []v1.Event) {
	for _, e := range events {
		p.Event(e)
	}
	p.Summary(v1.Fold(events), resultsPath)
}

func TestGolden(t *testing.T) {
	events := example.Events()
	single := onlyMongo()
	killed := events[:len(events)-11]
	for name, tc := range map[string]struct {
		options Options
		show    func(*Printer)
	}{
		"live":          {Options{Results: "results/latest"}, func(p *Printer) { live(p, single) }},
		"live-colour":   {Options{Colour: true, Results: "results/latest/"}, func(p *Printer) { live(p, single) }},
		"live-80":       {Options{Width: 80}, func(p *Printer) { live(p, single) }},
		"live-narrow":   {Options{Width: 40, Colour: true}, func(p *Printer) { live(p, single) }},
		"multiple":      {Options{Width: 110, MultiplePatterns: true}, func(p *Printer) { live(p, events) }},
		"multiple-80":   {Options{Width: 80, MultiplePatterns: true}, func(p *Printer) { live(p, events) }},
		"killed-live":   {Options{Width: 100}, func(p *Printer) { live(p, killed) }},
		"killed-report": {Options{Width: 100}, func(p *Printer) { p.Report(v1.Fold(killed), "") }},
		"report":        {Options{}, func(p *Printer) { p.Report(example.Report(), resultsPath) }},
		"install-failed": {Options{Colour: true}, func(p *Printer) {
			live(p, []v1.Event{
				single[0], single[1], {Type: v1.PatternSeeded, Time: example.At(1), Pattern: seeded()},
				{Type: v1.PhaseFinished, Time: example.At(2), PatternName: "p", Phase: &v1.Phase{Name: "install", Seconds: 61.23, Detail: "12 objects", Error: "pod mongo-0 is not ready after 60 s:\nImagePullBackOff"}},
				{Type: v1.PatternFinished, Time: example.At(2), PatternName: "p", Error: "install failed: pod mongo-0 is not ready after 60 s:\nImagePullBackOff"},
				{Type: v1.RunFinished, Time: example.At(3)},
			})
		}},
		"child-died": {Options{}, func(p *Printer) {
			live(p, []v1.Event{
				single[0], {Type: v1.PatternSeeded, Time: example.At(1), Pattern: seeded()},
				{Type: v1.PhaseStarted, Time: example.At(1), PatternName: "p", Phase: &v1.Phase{Name: "install"}},
				{Type: v1.PatternFinished, Time: example.At(2), PatternName: "p", Error: "the pattern's process was killed (signal 9)"},
				{Type: v1.RunFinished, Time: example.At(3), Run: &v1.Run{Interrupted: "SIGINT"}},
			})
		}},
		"killed-in-install": {Options{Colour: true}, func(p *Printer) {
			p.Report(v1.Fold([]v1.Event{
				single[0], {Type: v1.PatternSeeded, Time: example.At(1), Pattern: seeded()},
				{Type: v1.PhaseStarted, Time: example.At(1), PatternName: "p", Phase: &v1.Phase{Name: "install"}},
				{Type: v1.Note, Time: example.At(4)},
			}), "")
		}},
		"no-cluster": {Options{}, func(p *Printer) {
			live(p, []v1.Event{single[0], {Type: v1.RunFinished, Time: example.At(1.25), Error: "no API server answers at https://127.0.0.1:6443"}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			tc.show(New(&b, tc.options))
			got := b.String()
			checkLines(t, got, tc.options.Width)
			golden.Compare(t, filepath.Join("testdata", name+".txt"), got)
		})
	}
}

// onlyMongo is the example as a run of one pattern, with the cluster known from the start.
func onlyMongo() []v1.Event {
	var run, cluster, rest []v1.Event
	for _, e := range example.Events() {
		switch {
		case e.Type == v1.ClusterIdentified:
			cluster = append(cluster, e)
		case e.Type == v1.RunStarted:
			run = append(run, e)
		case e.PatternName == "mongo-egress" || e.Type == v1.RunFinished:
			rest = append(rest, e)
		}
	}
	return append(append(run, cluster...), rest...)
}

func seeded() *v1.Pattern {
	return &v1.Pattern{Name: "p", Claims: []v1.Claim{{ID: "p/one", Alias: "P1", Text: "one"}, {ID: "p/the-other", Alias: "P10", Text: "two"}}}
}

// checkLines holds for all output: no trailing space, and no line longer than columns but for a single word, with its
// label, that cannot be broken.
func checkLines(t *testing.T, out string, columns int) {
	t.Helper()
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		plain := escapes.ReplaceAllString(line, "")
		if strings.HasSuffix(plain, " ") {
			t.Errorf("trailing space: %q", line)
		}
		last := plain[strings.LastIndexByte(plain, ' ')+1:]
		if columns > 0 && width(plain) > columns && width(last) <= minWidth/2 {
			t.Errorf("%d columns: %q", width(plain), line)
		}
	}
}

func TestVerdictsAreTellableWithoutColour(t *testing.T) {
	words := map[string]bool{}
	for _, v := range []v1.Verdict{v1.Passed, v1.Failed, v1.Inconclusive, v1.Skipped} {
		text, _ := word(v)
		words[text] = true
	}
	if len(words) != 4 {
		t.Errorf("words = %v", words)
	}
	var plain, colour bytes.Buffer
	live(New(&plain, Options{Width: 80}), example.Events())
	live(New(&colour, Options{Width: 80, Colour: true}), example.Events())
	if diff := cmp.Diff(plain.String(), escapes.ReplaceAllString(colour.String(), "")); diff != "" {
		t.Errorf("colour changes more than colour:\n%s", diff)
	}
}

func TestManyContraryProbes(t *testing.T) {
	c := v1.Claim{ID: "p/one", Alias: "P1", Text: "t", Verdict: v1.Failed, Summary: "5 of 5 contrary"}
	for i := range 5 {
		c.Evidence = append(c.Evidence, v1.Evidence{Probe: fmt.Sprintf("probe-%d", i), Items: []v1.EvidenceItem{{End: "server", Text: "seen"}}})
	}
	out := show(Options{}, v1.Event{Type: v1.ClaimFinished, PatternName: "p", Claim: &c})
	if !strings.Contains(out, "probe-0") || strings.Contains(out, "probe-1") || !strings.Contains(out, "evidence of 4 more probes is in the report") {
		t.Error(out)
	}
}

func TestFailureWithoutEvidenceShowsItsJudgements(t *testing.T) {
	out := show(Options{}, v1.Event{Type: v1.ClaimFinished, PatternName: "p", Claim: &v1.Claim{
		ID: "p/one", Verdict: v1.Failed, Reason: "no", Judgements: []v1.Judgement{{Statement: "good", Verdict: v1.Passed}, {Statement: "bad", Verdict: v1.Failed, Detail: "3 of 4"}}}})
	if !strings.Contains(out, "judged    bad: 3 of 4\n") || strings.Contains(out, "good") || strings.Count(out, "no\n") != 1 {
		t.Error(out)
	}
}

func TestHostileText(t *testing.T) {
	hostile := "a\x1b[31mb\x07c\xffd\re\u202ef\tg\nh\r\ni"
	claim := v1.Claim{ID: "p/" + hostile, Alias: hostile, Text: hostile, Verdict: v1.Failed, Summary: hostile, Reason: hostile + ".", Cause: hostile, Look: hostile, Remedy: hostile,
		Evidence: []v1.Evidence{{Probe: hostile, Items: []v1.EvidenceItem{{End: hostile, Text: hostile}}}}}
	events := []v1.Event{
		{Type: v1.RunStarted, Run: &v1.Run{ID: hostile, Version: hostile}, Cluster: &v1.Cluster{Provider: hostile, Name: hostile, APIServer: hostile, Mesh: v1.Mesh{Flavour: hostile, Proxy: hostile}}},
		{Type: v1.PhaseFinished, PatternName: hostile, Phase: &v1.Phase{Name: hostile, Detail: hostile, Error: hostile}},
		{Type: v1.Note, Message: hostile},
		{Type: v1.ClaimFinished, PatternName: hostile, Claim: &claim},
		{Type: v1.PatternFinished, PatternName: hostile, Error: "other", Leftovers: []string{hostile}},
	}
	for _, columns := range []int{0, 60} {
		out := show(Options{MultiplePatterns: true, Width: columns}, events...)
		if !utf8.ValidString(out) || strings.ContainsAny(out, "\x1b\x07\r\t\u202e") {
			t.Errorf("control characters get through: %q", out)
		}
		for line := range strings.Lines(out) {
			// Only text may have several lines, and those are indented: a name that starts a line could forge a verdict.
			if strings.HasPrefix(line, "h\n") || strings.HasPrefix(line, "i") {
				t.Errorf("a name broke its line: %q", line)
			}
		}
		checkLines(t, out, 0)
	}
}

func TestEventsWithoutPartsHaveNoLines(t *testing.T) {
	for _, typ := range []v1.EventType{v1.RunStarted, v1.PatternSeeded, v1.PhaseStarted, v1.PhaseFinished, v1.Converged, v1.ClaimStarted, v1.ClaimFinished, v1.PatternFinished, v1.RunFinished, "eclipse"} {
		if out := show(Options{}, v1.Event{Type: typ}); out != "" {
			t.Errorf("%s: %q", typ, out)
		}
	}
}

func TestClusterIsShownAgainWhenMoreIsKnown(t *testing.T) {
	out := show(Options{},
		v1.Event{Type: v1.RunStarted, Run: &v1.Run{ID: "r"}, Cluster: &v1.Cluster{Provider: "kubeconfig", Context: "prod", Mesh: v1.Mesh{Flavour: "istio", Version: "1.31"}}},
		v1.Event{Type: v1.ClusterIdentified, Cluster: &v1.Cluster{Mesh: v1.Mesh{Flavour: "istio"}}},
		v1.Event{Type: v1.ClusterIdentified, Cluster: &v1.Cluster{Mesh: v1.Mesh{Proxy: "Envoy 1.40.0"}}})
	want := "meshproof · run r · context \"prod\" · Istio 1.31\ncluster     context \"prod\" · Istio 1.31 (Envoy 1.40.0)\n"
	if out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

// lines counts writes, so that a test can see that an event's lines came in one.
type lines struct {
	writes []string
}

func (l *lines) Write(b []byte) (int, error) {
	l.writes = append(l.writes, string(b))
	return len(b), nil
}

func TestLinesOfAnEventStayTogether(t *testing.T) {
	w := &lines{}
	p := New(w, Options{})
	p.Event(v1.Event{Type: v1.RunStarted, Run: &v1.Run{ID: "r"}, Cluster: &v1.Cluster{Provider: "lab"}})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			p.Event(v1.Event{Type: v1.ClaimFinished, PatternName: "p", Claim: &v1.Claim{ID: fmt.Sprintf("p/%d", i), Verdict: v1.Failed, Text: "t", Summary: "s", Cause: "c"}})
		})
	}
	wg.Wait()
	if len(w.writes) != 21 {
		t.Fatalf("%d writes", len(w.writes))
	}
	for _, write := range w.writes[1:] {
		if strings.Count(write, "\n") != 3 || !strings.HasPrefix(write, "  FAIL") {
			t.Errorf("write %q", write)
		}
	}
}

type brokenPipe struct{ writes int }

func (w *brokenPipe) Write([]byte) (int, error) {
	w.writes++
	return 0, io.ErrClosedPipe
}

func TestErr(t *testing.T) {
	w := &brokenPipe{}
	p := New(w, Options{})
	live(p, example.Events())
	if !errors.Is(p.Err(), io.ErrClosedPipe) || w.writes != 1 {
		t.Errorf("Err = %v after %d writes", p.Err(), w.writes)
	}
}

func show(o Options, events ...v1.Event) string {
	var b bytes.Buffer
	p := New(&b, o)
	for _, e := range events {
		p.Event(e)
	}
	return b.String()
}
