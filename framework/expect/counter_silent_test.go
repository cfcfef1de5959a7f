package expect

import (
	"testing"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// moved are movements of counters between these values.
func moved(counter evidence.Counter, before, after evidence.Reading) map[evidence.Counter]evidence.CounterMovement {
	return map[evidence.Counter]evidence.CounterMovement{counter: {Before: before, After: after}}
}

func TestStayStill(t *testing.T) {
	known := func(value float64) evidence.Reading { return evidence.Reading{Value: value, Known: true} }
	judgeCounters(t, func() types.GomegaMatcher { return StayStill(requests) }, map[string]counterCase{
		"it did":                   {moved(requests, known(5), known(5)), evidence.True, "", "3 of 3 probes; upstream_rq_total +0"},
		"it did, at nothing":       {moved(requests, known(0), known(0)), evidence.True, "", "3 of 3 probes; upstream_rq_total +0"},
		"by one":                   {moved(requests, known(5), known(6)), evidence.False, pattern.Bypassed, "upstream_rq_total of " + cluster + " at gateway moved by 1 over 3 probes"},
		"back, as a new proxy's":   {moved(requests, known(5), known(0)), evidence.False, pattern.Bypassed, "upstream_rq_total of " + cluster + " at gateway moved by -5 over 3 probes"},
		"it came into being":       {moved(requests, evidence.Reading{}, known(2)), evidence.False, pattern.Bypassed, "upstream_rq_total of " + cluster + " at gateway moved by 2 over 3 probes"},
		"it is not published":      {moved(requests, evidence.Reading{}, evidence.Reading{}), evidence.Unknown, pattern.EvidenceMissing, "the proxies of gateway publish no upstream_rq_total of " + cluster},
		"it was not measured":      {nil, evidence.Unknown, pattern.EvidenceMissing, "the check did not measure upstream_rq_total of gateway"},
		"it is not published more": {moved(requests, known(5), evidence.Reading{Value: 5}), evidence.Unknown, pattern.EvidenceMissing, "the proxies of gateway publish no upstream_rq_total of " + cluster},
	})
}

func TestConnectWithoutTLS(t *testing.T) {
	all, _, handshakes := OutboundConnections("ratings", database)
	none := evidence.CounterMovement{}
	with := func(c counters, change map[evidence.Counter]evidence.CounterMovement) map[evidence.Counter]evidence.CounterMovement {
		movements := c.movements()
		for counter, movement := range change {
			movements[counter] = movement
		}
		return movements
	}
	earlier := evidence.CounterMovement{Before: evidence.Reading{Value: 9, Known: true}, After: evidence.Reading{Value: 9, Known: true}}
	judgeCounters(t, func() types.GomegaMatcher { return ConnectWithoutTLS("ratings", database) }, map[string]counterCase{
		"no handshake is published": {with(counters{all: 6}, map[evidence.Counter]evidence.CounterMovement{handshakes: none}), evidence.True, "", "3 of 3 probes; 6 connections"},
		"no handshake was made":     {counters{all: 3, handshakes: 0}.movements(), evidence.True, "", "3 of 3 probes; 3 connections"},
		"handshakes of before":      {with(counters{all: 3}, map[evidence.Counter]evidence.CounterMovement{handshakes: earlier}), evidence.True, "", "3 of 3 probes; 3 connections"},
		"one handshake":             {counters{all: 6, handshakes: 1}.movements(), evidence.False, pattern.TLSAdded, "1 of 6 connections of ratings to " + database + " began with a TLS handshake of its own"},
		"fewer connections":         {counters{all: 2, handshakes: 0}.movements(), evidence.False, pattern.CounterDisagrees, "upstream_cx_total of " + database + " moved by 2 over 3 probes"},
		"no statistics of it":       {with(nil, map[evidence.Counter]evidence.CounterMovement{all: none, handshakes: none}), evidence.Unknown, pattern.EvidenceMissing, "the proxies of ratings publish no upstream_cx_total of " + database},
		"connections not measured":  {counters{handshakes: 0}.movements(), evidence.Unknown, pattern.EvidenceMissing, "the check did not measure upstream_cx_total of ratings"},
		"handshakes not measured":   {counters{all: 3}.movements(), evidence.Unknown, pattern.EvidenceMissing, "the check did not measure ssl.handshake of ratings"},
	})
}
