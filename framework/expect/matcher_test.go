package expect

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// verdictCase is what a matcher must say of some flows.
type verdictCase struct {
	flows   []evidence.Flow
	gaps    map[string]evidence.Gap
	outcome evidence.Outcome
	cause   pattern.Cause
	// detail is a part of the judgement's detail.
	detail string
}

// noLog is a gap of one hop.
func noLog(hop string) map[string]evidence.Gap {
	return map[string]evidence.Gap{hop: {Why: "proxy apps/x writes no access log", Remedy: "switch it on"}}
}

func judgeAll(t *testing.T, matcher func() types.GomegaMatcher, cases map[string]verdictCase) {
	t.Helper()
	judgeEvery(t, matcher, evidence.Flows{}, cases)
}

// judgeEvery is judgeAll of flows that have what flows has, and what the cases say.
func judgeEvery(t *testing.T, matcher func() types.GomegaMatcher, flows evidence.Flows, cases map[string]verdictCase) {
	t.Helper()
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			flows.List, flows.Gaps = test.flows, test.gaps
			got, _ := judgeOnce(t, matcher(), flows)
			if got.Outcome != test.outcome || got.Cause != string(test.cause) || !strings.Contains(got.Detail, test.detail) {
				t.Errorf("%s, cause %q: %s\nwant %s, cause %q: %s", got.Outcome, got.Cause, got.Detail, test.outcome, test.cause, test.detail)
			}
			if test.gaps != nil && test.outcome == evidence.Unknown && (!strings.Contains(got.Detail, "writes no access log") || got.Remedy != "switch it on") {
				t.Errorf("detail %q, remedy %q: the gap is not told", got.Detail, got.Remedy)
			}
		})
	}
}

// judgeOnce matches once and returns the judgement that was told, and whether the matcher succeeded.
func judgeOnce(t *testing.T, matcher types.GomegaMatcher, flows evidence.Flows) (evidence.Judgement, error) {
	t.Helper()
	var told []evidence.Judgement
	flows.Judge = func(judgement evidence.Judgement) { told = append(told, judgement) }
	success, err := matcher.Match(flows)
	if len(told) != 1 {
		t.Fatalf("%d judgements were told, want 1 (error %v)", len(told), err)
	}
	var inconclusive *Inconclusive
	if success != (told[0].Outcome == evidence.True) || errors.As(err, &inconclusive) != (told[0].Outcome == evidence.Unknown) {
		t.Errorf("success %t, error %v, for the outcome %s", success, err, told[0].Outcome)
	}
	return told[0], err
}

// answered are flows of probes with these statuses.
func answered(statuses ...int) []evidence.Flow {
	var flows []evidence.Flow
	for index, status := range statuses {
		flows = append(flows, evidence.Flow{Result: traffic.Result{Probe: traffic.Probe{ID: fmt.Sprintf("mp-BG1-0123456789ab-%d", index+1)}, Status: status}})
	}
	return flows
}

func TestContraryProbesAreCountedAndTheFirstIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		flows    []evidence.Flow
		detail   string
		contrary int
	}{
		"none":  {answered(200, 200, 200), "3 of 3 probes", 0},
		"one":   {answered(200, 503, 200), "probe 2 of 3 got status 503: ", 1},
		"three": {answered(200, 503, 404, 503), "probe 2 of 4 got status 503:  (and 2 more probes)", 3},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := judgeOnce(t, Answer(200), evidence.Flows{List: test.flows})
			if got.Detail != test.detail || len(got.Contrary) != test.contrary || got.Probes != len(test.flows) {
				t.Errorf("%q, %d contrary of %d; want %q, %d", got.Detail, len(got.Contrary), got.Probes, test.detail, test.contrary)
			}
		})
	}
}

// mixed judges "false" and "unknown" as the client's status says: 200 is true, 404 lacks evidence, all else is false.
func mixed() types.GomegaMatcher {
	return &flowMatcher{statement: "it holds", end: "client", judge: func(flows evidence.Flows, flow evidence.Flow) verdict {
		switch flow.Result.Status {
		case 200:
			return holds()
		case 404:
			return lacks(flows, "page", "has no line")
		}
		return contradicts(string(pattern.WrongStatus), "got %d", flow.Result.Status)
	}}
}

