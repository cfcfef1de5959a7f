package run

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// specReport is the end of a spec.
func specReport(state types.SpecState, message string) types.SpecReport {
	return types.SpecReport{State: state, Failure: types.Failure{Message: message}}
}

// flowsOf are flows of as many probes as there are IDs.
func flowsOf(ids ...string) []evidence.Flow {
	var flows []evidence.Flow
	for _, id := range ids {
		flows = append(flows, evidence.Flow{Result: traffic.Result{Probe: traffic.Probe{ID: id}, Status: 200}})
	}
	return flows
}

// evidenceOf are the flows of flowsOf as a report tells them.
func evidenceOf(ids ...string) []v1.Evidence {
	var told []v1.Evidence
	for _, id := range ids {
		told = append(told, v1.Evidence{Probe: id, Items: []v1.EvidenceItem{{End: "client", Text: "- -> - status 200 after 0 ms"}}})
	}
	return told
}

func TestJudge(t *testing.T) {
	isTrue := evidence.Judgement{Statement: "it answers", End: "client", Outcome: evidence.True, Detail: "20 of 20 probes", Probes: 20}
	alsoTrue := evidence.Judgement{Statement: "it passes", End: "gateway log", Outcome: evidence.True, Detail: "20 of 20 probes", Probes: 20}
	isFalse := evidence.Judgement{Statement: "it arrives", End: "page log", Outcome: evidence.False, Detail: "probe 3 of 20 did not", Cause: "bypassed",
		Contrary: flowsOf("p3"), Probes: 20}
	unknown := evidence.Judgement{Statement: "it is served", End: "page server", Outcome: evidence.Unknown, Detail: "probe 1 of 20 has no record", Cause: "evidence-missing",
		Remedy: "switch it on", Contrary: flowsOf("p1", "p2", "p3", "p4"), Probes: 20}
	told := map[string]v1.Judgement{
		"true": {Statement: "it answers", Verdict: v1.Passed, Detail: "20 of 20 probes"}, "also": {Statement: "it passes", Verdict: v1.Passed, Detail: "20 of 20 probes"},
		"false":   {Statement: "it arrives", Verdict: v1.Failed, Detail: "probe 3 of 20 did not"},
		"trouble": {Statement: "the address comes back", Verdict: v1.Inconclusive, Detail: "another has it"},
		"unknown": {Statement: "it is served", Verdict: v1.Inconclusive, Detail: "probe 1 of 20 has no record"},
	}
	sample := flowsOf("p1")[0]
	failed := v1.Claim{Verdict: v1.Failed, Cause: "bypassed", Reason: "not true: it arrives", Summary: "probe 3 of 20 did not", Probes: 20, Contrary: 1, Evidence: evidenceOf("p3")}
	notKnown := v1.Claim{Verdict: v1.Inconclusive, Cause: "evidence-missing", Reason: "not known: it is served", Summary: "probe 1 of 20 has no record",
		Remedy: "switch it on", Probes: 20, Contrary: 4, Evidence: evidenceOf("p1", "p2", "p3")}
	for name, test := range map[string]struct {
		report     types.SpecReport
		judgements []evidence.Judgement
		sample     *evidence.Flow
		want       v1.Claim
		judged     []string
	}{
		"passed": {
			specReport(types.SpecStatePassed, ""), []evidence.Judgement{isTrue, alsoTrue, isTrue}, &sample,
			v1.Claim{Verdict: v1.Passed, Summary: "20 of 20 probes: client = gateway log", Probes: 20, Evidence: evidenceOf("p1")}, []string{"true", "also", "true"},
		},
		"passed, by a statement that had to be false": {
			specReport(types.SpecStatePassed, ""), []evidence.Judgement{isFalse}, nil,
			v1.Claim{Verdict: v1.Passed, Summary: "20 of 20 probes: page log", Probes: 20}, []string{"false"},
		},
		"passed, on a cluster in trouble": {
			specReport(types.SpecStatePassed, ""), []evidence.Judgement{isFalse, {Statement: "the address comes back", Outcome: evidence.Unknown, Cause: "environment", Detail: "another has it"}}, nil,
			v1.Claim{Verdict: v1.Inconclusive, Reason: "not known: the address comes back", Cause: "environment", Summary: "another has it", Probes: 20}, []string{"false", "trouble"},
		},
		"passed, and judged nothing": {
			specReport(types.SpecStatePassed, ""), nil, &sample,
			v1.Claim{Verdict: v1.Inconclusive, Reason: "the check judged no probe", Cause: "evidence-missing"}, nil,
		},
		"contradicted": {specReport(types.SpecStateFailed, "Not true: it arrives"), []evidence.Judgement{isTrue, isFalse}, &sample, failed, []string{"true", "false"}},
		"contradicted, though evidence is missing before": {
			specReport(types.SpecStateFailed, "Not true"), []evidence.Judgement{unknown, isFalse}, nil, failed, []string{"unknown", "false"},
		},
		"contradicted, and then interrupted":  {specReport(types.SpecStateInterrupted, "Interrupted by User"), []evidence.Judgement{isFalse}, nil, failed, []string{"false"}},
		"evidence is missing":                 {specReport(types.SpecStateFailed, "inconclusive"), []evidence.Judgement{isTrue, unknown}, &sample, notKnown, []string{"true", "unknown"}},
		"evidence is missing, and time is up": {specReport(types.SpecStateTimedout, "A node timeout occurred"), []evidence.Judgement{unknown}, nil, notKnown, []string{"unknown"}},
		"an assertion of the author's own": {
			specReport(types.SpecStateFailed, "Expected\n    1\nto equal\n    2"), []evidence.Judgement{isTrue}, &sample,
			v1.Claim{Verdict: v1.Failed, Reason: "Expected\n    1\nto equal\n    2", Summary: "Expected", Probes: 20}, []string{"true"},
		},
		"a panic": {
			types.SpecReport{State: types.SpecStatePanicked, Failure: types.Failure{Message: "Test Panicked", ForwardedPanic: "index out of range\nstack"}}, []evidence.Judgement{isTrue}, nil,
			v1.Claim{Verdict: v1.Inconclusive, Cause: "environment", Reason: "the check panicked: Test Panicked index out of range", Probes: 20}, []string{"true"},
		},
		"a time-out": {
			specReport(types.SpecStateTimedout, "A node timeout occurred\nafter 5s"), nil, nil,
			v1.Claim{Verdict: v1.Inconclusive, Cause: "environment", Reason: "the check timedout: A node timeout occurred"}, nil,
		},
		"an interruption": {
			specReport(types.SpecStateInterrupted, "Interrupted by User"), nil, nil,
			v1.Claim{Verdict: v1.Inconclusive, Cause: "environment", Reason: "the check interrupted: Interrupted by User"}, nil,
		},
		"an abort": {
			specReport(types.SpecStateAborted, "enough"), nil, nil,
			v1.Claim{Verdict: v1.Inconclusive, Cause: "environment", Reason: "the check aborted: enough"}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			seeded := v1.Claim{ID: "shop/is-open", Alias: "SH1"}
			want := test.want
			want.ID, want.Alias = seeded.ID, seeded.Alias
			for _, key := range test.judged {
				want.Judgements = append(want.Judgements, told[key])
			}
			got := judge(seeded, test.report, pattern.Outcome{Judgements: test.judgements, Sample: test.sample})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claim (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudgeTellsWhenAndHowLong(t *testing.T) {
	started, after := time.Date(2026, 11, 22, 16, 4, 5, 0, time.UTC), 700*time.Millisecond
	report := types.SpecReport{State: types.SpecStatePassed, StartTime: started, RunTime: 1500 * time.Millisecond}
	got := judge(v1.Claim{}, report, pattern.Outcome{TrueAfter: &after})
	if got.StartedAt != started || got.Seconds != 1.5 || got.TrueAfterSeconds == nil || *got.TrueAfterSeconds != 0.7 {
		t.Errorf("started %s, took %v s, true after %v s", got.StartedAt, got.Seconds, got.TrueAfterSeconds)
	}
	if got := judge(v1.Claim{}, report, pattern.Outcome{}); got.TrueAfterSeconds != nil {
		t.Errorf("true after %v s, though the control never succeeded", *got.TrueAfterSeconds)
	}
}

func TestDescribeFlow(t *testing.T) {
	flow := evidence.Flow{
		Result: traffic.Result{
			Probe: traffic.Probe{ID: "mp-SH1-0123456789ab-1"}, Status: 200, Duration: 12 * time.Millisecond, LocalAddress: "10.0.0.9:50000", RemoteAddress: "10.0.0.1:80",
		},
		Lines: []evidence.Line{
			{Hop: "gateway", Pod: "gateway-1", Raw: "raw line", Before: "10.0.0.9:50000", Line: accesslog.Line{
				DownstreamRemote: "10.0.0.9:1077", UpstreamHost: "10.0.0.7:9080", UpstreamCluster: "outbound|9080||page.lab", ResponseCode: 200}},
			{Hop: "page", Line: accesslog.Line{UpstreamCluster: "inbound|9080||"}},
			{Hop: "page"},
		},
		Records: []evidence.Record{{Hop: "page", LogPod: "page-1", Request: record.Request{
			Service: "page", Version: "v1", Peer: "127.0.0.6:40000", Status: 200, Path: "/p", Host: "page.lab", Header: map[string]string{"X-Request-Id": "r1"}}}},
	}
	want := v1.Evidence{Probe: "mp-SH1-0123456789ab-1", Items: []v1.EvidenceItem{
		{End: "client", Text: "10.0.0.9:50000 -> 10.0.0.1:80 status 200 after 12 ms"},
		{End: "gateway", Text: "out: 10.0.0.9:1077 (translated from 10.0.0.9:50000) -> 10.0.0.7:9080 cluster outbound|9080||page.lab status 200", Fields: map[string]string{"line": "raw line", "pod": "gateway-1", "cluster": "outbound|9080||page.lab"}},
		{End: "page", Text: "in: - -> - cluster inbound|9080|| status 0", Fields: map[string]string{"line": "", "pod": "", "cluster": "inbound|9080||"}},
		{End: "page", Text: "out: - -> - cluster - status 0", Fields: map[string]string{"line": "", "pod": "", "cluster": ""}},
		{End: "server", Text: "page v1 in pod page-1, status 200, peer certificate -", Fields: map[string]string{"path": "/p", "host": "page.lab", "X-Request-Id": "r1"}},
	}}
	if diff := cmp.Diff(want, describeFlow(flow)); diff != "" {
		t.Errorf("described (-want +got):\n%s", diff)
	}
}

func TestDescribeFlowWithoutAWholeAnswer(t *testing.T) {
	got := describeFlow(evidence.Flow{Result: traffic.Result{Status: 200, Err: "unexpected EOF"}})
	if want := "- -> - status 200, and no whole answer: unexpected EOF after 0 ms"; got.Items[0].Text != want {
		t.Errorf("%q, want %q", got.Items[0].Text, want)
	}
}
