package pattern

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/traffic"
)

// Timeouts of the judging: they bound waits for things that take milliseconds. How long evidence is waited for, the proxies
// themselves tell: see evidence.Observer.Patience.
const (
	// ControlTimeout is how long the positive control may take to succeed three times in a row, unless an Env says otherwise.
	ControlTimeout = 20 * time.Second
	// ControlPeriod is the time between two tries of the control.
	ControlPeriod = 50 * time.Millisecond
	// counterPeriod is the time between two looks at counters that lag.
	counterPeriod = 200 * time.Millisecond
	// ControlSuccesses is how many successes in a row start the judging.
	ControlSuccesses = 3
)

// Measure says what is sent and which evidence is waited for.
type Measure struct {
	Request traffic.Request
	// From names the agent that sends; empty means the run's vantage point.
	From string
	// Count is how many probes the claim is judged over.
	Count int
	// Witnesses are the records that every probe must leave.
	Witnesses []evidence.Witness
	// Counters are read before the probes, and after them until they have moved by the number of probes.
	Counters []evidence.Counter
	// Totals are read before the probes and once after them.
	Totals []evidence.Counter
}

// Probe waits until the positive control, the same request, has succeeded three times in a row, then sends the probes,
// and gathers what every hop recorded about them. It fails the spec when the vantage point itself does not work.
func (e *Env) Probe(ctx context.Context, measure Measure) evidence.Flows {
	ginkgo.GinkgoHelper()
	m := e.measurement(ctx, measure.From)
	m.control(ctx, measure.Request)
	before := m.read(ctx, slices.Concat(measure.Counters, measure.Totals))
	mark := e.Observer.Mark()
	results := m.send(ctx, measure.Request, m.alias, measure.Count)
	flows := m.collect(ctx, results, mark, measure.Witnesses)
	m.steady(ctx)
	flows.Counters = m.await(ctx, measure, before)
	return m.told(flows)
}

// Refusal says what must be refused, and by what else the path is shown to work.
type Refusal struct {
	// Requests must be refused. Control is served on the same path: it is sent before and after.
	Requests []traffic.Request
	Control  traffic.Request
	// From names the agent that sends both; empty means the run's vantage point. ControlFrom, when set, names another one for the
	// control, where the difference between the two is who sends them.
	From, ControlFrom string
	// Count is how many probes of each request the refusal is judged over.
	Count int
	// Witnesses are the records that every refused probe must leave, where it is refused.
	Witnesses []evidence.Witness
	// Served are the records that every control must leave, at the far side that sees nothing of what is refused.
	Served []evidence.Witness
	// Counters are read before the refused probes, and after them until they have moved by their number.
	Counters []evidence.Counter
	// Forbid and Permit, when set, are the difference between the two where it is not in the request: Forbid is called
	// before the refused probes, Permit before each control. Both may replace pods, whose logs stay evidence.
	Forbid, Permit func(ctx context.Context) error
}

// Refuse sends what must be refused between controls on the same path, and gathers what every hop recorded about both.
func (e *Env) Refuse(ctx context.Context, refusal Refusal) evidence.Flows {
	ginkgo.GinkgoHelper()
	m := e.measurement(ctx, refusal.From)
	change := func(change func(context.Context) error) {
		if change == nil {
			return
		}
		if err := change(ctx); err != nil {
			m.abort("the configuration can be changed", err)
		}
	}
	beside := m
	if refusal.ControlFrom != "" {
		beside = e.measurement(ctx, refusal.ControlFrom)
	}
	change(refusal.Permit)
	mark := e.Observer.Mark()
	controls := beside.controls(ctx, refusal.Control)
	change(refusal.Forbid)
	before := m.read(ctx, refusal.Counters)
	var results []traffic.Result
	for _, request := range refusal.Requests {
		results = append(results, m.send(ctx, request, m.alias, refusal.Count)...)
	}
	moved := m.await(ctx, Measure{Counters: refusal.Counters, Count: len(results)}, before)
	change(refusal.Permit)
	if refusal.Permit != nil {
		controls = append(controls, beside.controls(ctx, refusal.Control)...)
	} else {
		controls = append(controls, beside.send(ctx, refusal.Control, "control", ControlSuccesses)...)
	}
	// The controls first: when their records are there, those of the refused probes before them are too.
	served := m.collect(ctx, controls, mark, refusal.Served)
	flows := m.collect(ctx, results, mark, refusal.Witnesses)
	flows.Controls, flows.Counters = served.List, moved
	m.steady(ctx)
	return m.told(flows)
}

// measurement is what the steps of one measuring share.
type measurement struct {
	env    *Env
	alias  string
	client traffic.Client
}

func (e *Env) measurement(ctx context.Context, agent string) *measurement {
	ginkgo.GinkgoHelper()
	m := &measurement{env: e, alias: AliasOf(ginkgo.CurrentSpecReport().Labels()), client: e.Client}
	if agent != "" {
		var err error
		if m.client, err = e.Vantage(ctx, agent); err != nil {
			m.abort("the vantage point can be used", err)
		}
	}
	if err := e.Observer.Renew(ctx); err != nil {
		m.abort("the pods of the path are ready", err)
	}
	return m
}

// steady ends the spec when a pod of the path has changed while probes were under way: what they met says nothing about the
// mesh then.
func (m *measurement) steady(ctx context.Context) {
	ginkgo.GinkgoHelper()
	if err := m.env.Observer.Steady(ctx); err != nil {
		m.abort("the pods stay as they are while probes are under way", err)
	}
}