func TestFalseWinsOverUnknown(t *testing.T) {
	for name, test := range map[string]struct {
		statuses []int
		outcome  evidence.Outcome
		detail   string
		contrary []int
	}{
		"unknown first":   {[]int{404, 404, 503, 200}, evidence.False, "probe 3 of 4 got 503", []int{503}},
		"false first":     {[]int{503, 404, 500, 404}, evidence.False, "probe 1 of 4 got 503 (and 1 more probes)", []int{503, 500}},
		"unknown between": {[]int{503, 404, 503}, evidence.False, "probe 1 of 3 got 503 (and 1 more probes)", []int{503, 503}},
		"unknown alone":   {[]int{200, 404, 404}, evidence.Unknown, "probe 2 of 3 has no line (and 1 more probes)", []int{404, 404}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := judgeOnce(t, mixed(), evidence.Flows{List: answered(test.statuses...)})
			var contrary []int
			for _, flow := range got.Contrary {
				contrary = append(contrary, flow.Result.Status)
			}
			if got.Outcome != test.outcome || got.Detail != test.detail {
				t.Errorf("%s: %s; want %s: %s", got.Outcome, got.Detail, test.outcome, test.detail)
			}
			if diff := cmp.Diff(test.contrary, contrary); diff != "" {
				t.Errorf("contrary (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInconclusiveTellsStatementReasonAndRemedy(t *testing.T) {
	got, err := judgeOnce(t, mixed(), evidence.Flows{List: answered(404), Gaps: noLog("page")})
	want := "inconclusive: it holds: probe 1 of 1 has no line: proxy apps/x writes no access log; to judge it, switch it on"
	if err.Error() != want {
		t.Errorf("error %q\nwant  %q", err, want)
	}
	if got.Cause != string(pattern.EvidenceMissing) || got.End != "client" || got.Statement != "it holds" {
		t.Errorf("judgement %+v", got)
	}
	if _, err = judgeOnce(t, mixed(), evidence.Flows{List: answered(404)}); err.Error() != "inconclusive: it holds: probe 1 of 1 has no line" {
		t.Errorf("error without a gap %q", err)
	}
}

func TestInconclusiveFailsTheSpecWhicheverWayTheAssertionIsTurned(t *testing.T) {
	flows := evidence.Flows{List: answered(404)}
	for name, assert := range map[string]func(gomega.Gomega){
		"To":    func(g gomega.Gomega) { g.Expect(flows).To(mixed()) },
		"NotTo": func(g gomega.Gomega) { g.Expect(flows).NotTo(mixed()) },
	} {
		t.Run(name, func(t *testing.T) {
			var failures []string
			assert(gomega.NewGomega(func(message string, _ ...int) { failures = append(failures, message) }))
			if len(failures) != 1 || !strings.Contains(failures[0], "inconclusive: it holds") {
				t.Errorf("failures %q, want one that says inconclusive", failures)
			}
		})
	}
}

func TestWrongInputIsAnErrorAndNoJudgement(t *testing.T) {
	for name, matcher := range map[string]types.GomegaMatcher{
		"Answer": Answer(200), "PassThrough": PassThrough("gateway", "c"), "ArriveAt": ArriveAt("page", "gateway"), "Serve": Serve("page"),
		"ComeAs": ComeAs("page", "spiffe://a"), "BeCounted": BeCounted(requests), "BeRefused": BeRefused(pattern.RouteNotFound),
		"ComeUnidentified": ComeUnidentified("page"), "BeRefusedBy": BeRefusedBy("gateway", pattern.RouteNotFound), "NeverReach": NeverReach("page"),
	} {
		told := 0
		judge := func(evidence.Judgement) { told++ }
		for what, test := range map[string]struct {
			actual any
			says   string
		}{
			"no flows":    {evidence.Flows{Judge: judge}, "there is no probe to judge: "},
			"a flow":      {evidence.Flow{}, "this matcher judges evidence.Flows, not evidence.Flow"},
			"a pointer":   {&evidence.Flows{List: answered(200), Judge: judge}, "not *evidence.Flows"},
			"nil":         {nil, "not <nil>"},
			"many probes": {answered(200), "not []evidence.Flow"},
		} {
			t.Run(name+" of "+what, func(t *testing.T) {
				success, err := matcher.Match(test.actual)
				if success || err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("success %t, error %v; want one that says %q", success, err, test.says)
				}
				var inconclusive *Inconclusive
				if errors.As(err, &inconclusive) || told > 0 {
					t.Errorf("error %v, %d judgements: an author's mistake is not a judgement", err, told)
				}
			})
		}
	}
}

func TestFlowsWithoutAJudgeCanBeMatched(t *testing.T) {
	if success, err := Answer(200).Match(evidence.Flows{List: answered(200)}); !success || err != nil {
		t.Errorf("success %t, error %v", success, err)
	}
}

func TestFailureMessagesTellTheJudgementWithoutLookingAgain(t *testing.T) {
	looked := 0
	matcher := &flowMatcher{statement: "it holds", judge: func(_ evidence.Flows, flow evidence.Flow) verdict {
		looked++
		return contradicts("wrong-status", "got %d", flow.Result.Status)
	}}
	flows := evidence.Flows{List: answered(503)}
	if _, err := matcher.Match(flows); err != nil {
		t.Fatal(err)
	}
	flows.List[0].Result.Status = 200
	if got, want := matcher.FailureMessage(nil), "Not true: it holds\nprobe 1 of 1 got 503\ncause: wrong-status"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if got, want := matcher.NegatedFailureMessage(nil), "True, though it must not be: it holds (probe 1 of 1 got 503)"; got != want {
		t.Errorf("negated message %q, want %q", got, want)
	}
	if looked != 1 {
		t.Errorf("looked %d times, want once", looked)
	}
}

func TestEveryJudgementNamesItsEnd(t *testing.T) {
	ends := map[string]types.GomegaMatcher{
		"client": Answer(200), "gateway log": PassThrough("gateway", "c"), "page sidecar log": ArriveAt("page", "gateway"), "page server": Serve("page"),
		"peer certificate": ComeAs("page", "spiffe://a"), "gateway statistics": BeCounted(requests), "page silent": NeverReach("page"),
		"router": Each("it holds", "router", pattern.WrongStatus, func(evidence.Flow) string { return "" }),
	}
	for end, matcher := range ends {
		if got, _ := judgeOnce(t, matcher, evidence.Flows{List: answered(200)}); got.End != end {
			t.Errorf("%q rests on %q, want %q", got.Statement, got.End, end)
		}
	}
}

// What came twice because an application asked again says that something was slow, and not who repeats.
func TestWhatAnApplicationAsksAgainIsNoRepetition(t *testing.T) {
	page := func(again string) evidence.Record {
		return evidence.Record{Hop: "productpage", Request: record.Request{Service: "productpage", AskedAgain: again}}
	}
	twice := lines(at("gateway", cluster), at("gateway", cluster))
	for name, test := range map[string]struct {
		records []evidence.Record
		outcome evidence.Outcome
		cause   pattern.Cause
	}{
		"nobody asked again": {[]evidence.Record{page("")}, evidence.False, pattern.Repeated},
		"no record":          {nil, evidence.False, pattern.Repeated},
		"it asked again":     {[]evidence.Record{page("reviews")}, evidence.Unknown, pattern.Environment},
	} {
		t.Run(name, func(t *testing.T) {
			twice[0].Records = test.records
			got, _ := judgeOnce(t, PassThrough("gateway", cluster), evidence.Flows{List: twice})
			if got.Outcome != test.outcome || got.Cause != string(test.cause) {
				t.Errorf("%s, cause %q: %s; want %s, %q", got.Outcome, got.Cause, got.Detail, test.outcome, test.cause)
			}
		})
	}
	twice[0].Records = []evidence.Record{page("reviews")}
	if got, _ := judgeOnce(t, PassThrough("gateway", cluster+"."), evidence.Flows{List: lines(at("gateway", cluster))}); got.Outcome != evidence.False {
		t.Errorf("another cluster is %s", got.Outcome)
	}
}
