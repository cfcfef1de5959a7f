package evidence

import (
	"slices"
	"time"

	"github.com/meshproof/meshproof/fixtures/record"
)

// rounding is that of the time in an access log. An application and its sidecar have one clock, and the sidecar takes a
// connection after the application has begun it, and before it has closed it.
const rounding = time.Millisecond

// made is a connection as an application, or a client that tells of its connections, has made it.
type made struct {
	flow int
	record.Connection
}

// connectionsMade are those that could have been asked over, each with its probe.
func (j *joining) connectionsMade() []made {
	var all []made
	for index, flow := range j.flows {
		for _, c := range flow.Attempts() {
			all = append(all, made{index, c.Connection})
		}
		if c := flow.Result.Connection; c != nil && !flow.askedAProxy() {
			all = append(all, made{index, *c})
		}
		if database := flow.Result.Database; database != nil {
			for _, c := range database.Connections {
				if c.Local == flow.Result.LocalAddress && c.Local != "" {
					all = append(all, made{index, c})
				}
			}
		}
	}
	return all
}

// translated joins what sidecars took from their own applications under another port than the application had, and returns
// all other lines.
//
// A redirect to the sidecar leaves the port as it is unless the same port leads there already, from a connection to another
// server that has just ended: then the kernel chooses another one. Such a line has the application's address, the server that
// the application meant, the bytes that it wrote, at least those that it read (what comes after it has closed it does not
// read), and its time. Connections that are alike in all of that are joined in the order of time, and only when there are as
// many lines as connections: controls before them leave lines alike, at other times.
func (j *joining) translated(from origins, lines []*Line) (left []*Line) {
	connections := map[likeness][]made{}
	for _, c := range j.connectionsMade() {
		if !from.taken[leg{c.Local, c.Remote}] {
			key := c.likeness()
			connections[key] = append(connections[key], c)
		}
	}
	alike := map[likeness][]*Line{}
	for _, line := range lines {
		key := likenessOf(line)
		if line.own() && slices.ContainsFunc(connections[key], func(c made) bool { return c.couldBe(line) }) {
			alike[key] = append(alike[key], line)
			continue
		}
		left = append(left, line)
	}
	for key, candidates := range alike {
		mine := connections[key]
		slices.SortStableFunc(mine, func(a, b made) int { return a.OpenedAt.Compare(b.OpenedAt) })
		slices.SortStableFunc(candidates, func(a, b *Line) int { return a.Start.Compare(b.Start) })
		if !allCouldBe(mine, candidates) {
			left = append(left, candidates...)
			continue
		}
		for index, line := range candidates {
			j.takeOwn(from, mine[index], line)
		}
	}
	return j.refusedAtOnce(from, left)
}

// takeOwn adds the line of a sidecar about its own application's connection.
func (j *joining) takeOwn(from origins, c made, line *Line) {
	from.carried[endOf(c.Local, line.Pod)] = true
	from.taken[leg{c.Local, c.Remote}] = true
	j.take(from, c.flow, line)
}

// refusedAtOnce joins, of lines and connections under another port, those that the sidecar had no server for: it closes them
// without having read what the application has written, so that the bytes say less. Each is joined only when no other
// connection and no other line could be it.
func (j *joining) refusedAtOnce(from origins, lines []*Line) (left []*Line) {
	var open []made
	for _, c := range j.connectionsMade() {
		if !from.taken[leg{c.Local, c.Remote}] {
			open = append(open, c)
		}
	}
	claimed := make([]int, len(open))
	found := make([][]int, len(lines))
	for index, line := range lines {
		for place, c := range open {
			if line.own() && c.couldHaveBeenRefused(line) {
				found[index] = append(found[index], place)
				claimed[place]++
			}
		}
	}
	for index, line := range lines {
		if len(found[index]) != 1 || claimed[found[index][0]] != 1 {
			left = append(left, line)
			continue
		}
		j.takeOwn(from, open[found[index][0]], line)
	}
	return left
}

// couldHaveBeenRefused tells whether a line of a connection that led nowhere is of the same server and time, and of no more
// bytes.
func (m made) couldHaveBeenRefused(line *Line) bool {
	mine, its := m.likeness(), likenessOf(line)
	return line.UpstreamHost == "" && mine.address == its.address && mine.remote == its.remote && its.written <= mine.written && m.couldBe(line)
}

// likeness is what a connection and its line have alike when the port is another.
type likeness struct {
	address, remote string
	written         int64
}

func (m made) likeness() likeness {
	return likeness{hostOf(m.Local), m.Remote, m.BytesWritten}
}

func likenessOf(line *Line) likeness {
	return likeness{hostOf(line.DownstreamRemote), line.DownstreamLocal, line.BytesReceived}
}

// couldBe tells whether a line that is like the connection is of its time, and of all that it read.
func (m made) couldBe(line *Line) bool {
	closed := m.OpenedAt.Add(milliseconds(m.Milliseconds))
	return line.BytesSent >= m.BytesRead && !line.Start.Before(m.OpenedAt.Add(-rounding)) && !line.Start.After(closed)
}

// allCouldBe tells whether each line, in order, could be of the connection in the same place.
func allCouldBe(connections []made, lines []*Line) bool {
	if len(connections) != len(lines) {
		return false
	}
	for index, c := range connections {
		if !c.couldBe(lines[index]) {
			return false
		}
	}
	return true
}
