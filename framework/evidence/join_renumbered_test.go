package evidence

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/record"
)

// Two probes through three hops; of the second, the kernel gave the connection from the egress gateway another port on its way
// to the load balancer. Lines of the lab, with the ports of the second changed as one was seen to be.
const (
	firstAtEgress  = `[2026-11-22T23:36:20.106Z] "- - -" 0 - - - "-" 3025 3159 19 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.92:49590 10.244.0.92:15666 10.244.0.106:46076 mongo.lab -`
	firstBehind    = `[2026-11-22T23:36:20.106Z] "- - -" 0 - - - "-" 1256 1083 16 - "-" "-" "-" "-" "10.244.0.94:27017" outbound|27017||mongodb.lab 10.244.0.108:50012 10.244.0.108:27018 10.244.0.92:49590 mongo.lab -`
	secondAtEgress = `[2026-11-22T23:36:20.206Z] "- - -" 0 - - - "-" 3025 3158 31 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.92:49380 10.244.0.92:15666 10.244.0.106:46464 mongo.lab -`
	secondBehind   = `[2026-11-22T23:36:20.211Z] "- - -" 0 - - - "-" 1256 1083 26 - "-" "-" "-" "-" "10.244.0.94:27017" outbound|27017||mongodb.lab 10.244.0.108:50398 10.244.0.108:27018 10.244.0.92:1077 mongo.lab -`
	secondAtServer = `[2026-11-22T23:36:20.213Z] "- - -" 0 - - - "-" 1256 1083 23 - "-" "-" "-" "-" "10.244.0.94:27017" inbound|27017|| 127.0.0.6:59486 10.244.0.94:27017 10.244.0.108:50398 - -`
)

func TestAConnectionThatCameToTheNextHopFromAnotherPort(t *testing.T) {
	results, made := asked(t, []string{"20.100", "20.200"}, []string{"10.244.0.106:46076", "10.244.0.106:46464"})
	at := func(hop, text string) Line {
		return recorded(t, hop, map[string]string{"egress": "10.244.0.92", "gateway": "10.244.0.108", "database": "10.244.0.94"}[hop], text)
	}
	lines := []Line{at("egress", firstAtEgress), at("gateway", firstBehind), at("egress", secondAtEgress), at("gateway", secondBehind), at("database", secondAtServer)}
	with := func(more ...string) []Line {
		all := slices.Clone(lines)
		for _, text := range more {
			all = append(all, at("gateway", text))
		}
		return all
	}
	without := func(index int) []Line { return slices.Delete(slices.Clone(lines), index, index+1) }
	changed := func(text string) []Line {
		all := slices.Clone(lines)
		all[3] = at("gateway", text)
		return all
	}
	const another = `[2026-11-22T23:36:20.220Z] "- - -" 0 - - - "-" 1256 1083 26 - "-" "-" "-" "-" "10.244.0.94:27017" outbound|27017||mongodb.lab 10.244.0.108:50400 10.244.0.108:27018 10.244.0.92:1079 mongo.lab -`
	for name, test := range map[string]struct {
		lines []Line
		// hops are those of the second probe.
		hops string
	}{
		"is joined, and so is what comes after it":     {with(), "egress gateway database"},
		"but not from another address":                 {changed(`[2026-11-22T23:36:20.211Z] "- - -" 0 - - - "-" 1256 1083 26 - "-" "-" "-" "-" "10.244.0.94:27017" outbound|27017||mongodb.lab 10.244.0.108:50398 10.244.0.108:27018 10.244.0.93:1077 mongo.lab -`), "egress"},
		"but not from another time":                    {changed(`[2026-11-22T23:36:20.243Z] "- - -" 0 - - - "-" 1256 1083 26 - "-" "-" "-" "-" "10.244.0.94:27017" outbound|27017||mongodb.lab 10.244.0.108:50398 10.244.0.108:27018 10.244.0.92:1077 mongo.lab -`), "egress"},
		"but not with more one way and less the other": {changed(`[2026-11-22T23:36:20.211Z] "- - -" 0 - - - "-" 1256 9999 26 - "-" "-" "-" "-" "10.244.0.94:27017" outbound|27017||mongodb.lab 10.244.0.108:50398 10.244.0.108:27018 10.244.0.92:1077 mongo.lab -`), "egress"},
		"but not when two lines could be it":           {with(another), "egress"},
		"but not when its own port has a line": {with(`[2026-11-22T23:36:20.208Z] "- - -" 0 - - - "-" 1256 1083 26 - "-" "-" "-" "-" "10.244.0.94:27017" outbound|27017||mongodb.lab 10.244.0.108:50400 10.244.0.108:27018 10.244.0.92:49380 mongo.lab -`),
			"egress gateway"},
		"but not when nothing led to the gateway": {without(2), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := join(results, gathered{lines: refer(test.lines), connections: made})
			hops := ""
			for _, line := range got.flows[1].Lines {
				if hops != "" {
					hops += " "
				}
				hops += line.Hop
			}
			if hops != test.hops {
				t.Errorf("the second probe went through %q, want %q", hops, test.hops)
			}
			if len(got.flows[0].Lines) != 2 {
				t.Errorf("the first probe has %d lines", len(got.flows[0].Lines))
			}
		})
	}
	var from []string
	for _, line := range join(results, gathered{lines: refer(lines), connections: made}).flows[1].Lines {
		from = append(from, line.From())
	}
	if diff := cmp.Diff([]string{"10.244.0.106:46464", "10.244.0.92:49380", "10.244.0.108:50398"}, from); diff != "" {
		t.Errorf("each came from (-want +got):\n%s", diff)
	}
}

// A client without a sidecar asks a load balancer, whose translation changes its port.
func TestAConnectionOfAClientThatCameFromAnotherPort(t *testing.T) {
	results := asking(t, func(c *record.Connection) { c.Milliseconds, c.BytesWritten, c.BytesRead = 20, 3025, 3158 })
	const behind = `[2026-11-22T23:36:16.485Z] "- - -" 0 - - - "-" 1256 1083 16 - "-" "-" "-" "-" "10.244.0.94:27017" outbound|27017||mongodb.lab 10.244.0.108:50398 10.244.0.108:27018 10.244.0.50:1077 mongo.lab -`
	gateway := recorded(t, "gateway", "10.244.0.108", behind)
	got := join(results, gathered{lines: refer([]Line{gateway})})
	if lines := got.flows[0].Lines; len(lines) != 1 || lines[0].From() != results[0].LocalAddress {
		t.Errorf("joined %+v", lines)
	}
	gateway.Start = gateway.Start.Add(time.Second)
	if got := join(results, gathered{lines: refer([]Line{gateway})}); len(got.others) != 1 {
		t.Error("a line of another time is joined")
	}
	// Its sidecar has the line of it, so that what comes from the pod is the sidecar's.
	own := recorded(t, "inside", "10.244.0.50", `[2026-11-22T23:36:16.484Z] "- - -" 0 UR - - "-" 3025 3158 0 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab - 10.244.200.1:27018 10.244.0.50:44756 - -`)
	gateway = recorded(t, "gateway", "10.244.0.108", behind)
	if got := join(results, gathered{lines: refer([]Line{own, gateway})}); len(got.others) != 1 {
		t.Error("what came from the pod of a sidecar is joined to its application")
	}
}
