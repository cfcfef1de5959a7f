package prom

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/meshproof/meshproof/internal/golden"
	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestGolden(t *testing.T) {
	events := example.Events()
	for name, report := range map[string]v1.Report{
		"finished":   example.Report(),
		"killed":     v1.Fold(events[:len(events)-8]),
		"no-cluster": v1.Fold([]v1.Event{events[0], {Time: example.At(1), Type: v1.RunFinished, Error: "no API server answers at https://127.0.0.1:6443"}}),
	} {
		t.Run(name, func(t *testing.T) {
			got := render(t, report)
			golden.Compare(t, filepath.Join("testdata", name+".prom"), string(got))
			if again := render(t, report); !bytes.Equal(got, again) {
				t.Error("rendering twice gives different bytes")
			}
		})
	}
}

// TestPromlintFindsNothing asks Prometheus' own linter, for the report of a run that was killed after each of its events.
func TestPromlintFindsNothing(t *testing.T) {
	events := example.Events()
	for n := range len(events) + 1 {
		problems, err := promlint.New(bytes.NewReader(render(t, v1.Fold(events[:n])))).Lint()
		if err != nil {
			t.Fatalf("after %d events: %v", n, err)
		}
		for _, problem := range problems {
			t.Errorf("after %d events: %s: %s", n, problem.Metric, problem.Text)
		}
	}
}

// TestSeriesStayTheSameFromRunToRun: or each run would begin new ones, and no graph would show a claim over time.
func TestSeriesStayTheSameFromRunToRun(t *testing.T) {
	first, second := example.Report(), example.Report()
	second.Run.ID, second.Run.Complete, second.Run.StartedAt = "20261123-000000-0000", false, example.At(86400)
	second.Cluster.UID, second.Cluster.Mesh.Proxy = "another", "1.41.0"
	for i := range second.Patterns {
		p := &second.Patterns[i]
		p.Error, p.Leftovers = "it died", nil
		for k := range p.Convergence {
			p.Convergence[k].Proxy += "-new"
		}
		for k := range p.Claims {
			c := &p.Claims[k]
			c.Verdict, c.Probes, c.Contrary, c.Seconds, c.Reason = v1.Inconclusive, 1, 1, 99, "other"
		}
	}
	names := func(report v1.Report) (names []string) {
		for name, family := range parse(t, render(t, report)) {
			for _, metric := range family.Metric {
				if name != "meshproof_run_info" {
					names = append(names, name+" "+labelsOf(metric))
				}
			}
		}
		slices.Sort(names)
		return names
	}
	if diff := cmp.Diff(names(first), names(second)); diff != "" {
		t.Errorf("series (-first +second):\n%s", diff)
	}
}

func TestEveryClaimHasExactlyOneVerdict(t *testing.T) {
	report := example.Report()
	report.Patterns[0].Claims[0].Verdict = "nonsense" // which is inconclusive everywhere
	got := map[string]string{}
	for _, metric := range parse(t, render(t, report))["meshproof_claim_verdict"].Metric {
		if labels := labels(metric); metric.Gauge.GetValue() == 1 {
			got[labels["alias"]] += labels["verdict"]
		}
	}
	want := map[string]string{"BG1": "inconclusive", "ME1": "passed", "ME2": "inconclusive", "ME3": "failed", "ME4": "skipped"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func TestAPhaseThatCameTwiceIsOneSeries(t *testing.T) {
	report := v1.Report{Patterns: []v1.Pattern{{Name: "p", Phases: []v1.Phase{
		{Name: "settle", Seconds: 1, Error: "late"}, {Name: "settle", Seconds: 2}, {Name: "install", Seconds: 4, Unfinished: true},
	}}}}
	families := parse(t, render(t, report))
	for name, want := range map[string]map[string]float64{
		"meshproof_phase_duration_seconds": {"settle": 3, "install": 4},
		"meshproof_phase_failed":           {"settle": 1, "install": 1},
	} {
		got := map[string]float64{}
		for _, metric := range families[name].Metric {
			got[labels(metric)["phase"]] += metric.Gauge.GetValue()
		}
		if diff := cmp.Diff(want, got); diff != "" || len(families[name].Metric) != len(want) {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsNotKnownHasNoSample(t *testing.T) {
	report := v1.Report{Patterns: []v1.Pattern{{Name: "p", Claims: []v1.Claim{{ID: "p/c", Seconds: math.NaN()}}}}}
	families := parse(t, render(t, report))
	for _, name := range []string{"meshproof_run_start_timestamp_seconds", "meshproof_claim_convergence_seconds", "meshproof_pattern_convergence_seconds", "meshproof_claim_duration_seconds"} {
		if family, found := families[name]; found {
			t.Errorf("%s has samples: %v", name, family.Metric)
		}
	}
	if len(families["meshproof_claim_verdict"].Metric) != len(verdicts) {
		t.Errorf("verdicts %v", families["meshproof_claim_verdict"])
	}
}

func TestHostileTextStaysOneLabel(t *testing.T) {
	hostile := "a\"} 1\nmeshproof_claim_verdict{x=\"\\ \xff"
	report := v1.Report{Cluster: v1.Cluster{Context: hostile}}
	metric := parse(t, render(t, report))["meshproof_run_info"].Metric[0]
	if got, want := labels(metric)["context"], strings.ToValidUTF8(hostile, "\uFFFD"); got != want {
		t.Errorf("context %q, want %q", got, want)
	}
}

// TestTheREADMEHasEveryMetric with its labels, and no other.
func TestTheREADMEHasEveryMetric(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`meshproof_") {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			told[strings.Trim(strings.TrimSpace(name), "`")] = strings.TrimSpace(cells[2])
		}
	}
	has := map[string]string{}
	for _, f := range families(v1.Report{}) {
		has[f.GetName()] = strings.Join(f.labels, ", ")
	}
	if diff := cmp.Diff(has, told); diff != "" {
		t.Errorf("metrics (-rendered +told by the README):\n%s", diff)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriteErrors(t *testing.T) {
	if err := Write(fullDisk{}, example.Report()); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("error %v", err)
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

func parse(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return families
}

func labels(metric *dto.Metric) map[string]string {
	found := map[string]string{}
	for _, pair := range metric.Label {
		found[pair.GetName()] = pair.GetValue()
	}
	return found
}

func labelsOf(metric *dto.Metric) string {
	var texts []string
	for _, pair := range metric.Label {
		texts = append(texts, pair.GetName()+"="+pair.GetValue())
	}
	return strings.Join(texts, " ")
}
