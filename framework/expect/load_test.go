package expect

import (
	"fmt"
	"testing"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// loaded are flows of requests that the client sent all at once, of which the server had so many in flight at most.
func loaded(offered, inFlight int, change ...func(*evidence.Flow)) evidence.Flows {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var flows evidence.Flows
	for index := range offered {
		flow := evidence.Flow{Result: traffic.Result{Status: 200, StartedAt: began, Duration: time.Second, Probe: traffic.Probe{ID: fmt.Sprintf("mp-TC3-0123456789ab-%d", index+1)}}}
		load := &record.Load{Plan: "silver", InFlight: min(index+1, inFlight), Connection: uint64(index + 1)}
		flow.Records = []evidence.Record{{Hop: "rating", Request: record.Request{Time: began, Peer: "10.0.0.2:1", Load: load}}}
		flow.Lines = []evidence.Line{{Hop: "product", Line: accesslog.Line{Start: began, UpstreamCluster: cluster, UpstreamHost: "10.0.0.9:80", UpstreamLocal: fmt.Sprintf("10.0.0.1:%d", 1000+index)}}}
		for _, c := range change {
			c(&flow)
		}
		flows.List = append(flows.List, flow)
	}
	return flows
}

// with adds what the proxies counted.
func counting(flows evidence.Flows, overflow, active float64) evidence.Flows {
	refused, open := LimitCounters("product", cluster)
	flows.Counters = counters{refused: overflow}.movements()
	flows.Peaks = map[evidence.Counter]evidence.Reading{open: {Value: active, Known: true}}
	return flows
}

var limited = pattern.Ceiling{Subset: "silver", Configured: 20, Endpoints: 1, Workers: 1, Proxies: 1}

type loadCase struct {
	flows   evidence.Flows
	outcome evidence.Outcome
	cause   pattern.Cause
}

func judgeLoads(t *testing.T, matcher types.GomegaMatcher, cases map[string]loadCase) {
	t.Helper()
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			got, _ := judgeOnce(t, matcher, test.flows)
			if got.Outcome != test.outcome || got.Cause != string(test.cause) {
				t.Errorf("%s, cause %q: %s\nwant %s, cause %q", got.Outcome, got.Cause, got.Detail, test.outcome, test.cause)
			}
		})
	}
}

func TestKeepLimit(t *testing.T) {
	unrecorded := func(f *evidence.Flow) { f.Records = nil }
	uncounted := func(f *evidence.Flow) { f.Records[0].Load = nil }
	judgeLoads(t, KeepLimit("rating", "product", cluster, limited), map[string]loadCase{
		"exactly the limit":                 {counting(loaded(60, 20), 40, 20), evidence.True, ""},
		"within the leeway":                 {counting(loaded(60, 21), 40, 21), evidence.Unknown, pattern.Undecidable},
		"beyond the leeway":                 {counting(loaded(60, 22), 40, 22), evidence.False, pattern.OverLimit},
		"beyond it, by a load that is less": {counting(loaded(22, 22), 0, 22), evidence.False, pattern.OverLimit},
		"less than the limit":               {counting(loaded(60, 19), 40, 19), evidence.False, pattern.UnderLimit},
		"less, but the proxy had as many":   {counting(loaded(60, 19), 40, 20), evidence.Unknown, pattern.Undecidable},
		"a load that the ceiling takes":     {counting(loaded(21, 20), 1, 20), evidence.Unknown, pattern.NotSaturated},
		"no record":                         {counting(loaded(60, 20, unrecorded), 40, 20), evidence.Unknown, pattern.EvidenceMissing},
		"a record without load":             {counting(loaded(60, 20, uncounted), 40, 20), evidence.Unknown, pattern.EvidenceMissing},
	})
}

