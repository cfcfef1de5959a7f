package evidence

import (
	"slices"
	"strings"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/traffic"
)

// gathering reads each log once, from its mark on, however often it is asked.
//
// Of the access logs it keeps what may be about probes: lines that carry an identity, lines with a request ID that such a
// line has, and lines without any, which are of connections. Those with the request IDs of others are not even parsed: their
// place is noted, for the case that the line with the identity, of another proxy, comes later.
type gathering struct {
	observer *Observer
	next     Mark
	// written are the lines of each proxy.
	written map[*source][]*Line
	// known are the request IDs of probes; waiting are the places of lines that have none of them, found and
	// taken those that had after all.
	known   map[requestID]bool
	waiting spots
	found   []spot
	taken   map[spot]bool
	// numbered is set when probes are told by their numbers, too.
	numbered bool
	// loose is set when a probe's request ID is no UUID: then every line is parsed.
	loose bool
	gathered
}

// gathered is what the logs hold.
type gathered struct {
	lines       []*Line
	records     []Record
	connections []Connection
	accepted    []Accepted
	handshakes  []Handshake
}

func newGathering(o *Observer, mark Mark, results []traffic.Result) *gathering {
	g := &gathering{observer: o, next: Mark{}, written: map[*source][]*Line{}, known: map[requestID]bool{}, waiting: newSpots(), taken: map[spot]bool{}}
	for tail, index := range mark {
		g.next[tail] = index
	}
	g.numbered = slices.ContainsFunc(results, func(r traffic.Result) bool { return r.Probe.Numbered() })
	return g
}

// read takes what is new and returns channels that close when there is more.
func (g *gathering) read() []<-chan struct{} {
	var more []<-chan struct{}
	for _, s := range slices.Concat(g.observer.sources, g.observer.retired) {
		if s.access != nil {
			more = append(more, g.each(s.access, func(text string, at int) { g.access(s, text, at) }))
		}
		if s.app != nil {
			more = append(more, g.each(s.app, func(text string, _ int) { g.application(s, text) }))
		}
	}
	g.takeFound()
	return more
}

// each calls take for every new line of a log, with its place in it.
func (g *gathering) each(tail *kube.Tail, take func(text string, at int)) (more <-chan struct{}) {
	for {
		lines, next, changed := tail.Lines(g.next[tail])
		if g.next[tail] = next; len(lines) == 0 {
			return changed
		}
		for index, line := range lines {
			take(line, next-len(lines)+index)
		}
	}
}

// access takes a line of an access log.
func (g *gathering) access(s *source, text string, at int) {
	ours := strings.Contains(text, identityPrefix) || (g.numbered && hasNumber(text))
	if ids := requestIDs(text); !ours && !g.loose && len(ids) > 0 && !slices.ContainsFunc(ids, func(id requestID) bool { return g.known[id] }) {
		for _, id := range ids {
			g.waiting.note(id, spot{s, at})
		}
		return
	}
	if line, ok := g.parse(s, text); ok && ours {
		g.learn(line.RequestID)
	}
}

// hasNumber tells whether a text holds what may be the number of a probe.
func hasNumber(text string) bool {
	digits := 0
	for index := range len(text) {
		if text[index] < '0' || text[index] > '9' {
			digits = 0
			continue
		}
		if digits++; digits == numberLength {
			return true
		}
	}
	return false
}

// parse keeps a line that can be read, in memory of its own: its text may be a part of many lines'.
func (g *gathering) parse(s *source, text string) (*Line, bool) {
	text = strings.Clone(text)
	parsed, ok := s.logs.parse(text, g.observer.before)
	line := &Line{Line: parsed, Hop: s.hop.Name, Pod: s.pod.Name, Address: s.pod.Status.PodIP, Raw: text}
	if ok {
		g.written[s] = append(g.written[s], line)
	}
	return line, ok
}

// learn finds the lines that wait for the request ID of a probe.
func (g *gathering) learn(text string) {
	id, isUUID := parseRequestID(text)
	switch {
	case text == "":
	case !isUUID && !g.loose:
		g.loose = true
		g.found = append(g.found, g.waiting.all()...)
	case isUUID && !g.known[id]:
		g.known[id] = true
		g.found = append(g.found, g.waiting.of(id)...)
	}
}

// takeFound parses the lines that were found, log by log from first to last: they are packed there in blocks.
func (g *gathering) takeFound() {
	sources := map[*source][]int{}
	for _, found := range g.found {
		sources[found.source] = append(sources[found.source], found.at)
	}
	g.found = nil
	for s, all := range sources {
		slices.Sort(all)
		var lines []string
		next := 0
		for _, at := range slices.Compact(all) {
			if g.taken[spot{s, at}] {
				continue // it has the IDs of two probes
			}
			g.taken[spot{s, at}] = true
			if at >= next {
				lines, next, _ = s.access.Lines(at)
			}
			if first := next - len(lines); at >= first { // else it is among the oldest, which are gone
				g.parse(s, lines[at-first])
			}
		}
	}
}

// application takes a line of what an application or a database wrote.
func (g *gathering) application(s *source, text string) {
	if parsed, ok := record.Parse([]byte(text)); ok {
		g.records = append(g.records, Record{Request: parsed, Hop: s.hop.Name, LogPod: s.pod.Name})
	} else if parsed, ok := record.ParseConnection([]byte(text)); ok {
		g.connections = append(g.connections, Connection{Connection: parsed, Hop: s.hop.Name, LogPod: s.pod.Name})
	} else if parsed, ok := record.ParseHandshake([]byte(text)); ok {
		g.handshakes = append(g.handshakes, Handshake{Handshake: parsed, Hop: s.hop.Name, LogPod: s.pod.Name})
	} else if parsed, ok := parseAccepted(text); ok {
		parsed.Hop, parsed.LogPod = s.hop.Name, s.pod.Name
		g.accepted = append(g.accepted, parsed)
	}
}

// requests returns what was read so far, with one line for each request or connection of each proxy.
func (g *gathering) requests() gathered {
	seen := g.gathered
	count := 0
	for _, lines := range g.written {
		count += len(lines)
	}
	seen.lines = make([]*Line, 0, count)
	for _, s := range slices.Concat(g.observer.sources, g.observer.retired) {
		seen.lines = append(seen.lines, s.logs.once(g.written[s])...)
	}
	return seen
}
