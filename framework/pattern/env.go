package pattern

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/traffic"
)

// Env is what a pattern's specs work with. It is made before the specs are registered; Values are there from the start,
// the rest once the pattern is installed and settled.
type Env struct {
	Pattern Pattern
	Values  Values
	// TrustDomain is that of the mesh's workload identities.
	TrustDomain string
	// Client sends probes from the run's vantage point.
	Client traffic.Client
	// Observer follows the logs of the pattern's hops.
	Observer *evidence.Observer
	// Installed is when the workloads had become ready.
	Installed time.Time

	mu     sync.Mutex
	claims map[string]*Outcome
	used   map[string]bool
}

// Outcome is what the specs have found out about one claim.
type Outcome struct {
	Judgements []evidence.Judgement
	// TrueAfter is the time from the first try of the positive control, which comes when the proxies have settled, until
	// it succeeded for good; nil when it never did.
	TrueAfter *time.Duration
	// Sample is the first flow that was judged.
	Sample *evidence.Flow
}

// Timeouts of the judging, which scale nothing: they bound waits for things that take milliseconds.
const (
	// ControlTimeout is how long the positive control may take to succeed three times in a row.
	ControlTimeout = 20 * time.Second
	// ControlPeriod is the time between two tries of the control.
	ControlPeriod = 50 * time.Millisecond
	// counterPeriod is the time between two looks at counters that lag.
	counterPeriod = 200 * time.Millisecond
	// ControlSuccesses is how many successes in a row start the judging.
	ControlSuccesses = 3
	// EvidenceTimeout is how long the evidence of a probe may take to arrive: older proxies flush their log every 10 s.
	EvidenceTimeout = 20 * time.Second
)

// claimLabel prefixes the Ginkgo label that ties a spec to its claim.
const claimLabel = "claim:"

// Claim returns the decorators that tie a spec to the claim with this alias. An unknown alias, and a claim with two specs,
// are mistakes of the author, and panic while the specs are registered.
func (e *Env) Claim(alias string) []any {
	claim, found := e.Pattern.Claim(alias)
	if !found || claim.Alias != alias {
		panic(fmt.Sprintf("pattern %s has no claim with the alias %q", e.Pattern.Name, alias))
	}
	if e.used == nil {
		e.used = map[string]bool{}
	}
	if e.used[alias] {
		panic(fmt.Sprintf("claim %s of pattern %s has two specs", alias, e.Pattern.Name))
	}
	e.used[alias] = true
	return []any{ginkgo.Label(claimLabel+alias, alias)}
}

// Unproven returns the aliases of claims that no spec has taken.
func (e *Env) Unproven() []string {
	var missing []string
	for _, claim := range e.Pattern.Claims {
		if !e.used[claim.Alias] {
			missing = append(missing, claim.Alias)
		}
	}
	return missing
}

// AliasOf returns the claim that a spec's labels tie it to; empty when there is none.
func AliasOf(labels []string) string {
	for _, label := range labels {
		if alias, found := strings.CutPrefix(label, claimLabel); found {
			return alias
		}
	}
	return ""
}

// LabelOf is the Ginkgo label of a claim.
func LabelOf(alias string) string { return claimLabel + alias }

// Outcome returns what was found out about a claim so far.
func (e *Env) Outcome(alias string) Outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found := e.claims[alias]; found != nil {
		return Outcome{Judgements: slices.Clone(found.Judgements), TrueAfter: found.TrueAfter, Sample: found.Sample}
	}
	return Outcome{}
}

func (e *Env) change(alias string, change func(*Outcome)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.claims == nil {
		e.claims = map[string]*Outcome{}
	}
	if e.claims[alias] == nil {
		e.claims[alias] = &Outcome{}
	}
	change(e.claims[alias])
}

// RequireJudgement fails a spec that passed without having judged anything: it has proven nothing, and its claim is
// inconclusive.
func (e *Env) RequireJudgement() {
	report := ginkgo.CurrentSpecReport()
	alias := AliasOf(report.Labels())
	if alias != "" && !report.Failed() && len(e.Outcome(alias).Judgements) == 0 {
		e.change(alias, func(o *Outcome) {
			o.Judgements = append(o.Judgements, evidence.Judgement{
				Statement: "the check judges its probes", Outcome: evidence.Unknown, Cause: string(EvidenceMissing), Detail: "the check judged no probe",
			})
		})
		ginkgo.Fail("the check of " + alias + " judged no probe")
	}
}

// Identity is the mesh identity of a service account, as certificates name it.
func (e *Env) Identity(namespace, serviceAccount string) string {
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", e.TrustDomain, namespace, serviceAccount)
}