func TestACeilingOfManyProxies(t *testing.T) {
	ceiling := pattern.Ceiling{Configured: 20, Endpoints: 2, Workers: 3, Proxies: 2}
	if ceiling.Limit() != 40 || ceiling.Leeway() != 12 || ceiling.Most() != 52 {
		t.Errorf("limit %d, leeway %d, at most %d", ceiling.Limit(), ceiling.Leeway(), ceiling.Most())
	}
	if none := (pattern.Ceiling{Endpoints: 2, Workers: 3, Proxies: 2}); none.Most() != 0 {
		t.Errorf("without a limit at most %d", none.Most())
	}
}

func TestHaveNoLimit(t *testing.T) {
	judgeLoads(t, HaveNoLimit("rating", 25), map[string]loadCase{
		"all of them":  {loaded(60, 60), evidence.True, ""},
		"enough":       {loaded(60, 25), evidence.True, ""},
		"a limit":      {loaded(60, 20), evidence.False, pattern.UnderLimit},
		"a small load": {loaded(24, 24), evidence.Unknown, pattern.NotSaturated},
		"no record":    {loaded(60, 60, func(f *evidence.Flow) { f.Records = nil }), evidence.Unknown, pattern.EvidenceMissing},
	})
}

func TestOverflow(t *testing.T) {
	judgeLoads(t, OverflowAt("product", cluster, limited), map[string]loadCase{
		"at the limit":     {counting(loaded(60, 20), 40, 20), evidence.True, ""},
		"with the leeway":  {counting(loaded(60, 20), 40, 21), evidence.True, ""},
		"beyond it":        {counting(loaded(60, 20), 40, 22), evidence.False, pattern.OverLimit},
		"nothing refused":  {counting(loaded(60, 20), 0, 20), evidence.False, pattern.OverLimit},
		"nothing measured": {loaded(60, 20), evidence.Unknown, pattern.EvidenceMissing},
	})
	judgeLoads(t, NeverOverflow("product", cluster), map[string]loadCase{
		"nothing refused":  {counting(loaded(60, 60), 0, 60), evidence.True, ""},
		"one refused":      {counting(loaded(60, 60), 1, 60), evidence.False, pattern.Queued},
		"nothing measured": {loaded(60, 60), evidence.Unknown, pattern.EvidenceMissing},
	})
}

func TestQueueAt(t *testing.T) {
	late := func(f *evidence.Flow) { f.Records[0].Time = f.Records[0].Time.Add(time.Second) }
	judgeLoads(t, QueueAt("product", "rating", 100*time.Millisecond), map[string]loadCase{
		"some waited": {loaded(3, 1, late), evidence.True, ""},
		"none waited": {loaded(3, 3), evidence.Unknown, pattern.NotSaturated},
		"no line":     {loaded(3, 3, func(f *evidence.Flow) { f.Lines = nil }), evidence.Unknown, pattern.EvidenceMissing},
	})
}

// after are flows that took so many milliseconds.
func after(took ...int) evidence.Flows {
	flows := loaded(len(took), 1)
	for index := range took {
		flows.List[index].Result.Duration = time.Duration(took[index]) * time.Millisecond
	}
	return flows
}

func TestFinishInSteps(t *testing.T) {
	judgeLoads(t, FinishInSteps(1, 100*time.Millisecond), map[string]loadCase{
		"in steps, in any order": {after(310, 105, 201), evidence.True, ""},
		"two at once":            {after(101, 102, 200), evidence.False, pattern.OverLimit},
		"a step left out":        {after(101, 301, 400), evidence.False, pattern.UnderLimit},
	})
	judgeLoads(t, FinishInSteps(2, 100*time.Millisecond), map[string]loadCase{"two at once": {after(101, 102, 200), evidence.True, ""}})
}

