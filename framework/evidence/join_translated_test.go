package evidence

import (
	"testing"
	"time"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/traffic"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
)

// Lines of the lab: the agent asked from port 44756, and its sidecar took it from port 2543.
const (
	underAnotherPort = `[2026-11-22T23:36:16.484Z] "- - -" 0 UR - - "-" 374 0 0 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.50:44758 10.244.200.1:27018 10.244.0.50:2543 - -`
	atTheGateway     = `[2026-11-22T23:36:16.484Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 10.244.0.55:27018 10.244.0.50:44758 - -`
)

// asking is a probe that an agent sent over this connection.
func asking(t *testing.T, change func(*record.Connection)) []traffic.Result {
	t.Helper()
	results := sent(1)
	connection := record.Connection{
		Purpose: record.Monitor, Local: "10.244.0.50:44756", Remote: "10.244.200.1:27018",
		OpenedAt: clock(t, "16.483"), Milliseconds: 2, BytesWritten: 374,
	}
	change(&connection)
	results[0].StartedAt, results[0].Duration = clock(t, "16.482"), 3*time.Millisecond
	results[0].LocalAddress = connection.Local
	results[0].Database = &wire.DatabaseResponse{Connections: []record.Connection{connection}}
	return results
}

func TestAConnectionThatItsSidecarTookUnderAnotherPort(t *testing.T) {
	const inside = "10.244.0.50"
	for name, test := range map[string]struct {
		change func(*record.Connection)
		more   []Line
		joined bool
	}{
		"is joined":                          {func(*record.Connection) {}, nil, true},
		"but not with other bytes":           {func(c *record.Connection) { c.BytesWritten = 375 }, nil, false},
		"but not with more bytes read":       {func(c *record.Connection) { c.BytesRead = 1 }, nil, false},
		"but not of another server":          {func(c *record.Connection) { c.Remote = "10.244.200.2:27018" }, nil, false},
		"but not of another pod":             {func(c *record.Connection) { c.Local = "10.244.0.51:44756" }, nil, false},
		"but not of another time":            {func(c *record.Connection) { c.OpenedAt = clock(t, "16.700") }, nil, false},
		"but not when two lines could be it": {func(*record.Connection) {}, []Line{recorded(t, "inside", inside, underAnotherPort)}, false},
		"but not beside a line of its own port": {func(*record.Connection) {}, []Line{
			recorded(t, "inside", inside, `[2026-11-22T23:36:16.484Z] "- - -" 0 UR - - "-" 374 0 0 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.50:44790 10.244.200.1:27018 10.244.0.50:44756 - -`),
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			lines := append([]Line{recorded(t, "inside", inside, underAnotherPort), recorded(t, "gateway", "10.244.0.55", atTheGateway)}, test.more...)
			flow := join(asking(t, test.change), gathered{lines: refer(lines)}).flows[0]
			if joined := len(flow.ConnectionsAt("gateway", false)) == 1; joined != test.joined {
				t.Errorf("joined %t, want %t: %d lines", joined, test.joined, len(flow.Lines))
			}
		})
	}
}

// A client of HTTP over TLS tells of its connection too, of which the sidecar has a line as of any.
func TestAClientsOwnConnectionIsJoinedUnderAnotherPort(t *testing.T) {
	results := asking(t, func(*record.Connection) {})
	made := results[0].Database.Connections[0]
	results[0].Database, results[0].Connection = nil, &made
	lines := []Line{recorded(t, "inside", "10.244.0.50", underAnotherPort)}
	if flow := join(results, gathered{lines: refer(lines)}).flows[0]; len(flow.ConnectionsAt("inside", false)) != 1 {
		t.Errorf("%d lines are joined, want one", len(flow.Lines))
	}
}

// A port is used again, within the time that clocks may be apart, for another server: the line of the one is not the other's.
func TestAPortThatLedToAnotherServerAMomentBefore(t *testing.T) {
	results := asking(t, func(*record.Connection) {})
	results[0].RemoteAddress = "10.244.200.2:27018"
	results[0].Database.Connections[0].Remote = results[0].RemoteAddress
	before := `[2026-11-22T23:36:15.900Z] "- - -" 0 - - - "-" 374 9 1 - "-" "-" "-" "-" "10.244.0.66:15666" outbound|15666|mongo|gateway.lab 10.244.0.50:41000 10.244.200.1:27018 10.244.0.50:44756 - -`
	refused := `[2026-11-22T23:36:16.484Z] "- - -" 0 UH - - "-" 374 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - 10.244.200.2:27018 10.244.0.50:44756 - -`
	got := join(results, gathered{lines: refer([]Line{recorded(t, "inside", "10.244.0.50", before), recorded(t, "inside", "10.244.0.50", refused)})})
	if lines := got.flows[0].Lines; len(lines) != 1 || lines[0].UpstreamCluster != "BlackHoleCluster" || len(got.others) != 1 {
		t.Errorf("joined %d lines, %d are of no probe: %+v", len(lines), len(got.others), lines)
	}
}

