package evidence

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/traffic"
)

// recorded is a line as a proxy of the lab has written it.
func recorded(t *testing.T, hop, address, text string) Line {
	t.Helper()
	line, ok := compile(t, accesslog.IstioDefault).Parse(text)
	if !ok || line.Ambiguous {
		t.Fatalf("the format does not read %s", text)
	}
	return Line{Line: line, Hop: hop, Pod: hop + "-1", Address: address, Raw: text}
}

// clock is a time of the minute in which the lines were written.
func clock(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, "2026-11-22T23:36:"+text+"Z")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// asked are the results of probes that began at these times, and the connections of ratings that were made for them.
func asked(t *testing.T, starts, locals []string) (results []traffic.Result, made []Connection) {
	t.Helper()
	results = sent(len(starts))
	for index := range results {
		results[index].StartedAt, results[index].Duration = clock(t, starts[index]), 40*time.Millisecond
		made = append(made, Connection{Hop: "ratings", LogPod: "ratings-1", Connection: record.Connection{
			UserAgent: traffic.UserAgentPrefix + results[index].Probe.ID, Purpose: record.Query, Local: locals[index],
		}})
	}
	return results, made
}

// The sidecar went on for the first probe from port 38672, and 0.4 s later the application asked for the second from the
// same: they lead elsewhere, so the kernel may give both the same port.
func TestAPortThatAnApplicationAndItsSidecarBothHave(t *testing.T) {
	results, made := asked(t, []string{"54.265", "54.650"}, []string{"10.244.0.16:38472", "10.244.0.16:38672"})
	const ratings, mongodb = "10.244.0.16", "10.244.0.4"
	lines := []Line{
		recorded(t, "ratings", ratings, `[2026-11-22T23:36:54.281Z] "- - -" 0 - - - "-" 1256 1083 14 - "-" "-" "-" "-" "10.244.0.4:27017" outbound|27017||mongodb.mongo-ingress-mongodb.svc.cluster.local 10.244.0.16:38672 10.96.111.36:27017 10.244.0.16:38472 - -`),
		recorded(t, "mongodb", mongodb, `[2026-11-22T23:36:54.281Z] "- - -" 0 - - - "-" 1256 1083 14 - "-" "-" "-" "-" "10.244.0.4:27017" inbound|27017|| 127.0.0.6:46650 10.244.0.4:27017 10.244.0.16:38672 outbound_.27017_._.mongodb.mongo-ingress-mongodb.svc.cluster.local -`),
		recorded(t, "ratings", ratings, `[2026-11-22T23:36:54.669Z] "- - -" 0 - - - "-" 1256 1083 12 - "-" "-" "-" "-" "10.244.0.4:27017" outbound|27017||mongodb.mongo-ingress-mongodb.svc.cluster.local 10.244.0.16:38878 10.96.111.36:27017 10.244.0.16:38672 - -`),
		recorded(t, "mongodb", mongodb, `[2026-11-22T23:36:54.669Z] "- - -" 0 - - - "-" 1256 1083 11 - "-" "-" "-" "-" "10.244.0.4:27017" inbound|27017|| 127.0.0.6:46836 10.244.0.4:27017 10.244.0.16:38878 outbound_.27017_._.mongodb.mongo-ingress-mongodb.svc.cluster.local -`),
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 3, 0, 1}, {1, 0, 3, 2}} {
		var read []Line
		for _, index := range order {
			read = append(read, lines[index])
		}
		got := join(results, gathered{lines: refer(read), connections: made})
		want := []string{"38672 46650", "38878 46836"}
		for index, flow := range got.flows {
			if joined := ports(flow); joined != want[index] {
				t.Errorf("in the order %v: probe %d went on from %q, want %q", order, index+1, joined, want[index])
			}
		}
		if len(got.others) > 0 {
			t.Errorf("in the order %v: %d lines are of no probe", order, len(got.others))
		}
	}
}

// ports are the last digits of where the proxies of a flow connected from.
func ports(flow Flow) string {
	text := ""
	for _, line := range flow.Lines {
		if text != "" {
			text += " "
		}
		text += line.UpstreamLocal[len(line.UpstreamLocal)-5:]
	}
	return text
}