func TestConnections(t *testing.T) {
	shared := func(f *evidence.Flow) { f.Lines[0].UpstreamLocal, f.Records[0].Load.Connection = "10.0.0.1:1", 1 }
	for name, of := range map[string]func(evidence.Flow) string{"product": ConnectionOf("product"), "rating": TakenBy("rating")} {
		judgeLoads(t, HaveOwnConnections(name, "end", of), map[string]loadCase{
			name + " own":    {loaded(3, 1), evidence.True, ""},
			name + " shared": {loaded(3, 1, shared), evidence.False, pattern.Reused},
			name + " none":   {loaded(3, 1, func(f *evidence.Flow) { f.Lines, f.Records = nil, nil }), evidence.Unknown, pattern.EvidenceMissing},
		})
		judgeLoads(t, ShareConnections(name, "end", of), map[string]loadCase{
			name + " own":    {loaded(3, 1), evidence.False, pattern.NotReused},
			name + " shared": {loaded(3, 1, shared), evidence.True, ""},
		})
	}
	counted := func(connections, sent float64) evidence.Flows {
		flows := loaded(3, 1)
		made, requests := ConnectionCounters("product", cluster)
		flows.Counters = counters{made: connections, requests: sent}.movements()
		return flows
	}
	judgeLoads(t, CountConnections("product", cluster, false), map[string]loadCase{
		"one each":     {counted(3, 3), evidence.True, ""},
		"fewer":        {counted(2, 3), evidence.False, pattern.Reused},
		"other probes": {counted(2, 2), evidence.False, pattern.CounterDisagrees},
		"no counters":  {loaded(3, 1), evidence.Unknown, pattern.EvidenceMissing},
	})
	judgeLoads(t, CountConnections("product", cluster, true), map[string]loadCase{
		"fewer":    {counted(2, 3), evidence.True, ""},
		"one each": {counted(3, 3), evidence.False, pattern.NotReused},
	})
}

// spread are flows that took from first to last milliseconds, evenly.
func spread(count, first, last int) evidence.Flows {
	var took []int
	for index := range count {
		took = append(took, first+(last-first)*index/count)
	}
	return after(took...)
}

func TestNotBeSlowerThan(t *testing.T) {
	margin := 100 * time.Millisecond
	judgeLoads(t, NotBeSlowerThan(spread(40, 200, 220), margin, 0.5), map[string]loadCase{
		"alike":                     {spread(40, 205, 230), evidence.True, ""},
		"quicker":                   {spread(40, 100, 120), evidence.True, ""},
		"a turn later":              {spread(40, 400, 420), evidence.False, pattern.Slowed},
		"too wide to tell":          {spread(40, 100, 700), evidence.Unknown, pattern.Undecidable},
		"too few to tell":           {spread(5, 205, 230), evidence.Unknown, pattern.Undecidable},
		"one that was not answered": {loaded(40, 1, func(f *evidence.Flow) { f.Result.Status = 503 }), evidence.False, pattern.NotAnswered},
	})
	judgeLoads(t, NotBeSlowerThan(spread(40, 200, 220), margin, 0.5, 0.9), map[string]loadCase{
		"the tail of forty has no end": {spread(40, 205, 230), evidence.Unknown, pattern.Undecidable},
	})
}

// The interval misses its quantile as rarely as it says: of the even sample of 0 to 999, every interval holds the quantile.
func TestIntervalHoldsTheQuantile(t *testing.T) {
	flows := spread(1000, 0, 1000)
	for _, quantile := range []float64{0.1, 0.25, 0.5, 0.75, 0.9} {
		low, high, known := evidence.Interval(durations(flows), quantile)
		exact := time.Duration(1000*quantile) * time.Millisecond
		if !known || low > exact || high < exact || high-low > 100*time.Millisecond {
			t.Errorf("quantile %g: from %s to %s, known %t", quantile, low, high, known)
		}
	}
}

func TestAtOnce(t *testing.T) {
	flows := loaded(3, 1)
	flows.List[2].Result.StartedAt = flows.List[2].Result.StartedAt.Add(time.Second) // when the others have ended
	if got := AtOnce(flows); got != 2 {
		t.Errorf("%d at once, want 2", got)
	}
}
