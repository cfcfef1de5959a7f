// Package v1 is the result model of meshproof: what a run writes to its journal, and the report that the journal folds into.
//
// It is a leaf: it imports the standard library only, so that any program can read results without the framework.
// Fields are added, never renamed or removed, within v1.
package v1

import (
	"fmt"
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
	// Provider is "lab", "kubeconfig" or "in-cluster".
	Provider string `json:"provider"`
	// Name is the lab's name; empty for any other.
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
	// Hardened says that it was installed in its hardened variant, and not as its source has it.
	Hardened bool `json:"hardened,omitempty"`
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

// PhaseWait is the one between claims: those under load wait until no other pattern of the run installs or judges.
const PhaseWait = "wait"

// Phase is one step of a pattern: preflight, lock, install, settle, probe, wait, clean-up.
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
	// Diagnosis is the most likely cause behind the verdict of a claim that is red; nil when nobody has looked.
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"`
	// Probes and Contrary count the probes that were judged, and those that contradict the claim.
	Probes    int       `json:"probes"`
	Contrary  int       `json:"contrary"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	Seconds   float64   `json:"seconds"`
	// TrueAfterSeconds is the time from the first try of the positive control, which comes when the proxies have settled,
	// until it succeeded for good; absent when it never did.
	TrueAfterSeconds *float64 `json:"trueAfterSeconds,omitempty"`
	// MedianLatency is of the probes and controls that were served; absent when none was.
	MedianLatency *MedianLatency `json:"medianLatency,omitempty"`
	// Judgements are the single statements that the verdict rests on, in order.
	Judgements []Judgement `json:"judgements,omitempty"`
	// Evidence holds the contrary probes, or one sample probe of a claim that passed: what each end recorded.
	Evidence []Evidence `json:"evidence,omitempty"`
	// Findings are what the check has shown to be open or weak in the pattern as its source has it, a sentence each.
	Findings []string `json:"findings,omitempty"`
	// Ways are the ways round a hop that the check has tried.
	Ways []Way `json:"ways,omitempty"`
	// Ceilings are what limits of concurrency came to under load, one for each subset.
	Ceilings []Ceiling `json:"ceilings,omitempty"`
	// Look is the folder of the check's diagnosis, relative to the report; empty when there is none.
	Look string `json:"look,omitempty"`
	// Source is where the check is written, as "file:line", relative to the repository of the program that ran it; empty when
	// no check came to the claim, and when the program does not know its own repository.
	Source string `json:"source,omitempty"`
}

// Slug is the part of the claim's ID behind the pattern's name, for example "page-is-complete".
func (c Claim) Slug() string {
	return c.ID[strings.LastIndexByte(c.ID, '/')+1:]
}

// Diagnosis is what most likely is behind a verdict, by what the cluster, its proxies and the evidence showed when the check ended.
type Diagnosis struct {
	// Rule is the one that names the cause; empty when none that is known fits.
	Rule string `json:"rule,omitempty"`
	// Text is the cause in a paragraph, with the names of what it concerns.
	Text string `json:"text"`
	// Remedy says what to do about it; empty when no rule fits.
	Remedy string `json:"remedy,omitempty"`
	// Look are the files of the check's diagnosis that show it, relative to that folder; one that ends with a slash is a folder.
	Look []string `json:"look,omitempty"`
}

// Way is one way round a hop that a pattern promises to pass, and what became of it.
type Way struct {
	// Name says it in a few words, for example "another address of the server"; From and To are its ends.
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
	// Redirected says that it led to the hop after all. Open says that it led past it, to the server. Cause is how it was
	// refused; empty when it was not.
	Redirected bool   `json:"redirected,omitempty"`
	Open       bool   `json:"open"`
	Cause      string `json:"cause,omitempty"`
	// Control is what was served on the promised path at the same time.
	Control string `json:"control,omitempty"`
}

// MedianLatency is the median of how long the vantage point waited for its answers, and how surely it is known.
type MedianLatency struct {
	// Probes is how many it is of.
	Probes  int     `json:"probes"`
	Seconds float64 `json:"seconds"`
	// Low and High are the ends of the interval that holds the median 99 times of 100, from the ranks of the sample, or the
	// extremes of a sample that is too small for that; in seconds.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Ceiling is what a limit of concurrency came to under load.
type Ceiling struct {
	// Subset is what the limit is of, for example "silver".
	Subset string `json:"subset"`
	// Configured is the limit of one proxy; zero means that there is none.
	Configured int `json:"configured"`
	// Ceiling is what all proxies may have in flight by the limit: Proxies times the limit and, for each of their Workers, one
	// more for each of the Endpoints; zero without a limit.
	Ceiling   int `json:"ceiling"`
	Proxies   int `json:"proxies"`
	Workers   int `json:"workers"`
	Endpoints int `json:"endpoints"`
	// Offered is the most that the client had under way at once, Measured what the server had in flight.
	Offered  int `json:"offered"`
	Measured int `json:"measured"`
	// Queued is how many requests waited at a proxy, Overflowed how often one refused to open a connection more, and Rejected
	// how many requests were turned away.
	Queued     int `json:"queued"`
	Overflowed int `json:"overflowed"`
	Rejected   int `json:"rejected"`
}

// String is the ceiling as one row.
func (c Ceiling) String() string {
	limit := "no limit"
	if c.Configured > 0 {
		limit = fmt.Sprintf("limit %d, ceiling %d (%d x (%d + %d endpoint(s) x %d worker(s)))", c.Configured, c.Ceiling, c.Proxies, c.Configured, c.Endpoints, c.Workers)
	}
	return fmt.Sprintf("%s: %s; measured %d of %d offered; %d queued, %d overflowed, %d rejected", c.Subset, limit, c.Measured, c.Offered, c.Queued, c.Overflowed, c.Rejected)
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

// ClusterField is the field of a proxy's EvidenceItem with the cluster that it sent the probe to; empty for none.
const ClusterField = "cluster"

// EvidenceItem is what one end recorded, for example {"gateway", "upstream 10.244.0.7:9080 cluster outbound|9080||..."}.
type EvidenceItem struct {
	End    string            `json:"end"`
	Text   string            `json:"text"`
	Fields map[string]string `json:"fields,omitempty"`
}
