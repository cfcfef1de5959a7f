// Package example holds one invented run, for the tests of everything that renders results.
package example

import (
	"time"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Start is when the invented run started; its time zone is not UTC on purpose, so that a renderer that forgets to convert is seen.
var Start = time.Date(2026, 11, 22, 16, 4, 5, 0, time.FixedZone("CET", 3600))

// At returns the time that many seconds after Start.
func At(seconds float64) time.Time {
	return Start.Add(time.Duration(seconds * float64(time.Second)))
}

// Report is the fold of Events.
func Report() v1.Report { return v1.Fold(Events()) }

// Events is the journal of a finished run of two patterns: basic-gateway, where all is well, and mongo-egress with one
// claim of each verdict. Together its events fill every field that does not contradict another one.
func Events() []v1.Event {
	events := []v1.Event{
		{Time: At(0), Type: v1.RunStarted, SchemaVersion: v1.SchemaVersion, Run: &v1.Run{
			ID: "20261122-150405-7f3a", Version: "0.1.0", Args: []string{"run", "basic-gateway", "mongo-egress"}, Client: "runner", StartedAt: At(0)}},
		{Time: At(0), Type: v1.PhaseStarted, Phase: &v1.Phase{Name: "lab"}},
		{Time: At(2.5), Type: v1.PhaseFinished, Phase: &v1.Phase{Name: "lab", Seconds: 2.5, Detail: "already up"}},
		{Time: At(2.5), Type: v1.ClusterIdentified, Cluster: &v1.Cluster{
			Provider: "lab", Name: "default", APIServer: "https://127.0.0.1:6443", Context: "meshproof-lab",
			UID: "5c1e9d3a-1f8e-4f0f-9a57-0f6f2b5f7a11", Kubernetes: "v1.36.3",
			Mesh: v1.Mesh{Flavour: "istio", Version: "1.31.1", Revision: "default", Proxy: "1.40.0"}}},
	}
	return append(append(append(events, basicGateway()...), mongoEgress()...),
		v1.Event{Time: At(17.2), Type: v1.RunFinished, Run: &v1.Run{FinishedAt: At(17.2)}})
}

func basicGateway() []v1.Event {
	page := v1.Claim{
		ID: "basic-gateway/page-is-complete", Alias: "BG1",
		Text: "GET /productpage through the gateway returns the page with details and reviews present",
		Ends: []string{"client", "gateway", "server"},
	}
	judged := page
	judged.Verdict, judged.Probes, judged.Seconds = v1.Passed, 20, 0.4
	judged.StartedAt = At(6)
	judged.Summary = "20 of 20 probes: client = gateway = server"
	judged.TrueAfterSeconds = new(0.7)
	judged.Judgements = []v1.Judgement{{Statement: "every page holds details and reviews", Verdict: v1.Passed, Detail: "20 of 20"}}
	judged.Evidence = []v1.Evidence{{Probe: "7f3a-bg1-1", Items: []v1.EvidenceItem{
		{End: "client", Text: "200, 5179 bytes", Fields: map[string]string{"status": "200"}},
		{End: "gateway", Text: "upstream 10.244.0.7:9080 cluster outbound|9080||productpage"},
		{End: "server", Text: "GET /productpage?probe=7f3a-bg1-1"},
	}}}
	return []v1.Event{
		{Time: At(3), Type: v1.PatternSeeded, PatternName: "basic-gateway", Pattern: &v1.Pattern{
			Name: "basic-gateway", Title: "Bookinfo behind a gateway of its own", Claims: []v1.Claim{page}}},
		{Time: At(3), Type: v1.PhaseStarted, PatternName: "basic-gateway", Phase: &v1.Phase{Name: "install"}},
		{Time: At(5), Type: v1.PhaseFinished, PatternName: "basic-gateway", Phase: &v1.Phase{Name: "install", Seconds: 2, Detail: "21 objects, 6 pods"}},
		{Time: At(6), Type: v1.ClaimStarted, PatternName: "basic-gateway", Claim: &v1.Claim{ID: page.ID}},
		{Time: At(6.4), Type: v1.ClaimFinished, PatternName: "basic-gateway", Claim: &judged},
		{Time: At(6.8), Type: v1.PatternFinished, PatternName: "basic-gateway"},
	}
}

func mongoEgress() []v1.Event {
	const name = "mongo-egress"
	claims := mongoClaims()
	seeds := make([]v1.Claim, len(claims))
	for i, c := range claims {
		seeds[i] = v1.Claim{ID: c.ID, Alias: c.Alias, Text: c.Text, Ends: c.Ends}
	}
	events := []v1.Event{
		{Time: At(7), Type: v1.PatternSeeded, PatternName: name, Pattern: &v1.Pattern{
			Name: name, Title: "MongoDB outside the mesh through an egress gateway",
			Parameters: map[string]string{"mongodb_namespace": "mongo-7f3a"},
			Namespaces: []string{"mongo-7f3a", "egress-7f3a"},
			Deviations: []string{"the gateway lives in the run's namespace, not in istio-system"},
			StartedAt:  At(7), Claims: seeds}},
		{Time: At(7), Type: v1.PhaseFinished, PatternName: name, Phase: &v1.Phase{Name: "preflight", StartedAt: At(7), Seconds: 0.3, Detail: "3 of 4 claims can be judged here"}},
		{Time: At(7.3), Type: v1.PhaseStarted, PatternName: name, Phase: &v1.Phase{Name: "install"}},
		{Time: At(13.2), Type: v1.PhaseFinished, PatternName: name, Phase: &v1.Phase{Name: "install", Seconds: 5.9, Detail: "38 objects, 6 pods"}},
		{Time: At(14), Type: v1.Converged, PatternName: name, Convergence: &v1.Convergence{Proxy: "ratings-v2.mongo-7f3a", Expects: "cluster outbound|15666|mongo|istio-egressgateway", Seconds: 0.9}},
		{Time: At(14.1), Type: v1.PhaseFinished, PatternName: name, Phase: &v1.Phase{Name: "settle", StartedAt: At(13.2), Seconds: 0.9, Detail: "5 of 5 proxies hold the configuration"}},
	}
	for i, c := range claims {
		events = append(events,
			v1.Event{Time: At(14.2 + float64(i)/2), Type: v1.ClaimStarted, PatternName: name, Claim: &v1.Claim{ID: c.ID}},
			v1.Event{Time: At(14.6 + float64(i)/2), Type: v1.ClaimFinished, PatternName: name, Claim: &c})
	}
	return append(events,
		v1.Event{Time: At(16.2), Type: v1.Note, PatternName: name, Message: "a policy that was already there selects the fixtures: default/deny-all"},
		v1.Event{Time: At(16.4), Type: v1.PhaseFinished, PatternName: name, Phase: &v1.Phase{Name: v1.PhaseCleanUp, StartedAt: At(16.2), Seconds: 0.2, Error: "1 object is still there after 10 s"}},
		v1.Event{Time: At(16.5), Type: v1.PatternFinished, PatternName: name, Error: "clean-up failed: 1 object is still there after 10 s", Leftovers: []string{"Namespace mongo-7f3a"}})
}

func mongoClaims() []v1.Claim {
	ends := []string{"sidecar", "gateway", "server"}
	return []v1.Claim{
		{
			ID: "mongo-egress/leaves-through-gateway", Alias: "ME1", Text: "traffic to the database leaves through the egress gateway", Ends: ends,
			Verdict: v1.Passed, Summary: "20 of 20 probes: sidecar = gateway = server", Probes: 20, Seconds: 0.4, TrueAfterSeconds: new(0.7), MedianLatency: &v1.MedianLatency{Probes: 20, Seconds: 0.009, Low: 0.008, High: 0.011},
			Ways: []v1.Way{
				{Name: "another address of the server", From: "ratings", To: "203.0.113.12:27018", Cause: "black-hole", Control: "the path served 6 of 6"},
				{Name: "the server's own address", From: "ratings", To: "203.0.113.11:27018", Redirected: true},
				{Name: "a pod without a sidecar", From: "outside", To: "203.0.113.11:27018", Open: true},
			},
			Ceilings: []v1.Ceiling{
				{Subset: "silver", Configured: 20, Ceiling: 21, Proxies: 1, Workers: 1, Endpoints: 1, Offered: 60, Measured: 20, Queued: 40, Overflowed: 42, Rejected: 1},
				{Subset: "gold", Proxies: 1, Workers: 1, Endpoints: 1, Offered: 60, Measured: 60},
			},
			Findings: []string{"a pod without a sidecar reaches the database directly"},
		},
		{
			ID: "mongo-egress/never-goes-direct", Alias: "ME2", Text: "no connection reaches the database without the gateway", Ends: ends,
			Verdict: v1.Inconclusive, Reason: "the gateway wrote no access log line for the control", Cause: "no-evidence", Probes: 3, Seconds: 0.4,
			Remedy: "enable access logging for the namespace: a Telemetry with an accessLogging provider",
		},
		{
			ID: "mongo-egress/server-sees-gateway", Alias: "ME3", Text: "the server sees the egress gateway's address, never the workload's", Ends: ends,
			Verdict: v1.Failed, Summary: "probe 14 of 20 arrived from the workload itself", Probes: 20, Contrary: 1, Seconds: 0.4, Cause: "bypass",
			Reason: "the sidecar has a direct route; VirtualService direct-mongo-through-egress-gateway matches 203.0.113.11/32, the host now also resolves to 203.0.113.12",
			Judgements: []v1.Judgement{
				{Statement: "every probe passed the gateway", Verdict: v1.Failed, Detail: "19 of 20"},
				{Statement: "every probe reached the server", Verdict: v1.Passed, Detail: "20 of 20"},
			},
			Evidence: []v1.Evidence{{Probe: "7f3a-me3-14", Items: []v1.EvidenceItem{
				{End: "sidecar", Text: "10.244.0.22:40704 -> 203.0.113.12:27018  cluster outbound|27018||mongo.lab   (expected outbound|15666|mongo|istio-egressgateway)", Fields: map[string]string{"upstream_cluster": "outbound|27018||mongo.lab"}},
				{End: "gateway", Text: "no connection with that address pair (20 s of log read, 19 others joined)"},
				{End: "server", Text: "peer 10.244.0.22"},
			}}},
			Diagnosis: &v1.Diagnosis{
				Rule: "redirect-misses-the-address", Text: "The rule of VirtualService gateways/direct-mongo-through-egress-gateway for sidecars is for 203.0.113.11/32, and the application connected to 203.0.113.12, which is not among them: nothing redirects it.",
				Remedy: "add 203.0.113.12/32 to destinationSubnets", Look: []string{"objects.yaml"},
			},
			Look: "mongo-egress/ME3/", Source: "suites/mongo-egress/specs.go:52",
		},
		{
			ID: "mongo-egress/limits-connections", Alias: "ME4", Text: "the gateway keeps no more than 10 connections to the database", Ends: ends,
			Verdict: v1.Skipped, Reason: "heavy load needs --allow-load",
		},
	}
}
