// Package v1 is the result model of meshproof: what a run writes to its journal, and the report that the journal folds into.
//
// It is a leaf: it imports the standard library only, so that any program can read results without the framework.
// Fields are added, never renamed or removed, within v1.
package v1

import (
	"strings"
	"time"
)

// SchemaVersion is the value of Report.SchemaVersion for every report of this package.
const SchemaVersion = "meshproof.dev/report/v1"

// Verdict is what a run says of one claim. The zero value is not a verdict.
type Verdict string

const (
	// Passed: every declared end agrees that the claim is true.
	Passed Verdict = "passed"
	// Failed: at least one probe contradicts the claim, and the evidence shows it.
	Failed Verdict = "failed"
	// Inconclusive: the claim could not be judged; it is red, because it is not proven.
	Inconclusive Verdict = "inconclusive"
	// Skipped: the claim was not selected to run here, or cannot be judged on this cluster, and Reason says why.
	Skipped Verdict = "skipped"
)

// Report is a whole run. It is always the fold of a journal (see Fold).
type Report struct {
	SchemaVersion string    `json:"schemaVersion"`
	Run           Run       `json:"run"`
	Cluster       Cluster   `json:"cluster"`
	Patterns      []Pattern `json:"patterns"`
}

// Run identifies one invocation of `meshproof run`.
type Run struct {
	// ID is short, unique and sorts by time, for example "20261122-150405-7f3a".
	ID string `json:"id"`
	// Version is the version of meshproof.
	Version string `json:"version"`
	// Args are the words after "meshproof", with secrets removed.
	Args []string `json:"args,omitempty"`
	// Client is where probes started: "runner" or "pod".
	Client     string    `json:"client,omitempty"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	// Interrupted names the signal that ended the run early; empty when none did.
	Interrupted string `json:"interrupted,omitempty"`
	// Complete is false for a run whose journal has no end: it was killed.
	Complete bool `json:"complete"`
	// LastEventAt is the time of the journal's last event: how far a run got that has no FinishedAt.
	LastEventAt time.Time `json:"lastEventAt,omitzero"`
	// Error is what stopped the run as a whole, before or outside any pattern; empty when nothing did.
	Error string `json:"error,omitempty"`
	// Phases are steps that belong to no pattern, for example the start of the lab.
	Phases []Phase `json:"phases,omitempty"`
}

// Seconds is the wall-clock time of the run: to its end, or to the last event of a run that was killed; 0 when neither is known.
func (r Run) Seconds() float64 {
	end := r.FinishedAt
	if end.IsZero() {
		end = r.LastEventAt
	}
	return secondsBetween(r.StartedAt, end)
}

// Cluster says where the run took place, so that a report can never be mistaken for another cluster's.
type Cluster struct {
	// Provider is "lab" or "kubeconfig".
	Provider string `json:"provider"`
	// Name is the lab's name; empty for kubeconfig.
	Name      string `json:"name,omitempty"`
	APIServer string `json:"apiServer"`
	Context   string `json:"context,omitempty"`
	// UID is that of namespace kube-system, the customary identity of a cluster.
	UID        string `json:"uid"`
	Kubernetes string `json:"kubernetes"`
	Mesh       Mesh   `json:"mesh"`
}

// Mesh is the control plane that the fixtures joined.
type Mesh struct {
	// Flavour is "istio" for upstream Istio with sidecars.
	Flavour  string `json:"flavour"`
	Version  string `json:"version"`
	Revision string `json:"revision"`
	// Proxy is the version of the data plane, as a proxy itself reports it; empty until one was asked.
	Proxy string `json:"proxy,omitempty"`
}

// Pattern is one pattern's part of a run.
type Pattern struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Parameters are the values that the manifests were rendered with.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Namespaces are those that the run created or adopted for this pattern.
	Namespaces []string `json:"namespaces,omitempty"`
	// Deviations are the differences from the pattern's source, a sentence each.
	Deviations  []string      `json:"deviations,omitempty"`
	StartedAt   time.Time     `json:"startedAt,omitzero"`
	FinishedAt  time.Time     `json:"finishedAt,omitzero"`
	Phases      []Phase       `json:"phases,omitempty"`
	Claims      []Claim       `json:"claims"`
	Convergence []Convergence `json:"convergence,omitempty"`
	// Error is what stopped the pattern as a whole (its child process died, its install failed); empty when nothing did.
	Error string `json:"error,omitempty"`
	// Leftovers are objects that clean-up could not remove, as "kind namespace/name".
	Leftovers []string `json:"leftovers,omitempty"`
}

// PhaseCleanUp is the one phase whose failure says nothing about claims: it comes after they were judged.
const PhaseCleanUp = "clean-up"

// Phase is one step of a pattern: preflight, lock, install, settle, probe, clean-up.
type Phase struct {
	Name      string    `json:"name"`
	StartedAt time.Time `json:"startedAt"`
	// Seconds is the wall-clock time that the phase took, or had taken when it was cut short.
	Seconds float64 `json:"seconds"`
	// Unfinished is true for a phase that started and never reported its end; Seconds is then a lower bound.
	Unfinished bool `json:"unfinished,omitempty"`
	// Detail is one line of what it did, for example "38 objects, 6 pods".
	Detail string `json:"detail,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Convergence is how long one proxy took to hold the configuration that an apply asked for.
type Convergence struct {
	Proxy   string  `json:"proxy"`
	Expects string  `json:"expects"`
	Seconds float64 `json:"seconds"`
}

// Claim is one sentence that must be true on the wire, and what the run found.
type Claim struct {
	// ID never changes, for example "basic-gateway/page-is-complete".
	ID string `json:"id"`
	// Alias is the short name, for example "BG1".
	Alias string `json:"alias"`
	// Text is the claim itself, one sentence.
	Text string `json:"text"`
	// Ends are the independent witnesses that this claim is judged by.
	Ends []string `json:"ends,omitempty"`
	// Verdict is empty only in a journal that has not got that far; Fold makes it Inconclusive.
	Verdict Verdict `json:"verdict"`
	// Summary is one line of what was measured, for example "20 of 20 probes: client = gateway = server".
	Summary string `json:"summary,omitempty"`
	// Reason says why the verdict is not Passed, in one sentence.
	Reason string `json:"reason,omitempty"`
	// Cause is one of the closed enumeration pattern.Cause; empty when passed.
	Cause string `json:"cause,omitempty"`
	// Remedy says what to do about an inconclusive claim.
	Remedy string `json:"remedy,omitempty"`
	// Probes and Contrary count the probes that were judged, and those that contradict the claim.
	Probes    int       `json:"probes"`
	Contrary  int       `json:"contrary"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	Seconds   float64   `json:"seconds"`
	// TrueAfterSeconds is the time from the first try of the positive control, which comes when the proxies have settled,
	// until it succeeded for good; absent when it never did.
	TrueAfterSeconds *float64 `json:"trueAfterSeconds,omitempty"`
	// Judgements are the single statements that the verdict rests on, in order.
	Judgements []Judgement `json:"judgements,omitempty"`
	// Evidence holds the contrary probes, or one sample probe of a claim that passed: what each end recorded.
	Evidence []Evidence `json:"evidence,omitempty"`
	// Look is the folder of the check's diagnosis, relative to the report; empty when there is none.
	Look string `json:"look,omitempty"`
}

// Slug is the part of the claim's ID behind the pattern's name, for example "page-is-complete".
func (c Claim) Slug() string {
	return c.ID[strings.LastIndexByte(c.ID, '/')+1:]
}

// Judgement is one assertion of a check and its outcome.
type Judgement struct {
	Statement string  `json:"statement"`
	Verdict   Verdict `json:"verdict"`
	Detail    string  `json:"detail,omitempty"`
}

// Evidence is what the ends recorded about one probe.
type Evidence struct {
	Probe string `json:"probe"`
	// Items are in the order of the path.
	Items []EvidenceItem `json:"items"`
}

// EvidenceItem is what one end recorded, for example {"gateway", "upstream 10.244.0.7:9080 cluster outbound|9080||..."}.
type EvidenceItem struct {
	End    string            `json:"end"`
	Text   string            `json:"text"`
	Fields map[string]string `json:"fields,omitempty"`
}
