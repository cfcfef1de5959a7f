package expect

import (
	"strings"
	"testing"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// requests is the counter that the tests of BeCounted use.
var requests = evidence.Counter{Hop: "gateway", Cluster: cluster, Name: "upstream_rq_total"}

// counters are movements of counters from nothing to these values.
type counters map[evidence.Counter]float64

func (c counters) movements() map[evidence.Counter]evidence.CounterMovement {
	movements := map[evidence.Counter]evidence.CounterMovement{}
	for counter, value := range c {
		movements[counter] = evidence.CounterMovement{After: evidence.Reading{Value: value, Known: true}}
	}
	return movements
}

type counterCase struct {
	movements map[evidence.Counter]evidence.CounterMovement
	outcome   evidence.Outcome
	cause     pattern.Cause
	detail    string
}

func judgeCounters(t *testing.T, matcher func() types.GomegaMatcher, cases map[string]counterCase) {
	t.Helper()
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			got, _ := judgeOnce(t, matcher(), evidence.Flows{List: answered(200, 200, 200), Counters: test.movements})
			if got.Outcome != test.outcome || got.Cause != string(test.cause) || got.Detail != test.detail {
				t.Errorf("%s, cause %q: %s\nwant %s, cause %q: %s", got.Outcome, got.Cause, got.Detail, test.outcome, test.cause, test.detail)
			}
		})
	}
}

func TestBeCounted(t *testing.T) {
	counted := func(before, after float64, known bool) map[evidence.Counter]evidence.CounterMovement {
		return map[evidence.Counter]evidence.CounterMovement{requests: {Before: evidence.Reading{Value: before, Known: true}, After: evidence.Reading{Value: after, Known: known}}}
	}
	judgeCounters(t, func() types.GomegaMatcher { return BeCounted(requests) }, map[string]counterCase{
		"exactly enough":  {counted(5, 8, true), evidence.True, "", "3 of 3 probes; upstream_rq_total +3"},
		"more, by others": {counted(5, 10, true), evidence.True, "", "3 of 3 probes; upstream_rq_total +5"},
		"too small":       {counted(5, 7, true), evidence.False, pattern.CounterDisagrees, "upstream_rq_total of " + cluster + " moved by 2 over 3 probes"},
		"unknown to the proxies": {counted(0, 0, false), evidence.Unknown, pattern.EvidenceMissing,
			"the proxies of gateway publish no upstream_rq_total of " + cluster},
		"not measured": {nil, evidence.Unknown, pattern.EvidenceMissing, "the check did not measure upstream_rq_total of gateway"},
	})
	got, _ := judgeOnce(t, BeCounted(requests), evidence.Flows{List: answered(200), Counters: counted(0, 0, false)})
	if !strings.Contains(got.Remedy, "proxyStatsMatcher") {
		t.Errorf("remedy %q does not name the annotation", got.Remedy)
	}
}

func TestTakeTLSOnly(t *testing.T) {
	all, withTLS := InboundConnections("page", 9080)
	judgeCounters(t, func() types.GomegaMatcher { return TakeTLSOnly("page", 9080) }, map[string]counterCase{
		"all of TLS":    {counters{all: 7, withTLS: 7}.movements(), evidence.True, "", "3 of 3 probes; 7 connections"},
		"one plain":     {counters{all: 7, withTLS: 6}.movements(), evidence.False, pattern.PlainText, "1 of 7 connections to page:9080 are plain text"},
		"none of TLS":   {counters{all: 2}.movements(), evidence.False, pattern.PlainText, "2 of 2 connections to page:9080 are plain text"},
		"no connection": {counters{all: 0}.movements(), evidence.Unknown, pattern.EvidenceMissing, "page holds no connection for port 9080"},
		"not measured":  {nil, evidence.Unknown, pattern.EvidenceMissing, "the check did not measure downstream_cx_active of page"},
	})
}

func TestConnectWithTLSOnly(t *testing.T) {
	all, failed, handshakes := OutboundConnections("gateway", cluster)
	earlier := map[evidence.Counter]evidence.CounterMovement{}
	for counter, value := range map[evidence.Counter]float64{all: 4, handshakes: 3} {
		earlier[counter] = evidence.CounterMovement{Before: evidence.Reading{Value: value, Known: true}, After: evidence.Reading{Value: value, Known: true}}
	}
	judgeCounters(t, func() types.GomegaMatcher { return ConnectWithTLSOnly("gateway", cluster) }, map[string]counterCase{
		"all with a handshake":              {counters{all: 4, handshakes: 4}.movements(), evidence.True, "", "3 of 3 probes; 4 handshakes"},
		"but those that failed":             {counters{all: 5, failed: 1, handshakes: 4}.movements(), evidence.True, "", "3 of 3 probes; 4 handshakes"},
		"no new one, and earlier a plain":   {earlier, evidence.True, "", "3 of 3 probes; 3 handshakes"},
		"one without":                       {counters{all: 4, handshakes: 3}.movements(), evidence.False, pattern.PlainText, "1 of 4 connections of gateway to " + cluster + " began without a TLS handshake"},
		"no new one, and never a handshake": {counters{all: 0}.movements(), evidence.False, pattern.PlainText, "gateway has never made a TLS handshake with " + cluster},
		"not measured":                      {nil, evidence.Unknown, pattern.EvidenceMissing, "the check did not measure upstream_cx_total of gateway"},
	})
}