// What watches the server has a connection of its own, which is no probe's, wherever its sidecar goes on from.
func TestTheMonitorsWayOnIsNoProbes(t *testing.T) {
	results, made := asked(t, []string{"54.265"}, []string{"10.0.0.6:41000"})
	at := func(hop, address, on, from string) Line {
		line := connected{hop: hop, from: from, on: on}.line(t)
		line.Address, line.Pod, line.Start = address, hop+"-1", clock(t, "54.270")
		return line
	}
	got := join(results, gathered{connections: made, lines: refer([]Line{
		at("sidecar", "10.0.0.6", "10.0.0.6:42000", "10.0.0.6:41000"), at("gateway", "10.0.0.7", "", "10.0.0.6:42000"),
		// The monitor's: its sidecar goes on from the port that the application asked from.
		at("sidecar", "10.0.0.6", "10.0.0.6:41000", "10.0.0.6:41001"), at("gateway", "10.0.0.7", "", "10.0.0.6:41000"),
	})})
	if diff := cmp.Diff(map[int]string{1: "sidecar, gateway"}, hopsOf(got.flows)); diff != "" {
		t.Errorf("joined hops by probe (-want +got):\n%s", diff)
	}
	if len(got.others) != 2 {
		t.Errorf("%d lines are of no probe, want the two of the monitor", len(got.others))
	}
}

// An application whose connections its sidecar does not carry is met at the next hop by its own address.
func TestAnApplicationPastItsSidecar(t *testing.T) {
	results, made := asked(t, []string{"54.265"}, []string{"10.0.0.6:41000"})
	line := connected{hop: "gateway", from: "10.0.0.6:41000"}.line(t)
	line.Address, line.Start = "10.0.0.7", clock(t, "54.270")
	if diff := cmp.Diff(map[int]string{1: "gateway"}, hopsOf(join(results, gathered{connections: made, lines: refer([]Line{line})}).flows)); diff != "" {
		t.Errorf("joined hops by probe (-want +got):\n%s", diff)
	}
}

// Every sidecar connects to its own application from 127.0.0.6, so the same port occurs in every pod.
func TestALoopbackEndIsOfItsPod(t *testing.T) {
	results := overConnections()
	const loop = "127.0.0.6:46650"
	at := func(hop, pod string, second float64, from, on string) Line {
		line := connected{hop: hop, from: from, on: on, second: second}.line(t)
		line.Pod = pod
		return line
	}
	seen := gathered{
		lines: refer([]Line{at("mongodb", "mongodb-1", 10.2, "10.0.0.9:50001", loop), at("mongodb", "mongodb-2", 20.2, "10.0.0.9:50002", loop)}),
		accepted: []Accepted{
			{Hop: "mongodb", LogPod: "mongodb-1", Peer: loop, Time: results[0].StartedAt},
			{Hop: "mongodb", LogPod: "mongodb-2", Peer: loop, Time: results[1].StartedAt},
			{Hop: "other", LogPod: "other-1", Peer: loop, Time: results[0].StartedAt},
			{Hop: "mongodb", LogPod: "mongodb-1", Peer: loop, Time: results[1].StartedAt}, // the port is used again, by somebody else
		},
	}
	for index, flow := range join(results, seen).flows {
		if diff := cmp.Diff(seen.accepted[index:index+1], flow.Accepted); diff != "" {
			t.Errorf("accepted of probe %d (-want +got):\n%s", index+1, diff)
		}
	}
}

func TestAttempts(t *testing.T) {
	made := func(pod, purpose, local string) Connection {
		return Connection{Hop: "ratings", LogPod: pod, Connection: record.Connection{Purpose: purpose, Local: local}}
	}
	query, monitor := made("a", record.Query, "10.0.0.6:1"), made("a", record.Monitor, "10.0.0.6:2")
	failed, first, second := made("a", record.Query, ""), made("b", record.Monitor, "10.0.0.7:1"), made("b", record.Monitor, "10.0.0.7:2")
	for name, test := range map[string]struct{ made, want []Connection }{
		"what was asked over, not what watched":        {[]Connection{monitor, query}, []Connection{query}},
		"a driver that never asked tried all the same": {[]Connection{first, second}, []Connection{first, second}},
		"each pod for itself":                          {[]Connection{monitor, first, query}, []Connection{first, query}},
		"what was never connected has no address":      {[]Connection{failed}, nil},
		"a question that was never connected is one":   {[]Connection{failed, monitor}, nil},
		"nothing": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, (Flow{Connections: test.made}).Attempts()); diff != "" {
				t.Errorf("attempts (-want +got):\n%s", diff)
			}
		})
	}
}

