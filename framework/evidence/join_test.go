package evidence

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/traffic"
)

// connected is one connection as a proxy logs it in Istio's default format: who connected, and from where the proxy
// connected on.
type connected struct {
	hop, from, on string
	// second is when the connection began.
	second float64
}

func (c connected) line(t *testing.T) Line {
	t.Helper()
	dash := func(text string) string {
		if text == "" {
			return "-"
		}
		return text
	}
	text := fmt.Sprintf(`[2026-11-22T16:04:%06.3fZ] "- - -" 0 - - - "-" 5 5 1 - "-" "-" "-" "-" "-" - %s 10.0.0.5:27017 %s - -`, c.second, dash(c.on), dash(c.from))
	line, ok := compile(t, accesslog.IstioDefault).Parse(text)
	if !ok || line.Ambiguous {
		t.Fatalf("the format does not read %s", text)
	}
	return Line{Line: line, Hop: c.hop, Raw: text}
}

// overConnections are two probes from 10.0.0.9, of second 10 and second 20, which took a second each.
func overConnections() []traffic.Result {
	results := sent(2)
	for index, port := range []string{"50001", "50002"} {
		results[index].LocalAddress = "10.0.0.9:" + port
		results[index].StartedAt = time.Date(2026, 11, 22, 16, 4, 10*(index+1), 0, time.UTC)
		results[index].Duration = time.Second
	}
	return results
}

func TestJoinConnections(t *testing.T) {
	const first, second = "10.0.0.9:50001", "10.0.0.9:50002"
	for name, test := range map[string]struct {
		lines []connected
		want  map[int]string
	}{
		"by the address that the client connected from": {
			[]connected{{hop: "first", from: first, second: 10.2}, {hop: "second", from: second, second: 20.2}}, map[int]string{1: "first", 2: "second"}},
		"from hop to hop by the address that they share": {
			[]connected{{hop: "sidecar", from: first, on: "10.0.0.9:41000", second: 10.1}, {hop: "gateway", from: "10.0.0.9:41000", second: 10.2}}, map[int]string{1: "sidecar, gateway"}},
		"of another client are nothing":                     {[]connected{{hop: "gateway", from: "10.0.0.8:50001", second: 10.2}}, map[int]string{}},
		"of another port of the client are nothing":         {[]connected{{hop: "gateway", from: "10.0.0.9:5000", second: 10.2}}, map[int]string{}},
		"of nobody are nothing":                             {[]connected{{hop: "gateway", second: 10.2}}, map[int]string{}},
		"are nothing when the hop before is not joined":     {[]connected{{hop: "sidecar", from: "10.0.0.8:1", on: "10.0.0.8:2", second: 10.1}, {hop: "gateway", from: "10.0.0.8:2", second: 10.2}}, map[int]string{}},
		"are nothing when the hop before did not go on":     {[]connected{{hop: "sidecar", from: first, second: 10.1}, {hop: "gateway", second: 10.2}}, map[int]string{1: "sidecar"}},
		"that began before the probe are nothing":           {[]connected{{hop: "gateway", from: first, second: 7.9}}, map[int]string{}},
		"that began after the probe are nothing":            {[]connected{{hop: "gateway", from: first, second: 13.1}}, map[int]string{}},
		"may be off by as much as clocks are":               {[]connected{{hop: "early", from: first, second: 8.1}, {hop: "late", from: second, second: 22.9}}, map[int]string{1: "early", 2: "late"}},
		"are nothing beside one of the same time":           {[]connected{{hop: "gateway", from: first, second: 9.5}, {hop: "gateway", from: first, second: 10.2}}, map[int]string{1: "gateway"}},
		"at the time of another probe with another address": {[]connected{{hop: "gateway", from: first, second: 20.2}}, map[int]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []Line
			for _, c := range test.lines {
				lines = append(lines, c.line(t))
			}
			if diff := cmp.Diff(test.want, hopsOf(join(overConnections(), gathered{lines: refer(lines)}).flows)); diff != "" {
				t.Errorf("joined hops by probe (-want +got):\n%s", diff)
			}
		})
	}
}

// A sidecar and its application connect from one address, and the kernel gives both the same port when they go elsewhere.
func TestJoinConnectionsOfAPortThatASidecarAndItsApplicationShare(t *testing.T) {
	query := connected{hop: "sidecar", from: "10.0.0.9:50001", on: "10.0.0.9:41000", second: 10.1}.line(t)
	watching := connected{hop: "sidecar", from: "10.0.0.9:41000", on: "10.0.0.9:41001", second: 10.2}.line(t)
	next := connected{hop: "gateway", from: "10.0.0.9:41000", second: 10.2}.line(t)
	query.Pod, watching.Pod, next.Pod = "application", "application", "gateway"
	query.Address, watching.Address, next.Address = "10.0.0.9", "10.0.0.9", "10.0.0.5"
	joined := join(overConnections(), gathered{lines: refer([]Line{query, watching, next})})
	if diff := cmp.Diff(map[int]string{1: "sidecar, gateway"}, hopsOf(joined.flows)); diff != "" {
		t.Errorf("joined hops by probe (-want +got):\n%s", diff)
	}
	if len(joined.others) != 1 {
		t.Errorf("%d lines are of no probe, want the one of the other connection", len(joined.others))
	}
}

