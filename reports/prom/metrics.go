package prom

import (
	"slices"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// families are all metrics of a report, the run's first.
func families(report v1.Report) []*family {
	return slices.Concat(runMetrics(report), patternMetrics(report), phaseMetrics(report), claimMetrics(report))
}

func runMetrics(report v1.Report) []*family {
	run, cluster := report.Run, report.Cluster
	info := gauge("meshproof_run_info", "The run and what it ran on: always 1.",
		"run", "version", "client", "provider", "lab", "context", "api_server", "cluster_uid", "kubernetes_version", "mesh_flavour", "mesh_version", "mesh_revision", "proxy_version")
	info.add(1, run.ID, run.Version, run.Client, cluster.Provider, cluster.Name, cluster.Context, cluster.APIServer, cluster.UID,
		cluster.Kubernetes, cluster.Mesh.Flavour, cluster.Mesh.Version, cluster.Mesh.Revision, cluster.Mesh.Proxy)
	complete := gauge("meshproof_run_complete", "Whether the run came to its end: 0 when it was killed or interrupted, or stopped by an error.")
	complete.add(indicator(run.Complete && run.Interrupted == "" && run.Error == ""))
	started := gauge("meshproof_run_start_timestamp_seconds", "When the run began, in seconds since 1970.")
	if !run.StartedAt.IsZero() {
		started.add(float64(run.StartedAt.UnixMilli()) / 1000)
	}
	took := gauge("meshproof_run_duration_seconds", "How long the run took.")
	took.add(run.Seconds())
	return []*family{info, complete, started, took}
}

func patternMetrics(report v1.Report) []*family {
	variant := gauge("meshproof_pattern_info", "The variant of a pattern that was installed: always 1.", "pattern", "variant")
	failed := gauge("meshproof_pattern_failed", "Whether an error outside any claim stopped the pattern.", "pattern")
	left := gauge("meshproof_pattern_leftover_objects", "How many objects clean-up could not remove.", "pattern")
	proxies := gauge("meshproof_pattern_proxies", "How many proxies came to hold the pattern's configuration.", "pattern")
	converged := gauge("meshproof_pattern_convergence_seconds", "How long after the apply the slowest proxy held the configuration, its own start included.", "pattern")
	for _, p := range report.Patterns {
		name := "as written"
		if p.Hardened {
			name = "hardened"
		}
		variant.add(1, p.Name, name)
		failed.add(indicator(p.Error != ""), p.Name)
		left.add(float64(len(p.Leftovers)), p.Name)
		proxies.add(float64(len(p.Convergence)), p.Name)
		// By proxy they would be other series in each run: the name of a pod is new each time.
		if len(p.Convergence) > 0 {
			converged.add(slowest(p.Convergence), p.Name)
		}
	}
	return []*family{variant, failed, left, proxies, converged}
}

func slowest(proxies []v1.Convergence) float64 {
	most := 0.0
	for _, proxy := range proxies {
		most = max(most, proxy.Seconds)
	}
	return most
}

// phaseMetrics have the phases of the run itself under an empty pattern.
func phaseMetrics(report v1.Report) []*family {
	took := gauge("meshproof_phase_duration_seconds", "How long a phase of a pattern took, or of the run where the pattern is empty.", "pattern", "phase")
	failed := gauge("meshproof_phase_failed", "Whether the phase failed or was cut short.", "pattern", "phase")
	add := func(pattern string, phases []v1.Phase) {
		var names []string
		seconds, broken := map[string]float64{}, map[string]bool{}
		for _, phase := range phases {
			if !slices.Contains(names, phase.Name) { // one that came twice is one series
				names = append(names, phase.Name)
			}
			seconds[phase.Name] += phase.Seconds
			broken[phase.Name] = broken[phase.Name] || phase.Error != "" || phase.Unfinished
		}
		for _, name := range names {
			took.add(seconds[name], pattern, name)
			failed.add(indicator(broken[name]), pattern, name)
		}
	}
	add("", report.Run.Phases)
	for _, p := range report.Patterns {
		add(p.Name, p.Phases)
	}
	return []*family{took, failed}
}

// verdicts are the values of the label verdict, each of which has a sample for each claim.
var verdicts = []v1.Verdict{v1.Passed, v1.Failed, v1.Inconclusive, v1.Skipped}

func claimMetrics(report v1.Report) []*family {
	labels := []string{"pattern", "claim", "alias"}
	verdict := gauge("meshproof_claim_verdict", "1 for the verdict that the run came to, 0 for the three others.", append(slices.Clone(labels), "verdict")...)
	took := gauge("meshproof_claim_duration_seconds", "How long judging the claim took.", labels...)
	probes := gauge("meshproof_claim_probes", "How many probes the claim was judged over.", labels...)
	contrary := gauge("meshproof_claim_contrary_probes", "How many of the probes contradict the claim.", labels...)
	converged := gauge("meshproof_claim_convergence_seconds", "How long after settling the claim's control began to succeed for good.", labels...)
	for _, p := range report.Patterns {
		for _, c := range p.Claims {
			values := []string{p.Name, c.ID, c.Alias}
			reached := c.Verdict
			if !slices.Contains(verdicts, reached) {
				reached = v1.Inconclusive // as everywhere
			}
			for _, v := range verdicts {
				verdict.add(indicator(v == reached), append(slices.Clone(values), string(v))...)
			}
			took.add(c.Seconds, values...)
			probes.add(float64(c.Probes), values...)
			contrary.add(float64(c.Contrary), values...)
			if c.TrueAfterSeconds != nil {
				converged.add(*c.TrueAfterSeconds, values...)
			}
		}
	}
	return []*family{verdict, took, probes, contrary, converged}
}
