package evidence

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/meshproof/meshproof/framework/traffic"
)

// identity is the form of a probe's ID, and of its number, as traffic.NewProbes makes them; identityPrefix is how an ID
// begins, numberLength how many digits a number has.
var identity = regexp.MustCompile(identityPrefix + `[A-Za-z0-9]+-[0-9a-f]{12}-[0-9]+|\b[0-9]{` + strconv.Itoa(numberLength) + `}\b`)

const (
	identityPrefix = "mp-"
	numberLength   = 19
)

// join sorts lines and records to the probes that they are about.
//
// A request's line belongs to a probe when its path or its User-Agent carries the probe's identity, or its number, where the
// request was made with one, or its request ID is the one that a line with the identity has. A connection's line, which has neither, belongs to the probe whose
// connection it is: by the address that the client, the application, or the hop before, connected from, and by time.
func join(results []traffic.Result, seen gathered) joined {
	j := joining{flows: make([]Flow, len(results)), byID: map[string]int{}, byRequest: map[string]int{}}
	for index, result := range results {
		j.flows[index] = Flow{Result: result}
		j.byID[result.Probe.ID] = index
		if result.Probe.Numbered() {
			j.byID[strconv.FormatUint(result.Probe.Number, 10)] = index
		}
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
	others := j.connections(connections, seen.accepted)
	for index := range j.flows {
		slices.SortStableFunc(j.flows[index].Lines, func(a, b Line) int { return a.Start.Compare(b.Start) })
	}
	return joined{j.flows, others}
}

// joined are the flows of all probes, in their order, and the lines of connections that belong to none of them.
type joined struct {
	flows  []Flow
	others []Line
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
func (j *joining) requests(lines []*Line) (connections []*Line) {
	var later []*Line
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
		flow.Lines = append(flow.Lines, *line)
		if id := line.RequestID; id != "" {
			j.byRequest[id] = index
			if flow.RequestID == "" {
				flow.RequestID = id
			}
		}
	}
	for _, line := range later {
		if index, found := j.byRequest[line.RequestID]; found {
			j.flows[index].Lines = append(j.flows[index].Lines, *line)
		}
	}
	return connections
}

// Spans tells whether something began while the probe was under way, by the probe's own clock.
func (f Flow) Spans(start time.Time) bool {
	return !start.Before(f.Result.StartedAt) && !start.After(f.Result.StartedAt.Add(f.Result.Duration))
}
