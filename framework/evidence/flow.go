// Package evidence gathers what the ends recorded about each probe, and joins it by identity.
package evidence

import (
	"cmp"
	"strings"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/traffic"
)

// Hop is a workload whose evidence is gathered.
type Hop struct {
	Name, Namespace string
	// Selector are its pods' labels.
	Selector string
	// Proxy is set when its pods have a proxy; Container is the application's, empty when there is none.
	Proxy     bool
	Container string
	// Absent says that the manifests give the hop no pod, so that none is looked for.
	Absent bool
}

// Line is one access-log line about a probe.
type Line struct {
	accesslog.Line
	// Hop, Pod and Address say whose it is; Address is the pod's IP address.
	Hop, Pod, Address string
	// Raw is the line as it was written.
	Raw string
	// Before is from where the proxy before had connected, when a translation on the way gave the connection another port:
	// then its address, its bytes and its time have joined it. Empty when DownstreamRemote has.
	Before string
}

// From is from where the proxy before had connected, by its own log.
func (l Line) From() string { return cmp.Or(l.Before, l.DownstreamRemote) }

// Inbound tells whether a sidecar wrote the line for a request to its own application.
func (l Line) Inbound() bool { return strings.HasPrefix(l.UpstreamCluster, "inbound|") }

// ofConnection tells whether the line is of a connection rather than of a request. A format need not hold the method.
func (l Line) ofConnection() bool { return l.Method == "" && l.Path == "" && l.RequestID == "" }

// Record is what an application recorded about a probe.
type Record struct {
	record.Request
	// Hop and LogPod say whose log it stood in.
	Hop, LogPod string
}

// Connection is what an application recorded about a connection that it made for a probe.
type Connection struct {
	record.Connection
	// Hop and LogPod say whose log it stood in.
	Hop, LogPod string
}

// Handshake is a TLS handshake as the server of a hop recorded it.
type Handshake struct {
	record.Handshake
	// Hop and LogPod say whose log it stood in.
	Hop, LogPod string
}

// Flow is all that is known of one probe.
type Flow struct {
	Result traffic.Result
	// RequestID is what the first gateway gave the request, by which later hops are joined.
	RequestID string
	Lines     []Line
	Records   []Record
	// Connections are those that an application made for the request, Accepted those that a database took.
	Connections []Connection
	Accepted    []Accepted
}

// ID is the probe's identity.
func (f Flow) ID() string { return f.Result.Probe.ID }

// At returns the lines of a hop; inbound chooses those for its own application.
func (f Flow) At(hop string, inbound bool) []Line {
	var lines []Line
	for _, line := range f.Lines {
		if line.Hop == hop && line.Inbound() == inbound {
			lines = append(lines, line)
		}
	}
	return lines
}

// QueriesFrom returns the connections over which the application of a hop asked for what the probe needed.
func (f Flow) QueriesFrom(hop string) []Connection {
	var queries []Connection
	for _, c := range f.Connections {
		if c.Hop == hop && c.Purpose == record.Query {
			queries = append(queries, c)
		}
	}
	return queries
}

// Attempts are the connections by which applications asked for what the probe needed. Where a driver could not even find out
// what the server is, and so never asked, they are those by which it tried to.
func (f Flow) Attempts() []Connection {
	asked := map[string]bool{}
	for _, c := range f.Connections {
		asked[c.LogPod] = asked[c.LogPod] || c.Purpose == record.Query
	}
	var attempts []Connection
	for _, c := range f.Connections {
		// What watches a server that is asked is no probe.
		if c.Local != "" && (c.Purpose == record.Query || !asked[c.LogPod]) {
			attempts = append(attempts, c)
		}
	}
	return attempts
}

// ConnectionsAt returns the lines of connections, not of requests, that a hop carried; inbound as for At.
func (f Flow) ConnectionsAt(hop string, inbound bool) []Line {
	var lines []Line
	for _, line := range f.At(hop, inbound) {
		if line.ofConnection() {
			lines = append(lines, line)
		}
	}
	return lines
}

// AcceptedAt returns the connections that the database of a hop recorded.
func (f Flow) AcceptedAt(hop string) []Accepted {
	var accepted []Accepted
	for _, a := range f.Accepted {
		if a.Hop == hop {
			accepted = append(accepted, a)
		}
	}
	return accepted
}

// RecordsAt returns the records of a hop's application.
func (f Flow) RecordsAt(hop string) []Record {
	var records []Record
	for _, r := range f.Records {
		if r.Hop == hop {
			records = append(records, r)
		}
	}
	return records
}

// Flows are the flows of one set of probes, and what the proxies' counters did meanwhile.
type Flows struct {
	List []Flow
	// Controls are the flows of what was sent on the same path and had to be served, before and after probes that had to be
	// refused.
	Controls []Flow
	// Others are the lines of connections, since the probes began, that belong neither to them nor to the controls.
	Others []Line
	// Handshakes are all that servers recorded since the probes began, whose ever they are: one that failed has no request, so
	// that only its peer's address and its time lead to the probe.
	Handshakes []Handshake
	// Counters are the movements of counters over the probes.
	Counters map[Counter]CounterMovement
	// Peaks are the highest readings of gauges, of several while the probes were under way: what was between two readings was
	// not seen.
	Peaks map[Counter]Reading
	// Gaps say, per hop, why its evidence cannot be complete, with the remedy: a proxy without an access log, a log that broke
	// off. What is judged at such a hop is inconclusive.
	Gaps map[string]Gap
	// RefusalGaps say, per hop, why it has no line for a connection that none of its filter chains takes.
	RefusalGaps map[string]Gap
	// Judge is told of every judgement that a matcher makes of these flows.
	Judge func(Judgement)
}

// Where returns the flows that choose is true of.
func (f Flows) Where(choose func(Flow) bool) Flows {
	var chosen []Flow
	for _, flow := range f.List {
		if choose(flow) {
			chosen = append(chosen, flow)
		}
	}
	f.List = chosen
	return f
}

// OfControls returns the flows of the controls, to be judged themselves.
func (f Flows) OfControls() Flows {
	f.List, f.Controls = f.Controls, nil
	return f
}

// Gap says why evidence is missing and what to do.
type Gap struct {
	Why, Remedy string
	// Silent says that the application's records are missing too, and not only access-log lines.
	Silent bool
}

// Outcome of a judgement.
type Outcome string

const (
	// True: the statement holds for every probe.
	True Outcome = "true"
	// False: at least one probe contradicts it.
	False Outcome = "false"
	// Unknown: an end that must have recorded a probe has no record of it.
	Unknown Outcome = "unknown"
)

// Judgement is one statement about a set of flows, and what came of it.
type Judgement struct {
	Statement string
	// End is the witness that it rests on, in a word or two.
	End     string
	Outcome Outcome
	// Detail is one line: what was measured, or what is wrong with the first contrary probe.
	Detail string
	// Cause is one of pattern.Cause's values; empty when True.
	Cause string
	// Remedy is what to do about Unknown.
	Remedy string
	// Contrary are the flows that contradict the statement, or lack evidence.
	Contrary []Flow
	// Probes is how many flows were judged.
	Probes int
}
