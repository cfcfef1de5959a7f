package evidence

import (
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
)

// renumbered joins the lines of connections that came to a hop from another port than the proxy before had connected from, and
// returns all other lines.
//
// Where the address of a Service is translated, as that of a LoadBalancer is, the kernel leaves the port of a connection as it
// is unless the same port led to the same pod a moment before, by another address of it: then it chooses another one. Such a
// line has the address of the proxy before, and begins within the time of the other line, as both proxies' clocks have it.
// It is joined only when no other connection could lead to it, and no other line could be of that connection.
func (j *joining) renumbered(origins origins, lines []*Line) (left []*Line) {
	var open []ahead
	for _, c := range j.connectionsMade() { // by who has no sidecar
		if from := endOf(c.Local, ""); !origins.carried[from] && !origins.led[from] {
			open = append(open, ahead{c.flow, c.asLine()})
		}
	}
	for index, flow := range j.flows {
		for _, line := range flow.Lines {
			if line.ofConnection() && line.UpstreamLocal != "" && !line.Inbound() && !origins.led[endOf(line.UpstreamLocal, line.Pod)] {
				open = append(open, ahead{index, line})
			}
		}
	}
	led := map[end]bool{} // where lines that are not joined yet lead: what comes from there is theirs
	for _, line := range lines {
		if line.UpstreamLocal != "" {
			led[endOf(line.UpstreamLocal, line.Pod)] = true
		}
	}
	leading := make([][]int, len(lines)) // for each line, the places in open that could lead to it
	claimed := make([]int, len(open))    // for each of open, to how many lines it could lead
	for index, line := range lines {
		if led[endOf(line.DownstreamRemote, line.Pod)] {
			continue
		}
		for place, a := range open {
			if a.couldLeadTo(line) && !origins.pods[hostOf(a.line.UpstreamHost)] { // a pod's own address is not translated
				leading[index] = append(leading[index], place)
				claimed[place]++
			}
		}
	}
	for index, line := range lines {
		if len(leading[index]) != 1 || claimed[leading[index][0]] != 1 {
			left = append(left, line)
			continue
		}
		before := open[leading[index][0]]
		renumbered := *line
		renumbered.Before = before.line.UpstreamLocal
		origins.led[endOf(renumbered.Before, before.line.Pod)] = true
		j.take(origins, before.flow, &renumbered)
	}
	return left
}

// ahead is a line of a flow, to which no line of a next hop is joined.
type ahead struct {
	flow int
	line Line
}

// asLine is the connection as a proxy in the place of its application would have it in its log.
func (m made) asLine() Line {
	return Line{Line: accesslog.Line{
		Start: m.OpenedAt, Duration: milliseconds(m.Milliseconds),
		UpstreamLocal: m.Local, UpstreamHost: m.Remote, BytesReceived: m.BytesWritten, BytesSent: m.BytesRead,
	}}
}

// couldLeadTo tells whether the next hop's connection came from the proxy's address, began while the proxy's was open, and
// carried what the proxy's did: TLS that begins or ends at one of the two makes it more, or less, both ways.
func (a ahead) couldLeadTo(next *Line) bool {
	if next.own() || a.line.Pod == next.Pod || hostOf(next.DownstreamRemote) != hostOf(a.line.UpstreamLocal) {
		return false
	}
	// The end of a connection goes on from hop to hop, so that the next one's may come a little later.
	if next.Start.Before(a.line.Start.Add(-rounding)) || next.Start.After(a.line.Start.Add(a.line.Duration).Add(rounding)) {
		return false
	}
	received, sent := a.line.BytesReceived-next.BytesReceived, a.line.BytesSent-next.BytesSent
	return (received >= 0 && sent >= 0) || (received <= 0 && sent <= 0)
}
