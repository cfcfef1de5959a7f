package v1

import "time"

// EventType says which of Event's parts is set.
type EventType string

const (
	// RunStarted carries Run and, once known, Cluster.
	RunStarted EventType = "run-started"
	// ClusterIdentified carries Cluster, as far as it is known by then; a later one adds to it.
	ClusterIdentified EventType = "cluster-identified"
	// PatternSeeded carries Pattern with every selected claim, none of which has a verdict yet.
	PatternSeeded EventType = "pattern-seeded"
	// ParametersKnown carries Pattern with Parameters, those that the cluster had to tell included.
	ParametersKnown EventType = "parameters-known"
	// PhaseStarted and PhaseFinished carry Phase; without a PatternName it is a phase of the run.
	PhaseStarted  EventType = "phase-started"
	PhaseFinished EventType = "phase-finished"
	// Converged carries Convergence.
	Converged EventType = "converged"
	// ClaimStarted and ClaimFinished carry Claim; the finished one replaces the seeded one of the same ID.
	ClaimStarted  EventType = "claim-started"
	ClaimFinished EventType = "claim-finished"
	// PatternFinished carries Error and Leftovers, both empty when all went well.
	PatternFinished EventType = "pattern-finished"
	// Note carries Message: something worth reading that is no result.
	Note EventType = "note"
	// RunFinished carries Run, of which only what was not known at the start need be set; or Error.
	RunFinished EventType = "run-finished"
)

// Event is one line of a journal. A journal is append-only: a line is never changed, and a run that was killed has a
// journal that ends early and still folds into a report.
type Event struct {
	// SchemaVersion is set on run-started, by the journal that writes it; empty on every other event.
	SchemaVersion string    `json:"schemaVersion,omitempty"`
	Time          time.Time `json:"time"`
	Type          EventType `json:"type"`
	// PatternName names the pattern that the event belongs to; empty for the run's own events.
	PatternName string       `json:"patternName,omitempty"`
	Run         *Run         `json:"run,omitempty"`
	Cluster     *Cluster     `json:"cluster,omitempty"`
	Pattern     *Pattern     `json:"pattern,omitempty"`
	Phase       *Phase       `json:"phase,omitempty"`
	Convergence *Convergence `json:"convergence,omitempty"`
	Claim       *Claim       `json:"claim,omitempty"`
	Message     string       `json:"message,omitempty"`
	Error       string       `json:"error,omitempty"`
	Leftovers   []string     `json:"leftovers,omitempty"`
}
