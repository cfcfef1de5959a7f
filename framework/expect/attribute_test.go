package expect

import (
	"testing"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/pattern"
)

// errorLine is a line of product about an answer 503, with this flag and server.
func errorLine(flag, host string) evidence.Line {
	line := evidence.Line{Hop: "product", Line: accesslog.Line{ResponseCode: 503, UpstreamCluster: cluster, UpstreamHost: host}}
	if flag != "" {
		line.Flags = []string{flag}
	}
	return line
}

// attributions are the lines by which each cause shows.
var attributions = map[pattern.Cause]evidence.Line{
	pattern.Overflow:          errorLine("UO", ""),
	pattern.NoCluster:         errorLine("NC", ""),
	pattern.RouteNotFound:     errorLine("NR", ""),
	pattern.Injected:          errorLine("FI", ""),
	pattern.NoHealthyUpstream: errorLine("UH", ""),
	pattern.UpstreamFailed:    errorLine("", "10.0.0.9:80"),
	pattern.WrongStatus:       errorLine("URX", "10.0.0.9:80"),
}

func TestEvery503HasItsCause(t *testing.T) {
	for want, line := range attributions {
		if got := Attribute(evidence.Flows{}, line); got != want {
			t.Errorf("flags %q: %s, want %s", line.Flags, got, want)
		}
	}
	ejected := evidence.Flows{Peaks: map[evidence.Counter]evidence.Reading{Ejections("product", cluster): {Value: 1, Known: true}}}
	if got := Attribute(ejected, errorLine("UH", "")); got != pattern.Ejected {
		t.Errorf("no healthy host while one is ejected: %s", got)
	}
}

func TestBeServedThroughAttributesWhatFailed(t *testing.T) {
	for want, line := range attributions {
		flows := evidence.Flows{List: answered(503)}
		flows.List[0].Lines = []evidence.Line{line}
		if got, _ := judgeOnce(t, BeServedThrough("product"), flows); got.Outcome != evidence.False || got.Cause != string(want) {
			t.Errorf("%s, cause %q, want %s", got.Outcome, got.Cause, want)
		}
		got, _ := judgeOnce(t, FailBecause("product", 503, want), flows)
		other, _ := judgeOnce(t, FailBecause("product", 503, pattern.Ejected), flows)
		if got.Outcome != evidence.True || other.Cause != string(pattern.OtherRefusal) {
			t.Errorf("%s: %s, and as another cause %q", want, got.Outcome, other.Cause)
		}
	}
	for name, test := range map[string]struct {
		flows []evidence.Flow
		want  pattern.Cause
	}{
		"served":    {answered(200), ""},
		"no line":   {answered(503), pattern.WrongStatus},
		"no answer": {answered(0), pattern.NotAnswered},
	} {
		if got, _ := judgeOnce(t, BeServedThrough("product"), evidence.Flows{List: test.flows}); got.Cause != string(test.want) {
			t.Errorf("%s: cause %q, want %q", name, got.Cause, test.want)
		}
	}
	if got, _ := judgeOnce(t, FailBecause("product", 503, pattern.Overflow), evidence.Flows{List: answered(200)}); got.Cause != string(pattern.NotRefused) {
		t.Errorf("what was served: cause %q", got.Cause)
	}
	if got, _ := judgeOnce(t, FailBecause("product", 503, pattern.Overflow), evidence.Flows{List: answered(503)}); got.Outcome != evidence.Unknown {
		t.Errorf("without a line: %s", got.Outcome)
	}
}

func TestBeBelow(t *testing.T) {
	gauge := Ejections("product", cluster)
	peak := func(value float64, known bool) evidence.Flows {
		return evidence.Flows{List: answered(200), Peaks: map[evidence.Counter]evidence.Reading{gauge: {Value: value, Known: known}}}
	}
	judgeLoads(t, BeBelow(gauge, 1), map[string]loadCase{
		"none":     {peak(0, true), evidence.True, ""},
		"one":      {peak(1, true), evidence.False, pattern.Ejected},
		"not told": {peak(0, false), evidence.Unknown, pattern.EvidenceMissing},
	})
}