// Lines of real connections that look like the probe's, and are not.
func TestWhatOnlyLooksLikeTheProbesIsOneOfTheOthers(t *testing.T) {
	const gateway = "10.244.0.13"
	own := `[2026-11-22T23:36:42.476Z] "- - -" 0 - - - "-" 1162 1020 12 - "-" "-" "-" "-" "10.244.0.4:27017" outbound|27017||mongodb.mongo-ingress-mongodb.svc.cluster.local 10.244.0.13:57574 10.244.0.13:27018 10.244.0.8:45108 mongo-ingressgateway.mongo-ingress-gateways.lb.mesh.lab -`
	neighbour := `[2026-11-22T23:36:42.497Z] "- - -" 0 - - - "-" 1162 1020 10 - "-" "-" "-" "-" "10.244.0.4:27017" outbound|27017||mongodb.mongo-ingress-mongodb.svc.cluster.local 10.244.0.13:57598 10.244.0.13:27018 10.244.0.9:45108 mongo-ingressgateway.mongo-ingress-gateways.lb.mesh.lab -`
	earlier := `[2026-11-22T23:35:48.226Z] "- - -" 0 - - - "-" 1165 1020 16 - "-" "-" "-" "-" "10.244.0.4:27017" outbound|27017||mongodb.mongo-ingress-mongodb.svc.cluster.local 10.244.0.13:36102 10.244.0.13:27017 10.244.0.8:45108 - -`
	refused := `[2026-11-22T23:36:42.480Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 10.244.0.13:27018 10.244.0.8:51964 - -`
	results := sent(1)
	results[0].LocalAddress, results[0].StartedAt, results[0].Duration = "10.244.0.8:45108", clock(t, "42.470"), 40*time.Millisecond
	var lines []Line
	for _, text := range []string{neighbour, earlier, own, refused} {
		lines = append(lines, recorded(t, "gateway", gateway, text))
	}
	got := join(results, gathered{lines: refer(lines)})
	if len(got.flows[0].Lines) != 1 || got.flows[0].Lines[0].Raw != own {
		t.Errorf("joined: %v", got.flows[0].Lines)
	}
	var others []string
	for _, line := range got.others {
		others = append(others, line.Raw)
	}
	if diff := cmp.Diff([]string{neighbour, earlier, refused}, others); diff != "" {
		t.Errorf("others (-want +got):\n%s", diff)
	}
}

// A sidecar connected to two pods of a gateway from the same port, within a moment: they lead elsewhere, so the kernel gives
// both the same.
func TestAPortThatLeadsToTwoPods(t *testing.T) {
	results, made := asked(t, []string{"10.100", "10.160"}, []string{"10.244.0.16:38472", "10.244.0.16:38474"})
	lines := []Line{
		recorded(t, "ratings", "10.244.0.16", `[2026-11-22T23:36:10.101Z] "- - -" 0 - - - "-" 3025 3160 17 - "-" "-" "-" "-" "10.244.0.92:15666" outbound|15666|mongo|gateway.lab 10.244.0.16:47238 10.244.200.1:27018 10.244.0.16:38472 - -`),
		recorded(t, "ratings", "10.244.0.16", `[2026-11-22T23:36:10.161Z] "- - -" 0 - - - "-" 3025 3160 17 - "-" "-" "-" "-" "10.244.0.93:15666" outbound|15666|mongo|gateway.lab 10.244.0.16:47238 10.244.200.1:27018 10.244.0.16:38474 - -`),
		// What the first pod took is written as if it had begun nearer to the second probe.
		recorded(t, "gateway", "10.244.0.92", `[2026-11-22T23:36:10.140Z] "- - -" 0 - - - "-" 3025 3160 15 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.92:44358 10.244.0.92:15666 10.244.0.16:47238 mongo.lab -`),
		recorded(t, "gateway", "10.244.0.93", `[2026-11-22T23:36:10.161Z] "- - -" 0 - - - "-" 3025 3160 15 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.93:44359 10.244.0.93:15666 10.244.0.16:47238 mongo.lab -`),
	}
	for index, flow := range join(results, gathered{lines: refer(lines), connections: made}).flows {
		if want := []string{"47238 44358", "47238 44359"}[index]; ports(flow) != want {
			t.Errorf("probe %d went on from %q, want %q", index+1, ports(flow), want)
		}
	}
}