// Logs are read one after another, in no order of the path.
func TestJoinConnectionsInAnyOrderOfReading(t *testing.T) {
	chain := []Line{
		connected{hop: "sidecar", from: "10.0.0.9:50001", on: "10.0.0.9:41000", second: 10.1}.line(t),
		connected{hop: "gateway", from: "10.0.0.9:41000", on: "10.0.0.5:42000", second: 10.2}.line(t),
		connected{hop: "server", from: "10.0.0.5:42000", second: 10.3}.line(t),
	}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		var lines []Line
		for _, index := range order {
			lines = append(lines, chain[index])
		}
		if diff := cmp.Diff(map[int]string{1: "sidecar, gateway, server"}, hopsOf(join(overConnections(), gathered{lines: refer(lines)}).flows)); diff != "" {
			t.Errorf("in the order %v: joined hops by probe (-want +got):\n%s", order, diff)
		}
	}
}

// A proxy answers many requests over one connection, so the address says nothing of a request.
func TestJoinNeverTakesARequestByItsAddress(t *testing.T) {
	results := overConnections()
	results[0].LocalAddress = "10.0.0.9:50000" // as in every logged request
	results[0].StartedAt = time.Date(2026, 11, 22, 16, 4, 0, 0, time.UTC)
	if diff := cmp.Diff(map[int]string{}, hopsOf(join(results, gathered{lines: refer(parse(t, logged{hop: "gateway", path: "/productpage"}))}).flows)); diff != "" {
		t.Errorf("joined hops by probe (-want +got):\n%s", diff)
	}
}

// A format need not hold the method: a request is known by its path and its request ID too.
func TestJoinTellsRequestsFromConnectionsWithoutTheMethod(t *testing.T) {
	results := overConnections()
	results[0].LocalAddress = "10.0.0.9:50000"
	results[0].StartedAt = time.Date(2026, 11, 22, 16, 4, 0, 0, time.UTC)
	format := compile(t, strings.Replace(accesslog.IstioDefault, "%REQ(:METHOD)%", "GET", 1))
	var lines []Line
	for _, entry := range []logged{
		{hop: "foreign", path: "/productpage"}, {hop: "foreign", id: "f"},
		{hop: "gateway", path: "/productpage?meshproof=" + results[1].Probe.ID, id: "r2"}, {hop: "details", id: "r2", second: 1},
	} {
		line, ok := format.Parse(entry.text())
		if !ok || line.Method != "" {
			t.Fatalf("method %q of %s", line.Method, entry.text())
		}
		lines = append(lines, Line{Line: line, Hop: entry.hop})
	}
	if diff := cmp.Diff(map[int]string{2: "gateway, details"}, hopsOf(join(results, gathered{lines: refer(lines)}).flows)); diff != "" {
		t.Errorf("joined hops by probe (-want +got):\n%s", diff)
	}
}

// An application connects to its database for a request: from its address the path goes on.
func TestJoinConnectionsOfAnApplication(t *testing.T) {
	results := overConnections()
	made := func(agent, id, purpose, local string) Connection {
		return Connection{Hop: "ratings", Connection: record.Connection{UserAgent: agent, RequestID: id, Purpose: purpose, Local: local}}
	}
	accepted := func(peer string, second int) Accepted {
		return Accepted{Hop: "database", Peer: peer, Time: time.Date(2026, 11, 22, 16, 4, second, 0, time.UTC)}
	}
	seen := gathered{
		lines: refer(append(parse(t, logged{hop: "gateway", path: "/p?meshproof=" + results[0].Probe.ID, id: "r1", second: 10}),
			connected{hop: "egress", from: "10.0.0.6:42000", on: "10.0.0.5:43000", second: 10.4}.line(t),
			connected{hop: "sidecar", from: "10.0.0.6:41000", on: "10.0.0.6:42000", second: 10.3}.line(t),
			connected{hop: "sidecar", from: "10.0.0.6:41001", second: 10.3}.line(t),
		)),
		connections: []Connection{
			made("", "r1", record.Query, "10.0.0.6:41000"), made("", "r1", record.Monitor, "10.0.0.6:41001"), made("", "other", record.Query, "10.0.0.6:41002"),
			made("meshproof/"+results[1].Probe.ID, "", record.Query, ""),
		},
		accepted: []Accepted{accepted("10.0.0.5:43000", 10), accepted("10.0.0.5:43000", 30), accepted("10.0.0.6:41001", 10), accepted("", 10)},
	}
	flows := join(results, seen).flows
	if diff := cmp.Diff(map[int]string{1: "gateway, sidecar, egress"}, hopsOf(flows)); diff != "" {
		t.Errorf("joined hops by probe (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(seen.accepted[:1], flows[0].Accepted); diff != "" || len(flows[1].Accepted) > 0 {
		t.Errorf("%d accepted for the other probe; accepted (-want +got):\n%s", len(flows[1].Accepted), diff)
	}
	if diff := cmp.Diff(seen.connections[:1], flows[0].QueriesFrom("ratings")); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
	if got := len(flows[0].Connections); got != 2 || len(flows[1].QueriesFrom("ratings")) != 1 || len(flows[1].QueriesFrom("reviews")) != 0 {
		t.Errorf("%d connections of the first probe; of the second %v", got, flows[1].Connections)
	}
}