// abort ends the spec because the cluster or the vantage point does not do what judging needs; the claim is inconclusive.
func (e *Env) abort(alias, what string, err error) {
	ginkgo.GinkgoHelper()
	e.change(alias, func(o *Outcome) {
		o.Judgements = append(o.Judgements, evidence.Judgement{
			Statement: what, Outcome: evidence.Unknown, Cause: string(Environment), Detail: err.Error(),
		})
	})
	ginkgo.Fail(what + ": " + err.Error())
}

// Measure says what is sent and which evidence is waited for.
type Measure struct {
	Request traffic.Request
	// Count is how many probes the claim is judged over.
	Count int
	// Witnesses are the records that every probe must leave.
	Witnesses []evidence.Witness
	// Counters are read before and after the probes, at these hops.
	Counters []Counter
}

// Counter is a statistic of one cluster at a hop's proxies.
type Counter struct{ Hop, Cluster, Name string }

// Probe waits until the positive control, the same request, has succeeded three times in a row, then sends the probes,
// and gathers what every hop recorded about them. It fails the spec when the vantage point itself does not work.
func (e *Env) Probe(ctx context.Context, measure Measure) evidence.Flows {
	ginkgo.GinkgoHelper()
	alias := AliasOf(ginkgo.CurrentSpecReport().Labels())
	e.control(ctx, alias, measure.Request)
	before, err := e.readCounters(ctx, measure.Counters)
	if err != nil {
		e.abort(alias, "the proxies' statistics can be read", err)
	}
	mark := e.Observer.Mark()
	results, err := traffic.Send(ctx, e.Client, traffic.NewProbes(measure.Request, alias, measure.Count))
	if err != nil {
		e.abort(alias, "the vantage point can send probes", err)
	}
	flows, err := e.Observer.Collect(ctx, results, mark, measure.Witnesses, EvidenceTimeout)
	if err != nil {
		e.abort(alias, "the evidence can be gathered", err)
	}
	if flows.Counters, err = e.awaitCounters(ctx, measure, before); err != nil {
		e.abort(alias, "the proxies' statistics can be read", err)
	}
	flows.Judge = func(judgement evidence.Judgement) {
		e.change(alias, func(o *Outcome) { o.Judgements = append(o.Judgements, judgement) })
	}
	if len(flows.List) > 0 {
		e.change(alias, func(o *Outcome) { o.Sample = &flows.List[0] })
	}
	return flows
}

// control sends the request until it was answered 200 three times in a row. It is not judged: it says from when on judging
// is fair. When it does not succeed in time, judging goes on all the same, and shows why.
func (e *Env) control(ctx context.Context, alias string, request traffic.Request) {
	ctx, cancel := context.WithTimeout(ctx, ControlTimeout)
	defer cancel()
	ticker := time.NewTicker(ControlPeriod)
	defer ticker.Stop()
	row := 0
	first, started := time.Time{}, time.Now()
	for {
		result, err := e.Client.Do(ctx, traffic.NewProbes(request, "control", 1)[0])
		if err == nil && result.Err == "" && result.Status == 200 {
			if row++; row == 1 {
				first = result.StartedAt
			}
			if row == ControlSuccesses {
				after := max(0, first.Sub(started))
				e.change(alias, func(o *Outcome) { o.TrueAfter = &after })
				return
			}
			continue
		}
		row = 0
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

type reading struct {
	value float64
	known bool
}

func (e *Env) readCounters(ctx context.Context, counters []Counter) ([]reading, error) {
	readings := make([]reading, len(counters))
	for index, counter := range counters {
		value, known, err := e.Observer.ReadCounter(ctx, counter.Hop, counter.Cluster, counter.Name)
		if err != nil {
			return nil, err
		}
		readings[index] = reading{value, known}
	}
	return readings, nil
}

// awaitCounters reads the counters again. A proxy's workers merge their counters into what it publishes every few seconds,
// so a counter that lags behind the probes is waited for, as evidence of probes already sent.
func (e *Env) awaitCounters(ctx context.Context, measure Measure, before []reading) (map[string]evidence.CounterMovement, error) {
	movements := map[string]evidence.CounterMovement{}
	ctx, cancel := context.WithTimeout(ctx, EvidenceTimeout)
	defer cancel()
	ticker := time.NewTicker(counterPeriod)
	defer ticker.Stop()
	for {
		after, err := e.readCounters(context.WithoutCancel(ctx), measure.Counters)
		if err != nil {
			return nil, err
		}
		enough := true
		for index, counter := range measure.Counters {
			movement := evidence.CounterMovement{Cluster: counter.Cluster, Counter: counter.Name, Before: before[index].value, After: after[index].value, Known: after[index].known}
			movements[counter.Hop] = movement
			enough = enough && movement.Known && movement.Delta() >= float64(measure.Count)
		}
		if enough {
			return movements, nil
		}
		select {
		case <-ctx.Done():
			return movements, nil
		case <-ticker.C:
		}
	}
}
