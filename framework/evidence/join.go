package evidence

import (
	"regexp"
	"slices"
	"time"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/traffic"
)

// identity is the form of a probe's ID, as traffic.NewProbes makes it.
var identity = regexp.MustCompile(`mp-[A-Za-z0-9]+-[0-9a-f]{12}-[0-9]+`)

// join sorts lines and records to the probes that they are about.
//
// A request's line belongs to a probe when its path or its User-Agent carries the probe's identity, or its request ID is
// the one that a line with the identity has. A connection's line, which has neither, belongs to the probe whose
// connection it is: by the address that the client, the application, or the hop before, connected from, and by time.
func join(results []traffic.Result, seen gathered) []Flow {
	j := joining{flows: make([]Flow, len(results)), byID: map[string]int{}, byRequest: map[string]int{}}
	for index, result := range results {
		j.flows[index] = Flow{Result: result}
		j.byID[result.Probe.ID] = index
	}
	connections := j.requests(seen.lines)
	for _, r := range seen.records {
		index, found := j.owner(r.Path, r.Header["User-Agent"])
		if !found {
			index, found = j.byRequest[r.Header["X-Request-Id"]]
		}
		if found {
			j.flows[index].Records = append(j.flows[index].Records, r)
		}
	}
	for _, c := range seen.connections {
		index, found := j.owner(c.UserAgent)
		if !found {
			index, found = j.byRequest[c.RequestID]
		}
		if found {
			j.flows[index].Connections = append(j.flows[index].Connections, c)
		}
	}
	j.connections(connections, seen.accepted)
	for index := range j.flows {
		slices.SortStableFunc(j.flows[index].Lines, func(a, b Line) int { return a.Start.Compare(b.Start) })
	}
	return j.flows
}

type joining struct {
	flows           []Flow
	byID, byRequest map[string]int
}

// owner is the probe whose identity occurs in one of the texts.
func (j *joining) owner(texts ...string) (index int, found bool) {
	for _, text := range texts {
		for _, id := range identity.FindAllString(text, -1) {
			if index, found := j.byID[id]; found {
				return index, true
			}
		}
	}
	return 0, false
}

// requests joins the lines of requests, and returns those of connections.
func (j *joining) requests(lines []Line) (connections []Line) {
	var later []Line
	for _, line := range lines {
		index, found := j.owner(line.Path, line.UserAgent)
		switch {
		case !found && line.ofConnection():
			connections = append(connections, line)
			continue
		case !found:
			later = append(later, line)
			continue
		}
		flow := &j.flows[index]
		flow.Lines = append(flow.Lines, line)
		if id := line.RequestID; id != "" {
			j.byRequest[id] = index
			if flow.RequestID == "" {
				flow.RequestID = id
			}
		}
	}
	for _, line := range later {
		if index, found := j.byRequest[line.RequestID]; found {
			j.flows[index].Lines = append(j.flows[index].Lines, line)
		}
	}
	return connections
}

// clockSkew is how far the clocks of two nodes may be apart.
const clockSkew = 2 * time.Second

// connections joins the lines of connections, hop by hop: where one proxy connected from is where the next was
// connected to from.
func (j *joining) connections(lines []Line, accepted []Accepted) {
	from := map[string]int{}
	for index, flow := range j.flows {
		if flow.Result.LocalAddress != "" {
			from[flow.Result.LocalAddress] = index
		}
		for _, c := range flow.Connections {
			// What watches the server is no probe.
			if c.Purpose == record.Query && c.Local != "" {
				from[c.Local] = index
			}
		}
	}
	j.chain(from, lines)
	for _, a := range accepted {
		if index, found := from[a.Peer]; found && j.during(index, a.Time) {
			j.flows[index].Accepted = append(j.flows[index].Accepted, a)
		}
	}
}

// chain follows the connections from proxy to proxy, and adds to from where each of them was made from.
func (j *joining) chain(from map[string]int, lines []Line) {
	for len(lines) > 0 {
		var left []Line
		for _, line := range lines {
			index, found := from[line.DownstreamRemote]
			if !found || !j.during(index, line.Start) {
				left = append(left, line)
				continue
			}
			j.flows[index].Lines = append(j.flows[index].Lines, line)
			if line.UpstreamLocal != "" {
				from[line.UpstreamLocal] = index
			}
		}
		if len(left) == len(lines) {
			return
		}
		lines = left
	}
}

// during tells whether a connection began while the probe was under way: an address is used again later.
func (j *joining) during(index int, start time.Time) bool {
	result := j.flows[index].Result
	return !start.Before(result.StartedAt.Add(-clockSkew)) && !start.After(result.StartedAt.Add(result.Duration+clockSkew))
}
