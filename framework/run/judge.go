package run

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// judge makes the verdict of a claim from the end of its spec and the judgements made in it.
//
// A spec that passed without any judgement has proven nothing, and one whose cluster was in trouble not all. One that failed has failed its claim only when a judgement
// was contradicted, or an assertion of the author's own was; a panic, a time-out, an interruption and missing evidence say
// nothing of the mesh, and leave the claim inconclusive.
func judge(claim v1.Claim, report types.SpecReport, outcome pattern.Outcome) v1.Claim {
	claim.StartedAt, claim.Seconds = report.StartTime, report.RunTime.Seconds()
	if outcome.TrueAfter != nil {
		seconds := outcome.TrueAfter.Seconds()
		claim.TrueAfterSeconds = &seconds
	}
	claim.MedianLatency = medianLatency(outcome.Latencies)
	claim.Findings = outcome.Findings
	for _, way := range outcome.Ways {
		claim.Ways = append(claim.Ways, v1.Way{Name: way.Name, From: way.From, To: way.To, Redirected: way.Redirected, Open: way.Open, Cause: string(way.Cause), Control: way.Control})
	}
	for _, c := range outcome.Ceilings {
		claim.Ceilings = append(claim.Ceilings, v1.Ceiling{
			Subset: c.Subset, Configured: c.Configured, Ceiling: c.Most(), Proxies: c.Proxies, Workers: c.Workers, Endpoints: c.Endpoints,
			Offered: c.Offered, Measured: c.Measured, Queued: c.Queued, Overflowed: c.Overflowed, Rejected: c.Rejected,
		})
	}
	var ends []string
	for _, judgement := range outcome.Judgements {
		claim.Judgements = append(claim.Judgements, v1.Judgement{Statement: judgement.Statement, Verdict: verdictOf(judgement.Outcome), Detail: judgement.Detail})
		claim.Probes = cmp.Or(claim.Probes, judgement.Probes) // later ones may be about controls
		if !slices.Contains(ends, judgement.End) {
			ends = append(ends, judgement.End)
		}
	}
	decisive, found := decisiveJudgement(outcome.Judgements)
	if report.State == types.SpecStatePassed {
		decisive, found = trouble(outcome.Judgements) // a matcher that had to be false is no reason
	}
	switch {
	case report.State == types.SpecStatePassed && len(outcome.Judgements) == 0:
		claim.Verdict, claim.Reason, claim.Cause = v1.Inconclusive, "the check judged no probe", string(pattern.EvidenceMissing)
	case report.State == types.SpecStatePassed && !found:
		claim.Verdict, claim.Summary = v1.Passed, fmt.Sprintf("%d of %d probes: %s", claim.Probes, claim.Probes, strings.Join(ends, " = "))
		if outcome.Sample != nil {
			claim.Evidence = []v1.Evidence{describeFlow(*outcome.Sample)}
		}
	case found && decisive.Outcome == evidence.False:
		claim.Verdict, claim.Cause, claim.Summary = v1.Failed, decisive.Cause, decisive.Detail
		claim.Reason = "not true: " + decisive.Statement
		claim.Contrary, claim.Evidence = len(decisive.Contrary), describeFlows(decisive.Contrary)
	case found:
		claim.Verdict, claim.Cause, claim.Summary, claim.Remedy = v1.Inconclusive, decisive.Cause, decisive.Detail, decisive.Remedy
		claim.Reason = "not known: " + decisive.Statement
		claim.Contrary, claim.Evidence = len(decisive.Contrary), describeFlows(decisive.Contrary)
	case report.State == types.SpecStateFailed:
		claim.Verdict, claim.Reason = v1.Failed, report.Failure.Message
		claim.Summary = firstLine(report.Failure.Message)
	default:
		claim.Verdict, claim.Cause = v1.Inconclusive, string(pattern.Environment)
		claim.Reason = fmt.Sprintf("the check %s: %s", report.State, firstLine(report.Failure.Message+" "+report.Failure.ForwardedPanic))
	}
	return claim
}

// medianLatency is the median with the interval that it lies in. Too few probes have no such interval: then it is all of them.
func medianLatency(latencies []time.Duration) *v1.MedianLatency {
	if len(latencies) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(latencies))
	low, high, known := evidence.Interval(sorted, 0.5)
	if !known {
		low, high = sorted[0], sorted[len(sorted)-1]
	}
	middle := (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	return &v1.MedianLatency{Probes: len(sorted), Seconds: middle.Seconds(), Low: low.Seconds(), High: high.Seconds()}
}

// decisiveJudgement is the first that was contradicted, or else the first without evidence.
func decisiveJudgement(judgements []evidence.Judgement) (evidence.Judgement, bool) {
	for _, wanted := range []evidence.Outcome{evidence.False, evidence.Unknown} {
		for _, judgement := range judgements {
			if judgement.Outcome == wanted {
				return judgement, true
			}
		}
	}
	return evidence.Judgement{}, false
}

// trouble is the first judgement that the cluster kept from being made.
func trouble(judgements []evidence.Judgement) (evidence.Judgement, bool) {
	index := slices.IndexFunc(judgements, func(j evidence.Judgement) bool {
		return j.Outcome == evidence.Unknown && j.Cause == string(pattern.Environment)
	})
	if index < 0 {
		return evidence.Judgement{}, false
	}
	return judgements[index], true
}

func verdictOf(outcome evidence.Outcome) v1.Verdict {
	switch outcome {
	case evidence.True:
		return v1.Passed
	case evidence.False:
		return v1.Failed
	default:
		return v1.Inconclusive
	}
}

// mostEvidence bounds how many contrary probes are told in full.
const mostEvidence = 3

func describeFlows(flows []evidence.Flow) []v1.Evidence {
	var described []v1.Evidence
	for _, flow := range flows[:min(len(flows), mostEvidence)] {
		described = append(described, describeFlow(flow))
	}
	return described
}

// describeFlow tells what each end recorded about a probe, in the order of the path.
func describeFlow(flow evidence.Flow) v1.Evidence {
	result := flow.Result
	answer := fmt.Sprintf("%s after %d ms", result.Outcome(), result.Duration.Milliseconds())
	described := v1.Evidence{Probe: flow.ID(), Items: []v1.EvidenceItem{{
		End: "client", Text: fmt.Sprintf("%s -> %s %s", orDash(result.LocalAddress), orDash(result.RemoteAddress), answer),
	}}}
	for _, line := range flow.Lines {
		side := "out"
		if line.Inbound() {
			side = "in"
		}
		from := orDash(line.DownstreamRemote)
		if line.Before != "" {
			from += " (translated from " + line.Before + ")"
		}
		described.Items = append(described.Items, v1.EvidenceItem{
			End:    line.Hop,
			Text:   fmt.Sprintf("%s: %s -> %s cluster %s status %d", side, from, orDash(line.UpstreamHost), orDash(line.UpstreamCluster), line.ResponseCode),
			Fields: map[string]string{"line": line.Raw, "pod": line.Pod, v1.ClusterField: line.UpstreamCluster},
		})
	}
	for _, record := range flow.Records {
		fields := map[string]string{"path": record.Path, "host": record.Host}
		for name, value := range record.Header {
			fields[name] = value
		}
		described.Items = append(described.Items, v1.EvidenceItem{
			End: "server", Text: fmt.Sprintf("%s %s in pod %s, status %d, peer certificate %s", record.Service, record.Version, record.LogPod, record.Status, orDash(strings.Join(record.Peers(), " and "))), Fields: fields,
		})
	}
	return described
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
