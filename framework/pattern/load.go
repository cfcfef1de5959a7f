package pattern

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sync/errgroup"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/traffic"
)

// peakPeriod is the time between two readings of gauges while a load is under way.
const peakPeriod = 100 * time.Millisecond

// Ceiling is what a limit of concurrency came to under load, of one subset.
type Ceiling struct {
	Subset string
	// Configured is the limit; zero means none. Endpoints and Workers are those of each of so many Proxies: each worker may go
	// beyond the limit by one connection to each endpoint.
	Configured, Endpoints, Workers, Proxies int
	// Offered is the most that the client had under way at once, Measured what the server had.
	Offered, Measured int
	// Queued is how many requests waited at the proxy, Overflowed how often it refused to open a connection more, and Rejected
	// how many requests it turned away.
	Queued, Overflowed, Rejected int
}

// Leeway is by how much the proxies may go beyond the limit.
func (c Ceiling) Leeway() int { return c.Endpoints * c.Workers * max(1, c.Proxies) }

// Most is the limit of all proxies with the leeway; zero without a limit.
func (c Ceiling) Most() int {
	if c.Configured == 0 {
		return 0
	}
	return c.Limit() + c.Leeway()
}

// Limit is that of all proxies together; zero means none.
func (c Ceiling) Limit() int { return c.Configured * max(1, c.Proxies) }

// Measured notes what a limit came to in the current check.
func (e *Env) Measured(ceiling Ceiling) {
	e.change(AliasOf(ginkgo.CurrentSpecReport().Labels()), func(o *Outcome) { o.Ceilings = append(o.Ceilings, ceiling) })
}

// LoadMeasure says what load is sent and which evidence is waited for.
type LoadMeasure struct {
	// Steps are sent one after another, the loads of one step at the same time. OfLoad tells their flows apart.
	Steps [][]traffic.Load
	// Control is sent first, until it was served three times in a row; it should be quick.
	Control traffic.Request
	// From names the agent that sends; empty means the run's vantage point.
	From string
	// Witnesses are the records that every probe must leave.
	Witnesses []evidence.Witness
	// Totals are read before the load and once after it; Gauges while it is under way.
	Totals, Gauges []evidence.Counter
}

// Load sends loads, each of whose requests is a probe, and gathers what every hop recorded about them. It fails the spec when
// the vantage point itself does not work.
func (e *Env) Load(ctx context.Context, measure LoadMeasure) evidence.Flows {
	ginkgo.GinkgoHelper()
	m := e.measurement(ctx, measure.From)
	m.control(ctx, measure.Control)
	before := m.read(ctx, measure.Totals)
	mark := e.Observer.Mark()
	peaks := m.watch(ctx, measure.Gauges)
	var results []traffic.Result
	var err error
	for index := 0; index < len(measure.Steps) && err == nil; index++ {
		var more []traffic.Result
		more, err = m.sendLoads(ctx, index, measure.Steps[index])
		results = append(results, more...)
	}
	highest, peakErr := peaks()
	if err != nil {
		m.abort("the vantage point can send load", err)
	}
	if peakErr != nil {
		m.abort("the proxies' statistics can be read", peakErr)
	}
	flows := m.collect(ctx, results, mark, measure.Witnesses)
	m.steady(ctx)
	flows.Peaks, flows.Counters = highest, map[evidence.Counter]evidence.CounterMovement{}
	for counter, after := range m.read(ctx, measure.Totals) {
		flows.Counters[counter] = evidence.CounterMovement{Before: before[counter], After: after}
	}
	return m.told(flows)
}

// Again has flows that another check has measured judged by the current one, too.
func (e *Env) Again(flows evidence.Flows) evidence.Flows {
	m := &measurement{env: e, alias: AliasOf(ginkgo.CurrentSpecReport().Labels())}
	return m.told(flows)
}

// loadLabel makes the identities of the probes of one load of one step; both count from 0.
func loadLabel(step, load int) string { return fmt.Sprintf("S%dL%d", step, load) }

// OfLoad chooses the flows of one load of one step of a LoadMeasure; both count from 0.
func OfLoad(step, load int) func(evidence.Flow) bool {
	label := loadLabel(step, load) + "-"
	return func(flow evidence.Flow) bool { return strings.Contains(flow.ID(), label) }
}

func (m *measurement) sendLoads(ctx context.Context, step int, loads []traffic.Load) ([]traffic.Result, error) {
	results := make([][]traffic.Result, len(loads))
	group, ctx := errgroup.WithContext(ctx)
	for index, load := range loads {
		load.Limit = m.env.TimeoutScale.Of(cmp.Or(load.Limit, traffic.DefaultLoadLimit))
		group.Go(func() (err error) {
			results[index], err = traffic.SendLoad(ctx, m.client, m.alias+loadLabel(step, index), load)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(results...), err
}

// watch reads gauges again and again, until what it returns is called, which returns their highest readings.
func (m *measurement) watch(ctx context.Context, gauges []evidence.Counter) (stop func() (map[evidence.Counter]evidence.Reading, error)) {
	highest := map[evidence.Counter]evidence.Reading{}
	if len(gauges) == 0 {
		return func() (map[evidence.Counter]evidence.Reading, error) { return highest, nil }
	}
	ended := make(chan struct{})
	var group sync.WaitGroup
	var problem error
	group.Go(func() {
		ticker := time.NewTicker(peakPeriod)
		defer ticker.Stop()
		for problem == nil {
			var now map[evidence.Counter]evidence.Reading
			now, problem = m.env.Observer.ReadCounters(ctx, gauges)
			for gauge, reading := range now {
				if known := highest[gauge].Known; reading.Known && (!known || reading.Value > highest[gauge].Value) {
					highest[gauge] = reading
				}
			}
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
		}
	})
	return func() (map[evidence.Counter]evidence.Reading, error) {
		close(ended)
		group.Wait()
		return highest, problem
	}
}
