package run

import (
	"slices"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/framework/wait"
)

// Waits are all named waits of a run of these patterns, in the order in which they come; Options.TimeoutScale scales every one.
// How often something is looked at meanwhile is not among them, nor is what belongs to a protocol, such as the Lease that a
// killed run leaves.
func Waits(patterns []pattern.Pattern) []wait.Limit {
	limits := []wait.Limit{
		{Name: "cluster", Usual: provider.IdentifyTimeout, For: "the API server to answer for the first time, and to tell its version and mesh"},
		{Name: "lease", Usual: mesh.DefaultTimeouts.Lease, For: "the run's namespaces to be made and its Lease to be got"},
		{Name: "ready", Usual: mesh.DefaultTimeouts.Ready, For: "the pods of an install, or of a change, to be ready"},
		{Name: "address", Usual: mesh.DefaultTimeouts.Address, For: "the cluster to tell the host of a Route, or the address of a load balancer"},
		{Name: "settle", Usual: mesh.DefaultTimeouts.Settle, For: "every proxy to hold the configuration"},
		{Name: "control", Usual: pattern.ControlTimeout, For: "the positive control to succeed three times in a row"},
		{Name: "probe", Usual: traffic.DefaultTimeout, For: "the answer to one probe, unless its check gives it another time"},
		{Name: "load", Usual: traffic.DefaultLoadLimit, For: "a load to end, unless its check gives it another time"},
		{Name: "record", Usual: evidence.RecordTimeout, For: "the records of a probe, beyond twice the time that the proxies keep theirs back"},
		{Name: "pods", Usual: evidence.RenewTimeout, For: "pods that have changed to be ready"},
		{Name: "silence", Usual: evidence.SilenceTimeout, For: "an API server that has stopped answering"},
		{Name: "diagnosis", Usual: diagnosisTimeout, For: "what is collected about a check that is red"},
		{Name: "gone", Usual: mesh.DefaultTimeouts.Gone, For: "the run's namespaces to be gone"},
		{Name: "clean-up", Usual: cleanUpTimeout, For: "the rest of the clean-up"},
		{Name: "effect", Usual: effectTimeout, For: "the proxies to show a mutant's effect, and to come to rest after it"},
		{Name: "settle of a mutant", Usual: mutantSettle, For: "every proxy to hold what a mutant asks for, which may be impossible"},
		{Name: "control of a mutant", Usual: mutantControl, For: "the positive control while a mutant is installed"},
	}
	for _, p := range patterns {
		for _, own := range p.Waits {
			if !slices.Contains(limits, own) { // which patterns may share
				limits = append(limits, own)
			}
		}
	}
	return limits
}