// abort ends the spec because the cluster or the vantage point does not do what judging needs; the claim is inconclusive.
func (m *measurement) abort(what string, err error) {
	ginkgo.GinkgoHelper()
	m.env.Trouble(what, err)
	ginkgo.Fail(what + ": " + err.Error())
}

// controls returns what a refusal stands beside: the request that was served three times in a row, or, when it was not in
// time, three more that show why.
func (m *measurement) controls(ctx context.Context, request traffic.Request) []traffic.Result {
	ginkgo.GinkgoHelper()
	if served := m.control(ctx, request); served != nil {
		return served
	}
	return m.send(ctx, request, "control", ControlSuccesses)
}

// control sends the request until it was served three times in a row, and returns these. It says from when on judging is
// fair. When it does not succeed in time it returns none; judging goes on all the same, and shows why.
func (m *measurement) control(ctx context.Context, request traffic.Request) (served []traffic.Result) {
	timeout := ControlTimeout
	if m.env.ControlTimeout != 0 {
		timeout = m.env.ControlTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, m.env.TimeoutScale.Of(timeout))
	defer cancel()
	ticker := time.NewTicker(ControlPeriod)
	defer ticker.Stop()
	started := time.Now()
	for {
		result, err := m.client.Do(ctx, traffic.NewProbes(request, "control", 1)[0])
		if err == nil && result.Served() {
			result.From = m.client.Name()
			if served = append(served, result); len(served) == ControlSuccesses {
				after := max(0, served[0].StartedAt.Sub(started))
				m.env.change(m.alias, func(o *Outcome) {
					if o.TrueAfter == nil {
						o.TrueAfter = &after
					}
				})
				return served
			}
			continue
		}
		served = nil
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (m *measurement) send(ctx context.Context, request traffic.Request, label string, count int) []traffic.Result {
	ginkgo.GinkgoHelper()
	results, err := traffic.Send(ctx, m.client, traffic.NewProbes(request, label, count))
	if err != nil {
		m.abort("the vantage point can send probes", err)
	}
	return results
}

func (m *measurement) collect(ctx context.Context, results []traffic.Result, mark evidence.Mark, witnesses []evidence.Witness) evidence.Flows {
	ginkgo.GinkgoHelper()
	flows, err := m.env.Observer.Collect(ctx, results, mark, witnesses, m.env.Observer.Patience())
	if err != nil {
		m.abort("the evidence can be gathered", err)
	}
	m.env.change(m.alias, func(o *Outcome) { o.Hops = union(o.Hops, hopsOf(flows, witnesses)) })
	return flows
}

// hopsOf are the hops that witnesses are asked of, and those that logged something about the flows.
func hopsOf(flows evidence.Flows, witnesses []evidence.Witness) []string {
	var names []string
	for _, witness := range witnesses {
		names = append(names, witness.Hop)
	}
	for _, flow := range flows.List {
		for _, line := range flow.Lines {
			names = append(names, line.Hop)
		}
	}
	return names
}

// union is a list without anything twice.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// told has the judgements about the flows remembered, and the first flow as a sample.
func (m *measurement) told(flows evidence.Flows) evidence.Flows {
	flows.Judge = func(judgement evidence.Judgement) {
		m.env.change(m.alias, func(o *Outcome) { o.Judgements = append(o.Judgements, judgement) })
	}
	for hop, count := range renumbered(flows) {
		m.env.Finding("on the way to %s a translation of addresses changed the port of %d connections: they are joined by address, time and bytes", hop, count)
	}
	m.env.change(m.alias, func(o *Outcome) {
		for _, flow := range slices.Concat(flows.List, flows.Controls) {
			if flow.Result.Served() {
				o.Latencies = append(o.Latencies, flow.Result.Duration)
			}
		}
	})
	if len(flows.List) > 0 {
		m.env.change(m.alias, func(o *Outcome) {
			if o.Sample == nil {
				o.Sample = &flows.List[0]
			}
		})
	}
	return flows
}

// renumbered counts, by hop, the connections whose port was another one there than the hop before had.
func renumbered(flows evidence.Flows) map[string]int {
	counts := map[string]int{}
	for _, flow := range slices.Concat(flows.List, flows.Controls) {
		for _, line := range flow.Lines {
			if line.Before != "" {
				counts[line.Hop]++
			}
		}
	}
	return counts
}

func (m *measurement) read(ctx context.Context, counters []evidence.Counter) map[evidence.Counter]evidence.Reading {
	ginkgo.GinkgoHelper()
	readings, err := m.env.Observer.ReadCounters(ctx, counters)
	if err != nil {
		m.abort("the proxies' statistics can be read", err)
	}
	return readings
}

// await reads the counters again, until those that must move have moved: as evidence of probes already sent, they are
// waited for.
func (m *measurement) await(ctx context.Context, measure Measure, before map[evidence.Counter]evidence.Reading) map[evidence.Counter]evidence.CounterMovement {
	ginkgo.GinkgoHelper()
	ended := errors.New("the time for evidence is over")
	waiting, cancel := context.WithTimeoutCause(ctx, m.env.Observer.Patience(), ended)
	defer cancel()
	ticker := time.NewTicker(counterPeriod)
	defer ticker.Stop()
	for {
		movements := map[evidence.Counter]evidence.CounterMovement{}
		enough := true
		for counter, after := range m.read(context.WithoutCancel(ctx), slices.Concat(measure.Counters, measure.Totals)) {
			movement := evidence.CounterMovement{Before: before[counter], After: after}
			movements[counter] = movement
			if slices.Contains(measure.Counters, counter) {
				enough = enough && after.Known && movement.Delta() >= float64(measure.Count)
			}
		}
		if enough {
			return movements
		}
		select {
		case <-waiting.Done():
			return movements
		case <-ticker.C:
		}
	}
}