// The vantage point is on a node, which puts its own address in place of the egress gateway's: by chance with the port from
// which the vantage point asked for the page.
func TestAPortOfTheNodeThatTheClientHasToo(t *testing.T) {
	results, made := asked(t, []string{"20.200"}, []string{"10.244.0.106:46464"})
	results[0].LocalAddress, results[0].RemoteAddress = "10.244.0.1:54676", "10.96.81.45:80"
	page := recorded(t, "gateway", "10.244.0.9", `[2026-11-22T23:36:20.201Z] "GET /productpage?meshproof=`+results[0].Probe.ID+` HTTP/1.1" 200 - via_upstream - "-" 0 1587 23 22 "10.244.0.1" "meshproof" "96fde9b2-57a6-43d5-a22a-a88341826b3b" "page.lab" "10.244.0.22:9080" outbound|9080||productpage.lab 10.244.0.9:47928 10.244.0.9:8080 10.244.0.1:54676 - default`)
	masked := recorded(t, "mongo-gateway", "10.244.0.108", `[2026-11-22T23:36:20.211Z] "- - -" 0 - - - "-" 1256 1083 26 - "-" "-" "-" "-" "10.244.0.94:27017" outbound|27017||mongodb.lab 10.244.0.108:50398 10.244.0.108:27018 10.244.0.1:54676 mongo.lab -`)
	got := join(results, gathered{lines: refer([]Line{page, masked}), connections: made})
	if len(got.flows[0].Lines) != 1 || len(got.others) != 1 {
		t.Errorf("joined %d lines, %d are of no probe", len(got.flows[0].Lines), len(got.others))
	}
	// Where no proxy has logged the request, the connection is the client's.
	got = join(results, gathered{lines: refer([]Line{masked}), connections: made})
	if len(got.flows[0].Lines) != 1 {
		t.Errorf("joined %d lines", len(got.flows[0].Lines))
	}
}

// A control that nobody asks about here, a second before the probe, had the same port: its line is not the probe's.
func TestAPortThatAControlHadASecondBefore(t *testing.T) {
	results, made := asked(t, []string{"20.200"}, []string{"10.244.0.70:38152"})
	made[0].Remote, made[0].OpenedAt, made[0].Milliseconds = "10.244.200.9:27018", clock(t, "20.205"), 25
	lines := []Line{
		recorded(t, "ratings", "10.244.0.70", `[2026-11-22T23:36:19.100Z] "- - -" 0 - - - "-" 3025 3160 17 - "-" "-" "-" "-" "10.244.0.67:15666" outbound|15666|mongo|gateway.lab 10.244.0.70:51772 10.244.200.9:27018 10.244.0.70:38152 - -`),
		recorded(t, "gateway", "10.244.0.67", `[2026-11-22T23:36:19.101Z] "- - -" 0 - - - "-" 3025 3160 15 - "-" "-" "-" "-" "10.244.200.9:27018" outbound|27018||mongo.lab 10.244.0.67:38356 10.244.0.67:15666 10.244.0.70:51772 mongo.lab -`),
		recorded(t, "ratings", "10.244.0.70", `[2026-11-22T23:36:20.206Z] "- - -" 0 - - - "-" 3025 3160 17 - "-" "-" "-" "-" "10.244.0.67:15666" outbound|15666|mongo|gateway.lab 10.244.0.70:41094 10.244.200.9:27018 10.244.0.70:38152 - -`),
		recorded(t, "gateway", "10.244.0.67", `[2026-11-22T23:36:20.207Z] "- - -" 0 - - - "-" 3025 3160 15 - "-" "-" "-" "-" "10.244.200.9:27018" outbound|27018||mongo.lab 10.244.0.67:55382 10.244.0.67:15666 10.244.0.70:41094 mongo.lab -`),
	}
	got := join(results, gathered{lines: refer(lines), connections: made})
	if joined := ports(got.flows[0]); joined != "41094 55382" || len(got.others) != 2 {
		t.Errorf("went on from %q, %d lines are of no probe", joined, len(got.others))
	}
}