// Three probes alike, one behind the other, all of them under another port: they are joined in the order of time.
func TestConnectionsAlikeAreJoinedInTheOrderOfTime(t *testing.T) {
	results, lines := sent(3), []Line{}
	for index, at := range []string{"16.480", "16.484", "16.488"} {
		connection := record.Connection{
			Purpose: record.Monitor, Local: "10.244.0.50:4475" + string(rune('0'+index)), Remote: "10.244.200.1:27018", OpenedAt: clock(t, at), Milliseconds: 2, BytesWritten: 374,
		}
		results[index].StartedAt, results[index].Duration, results[index].LocalAddress = clock(t, at), 3*time.Millisecond, connection.Local
		results[index].RemoteAddress = connection.Remote
		results[index].Database = &wire.DatabaseResponse{Connections: []record.Connection{connection}}
		lines = append([]Line{recorded(t, "inside", "10.244.0.50", `[2026-11-22T23:36:`+at+`Z] "- - -" 0 UR - - "-" 374 0 0 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.50:5000`+string(rune('0'+index))+` 10.244.200.1:27018 10.244.0.50:250`+string(rune('0'+index))+` - -`)}, lines...)
	}
	for index, flow := range join(results, gathered{lines: refer(lines)}).flows {
		if want := "10.244.0.50:5000" + string(rune('0'+index)); len(flow.Lines) != 1 || flow.Lines[0].UpstreamLocal != want {
			t.Errorf("probe %d: %+v, want %s", index+1, flow.Lines, want)
		}
	}
	// A control that was sent before them, whose line is written late, has the same bytes.
	control := recorded(t, "inside", "10.244.0.50", `[2026-11-22T23:36:16.470Z] "- - -" 0 UR - - "-" 374 0 0 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.50:50009 10.244.200.1:27018 10.244.0.50:2509 - -`)
	if got := join(results, gathered{lines: refer(append(lines, control))}); len(got.others) != 1 || len(got.flows[2].Lines) != 1 {
		t.Errorf("beside a control %d lines are of no probe, want its own", len(got.others))
	}
	if others := join(results, gathered{lines: refer(lines[1:])}).others; len(others) != 2 {
		t.Errorf("two lines of three connections: %d are of no probe, want both", len(others))
	}
}

// A sidecar that has no server for a connection closes it before it has read what the application wrote.
func TestAConnectionThatItsSidecarRefusedUnderAnotherPort(t *testing.T) {
	const refused = `[2026-11-22T23:36:16.484Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - 10.244.200.1:27018 10.244.0.50:2543 - -`
	again := `[2026-11-22T23:36:16.485Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - 10.244.200.1:27018 10.244.0.50:2544 - -`
	another := `[2026-11-22T23:36:17.484Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - 10.244.200.1:27018 10.244.0.50:2545 - -`
	served := `[2026-11-22T23:36:16.484Z] "- - -" 0 - - - "-" 0 0 0 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.50:44758 10.244.200.1:27018 10.244.0.50:2543 - -`
	for name, test := range map[string]struct {
		lines  []string
		joined int
	}{
		"is joined":                         {[]string{refused}, 1},
		"beside one of another time":        {[]string{refused, another}, 1},
		"but not when two lines could be":   {[]string{refused, again}, 0},
		"but not by fewer bytes if served":  {[]string{served}, 0},
		"and not when another time is left": {[]string{another}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []Line
			for _, text := range test.lines {
				lines = append(lines, recorded(t, "inside", "10.244.0.50", text))
			}
			if got := join(asking(t, func(*record.Connection) {}), gathered{lines: refer(lines)}).flows[0].Lines; len(got) != test.joined {
				t.Errorf("joined %d lines, want %d", len(got), test.joined)
			}
		})
	}
}
