package evidence

import (
	"net"
	"net/netip"
	"slices"
	"time"
)

// connections joins the lines of connections, hop by hop: where one proxy connected from is where the next was
// connected to from. It returns the lines that it could not join.
func (j *joining) connections(lines []*Line, accepted []Accepted) (others []Line) {
	from := newOrigins(lines)
	for index, flow := range j.flows {
		if flow.Result.LocalAddress != "" && !flow.askedAProxy() {
			from.application(origin{
				probe: index, remote: flow.Result.RemoteAddress, begun: flow.Result.StartedAt, ended: flow.Result.StartedAt.Add(flow.Result.Duration),
			}, flow.Result.LocalAddress, "")
		}
		for _, c := range flow.Attempts() {
			o := origin{probe: index, remote: c.Remote, begun: c.OpenedAt, ended: c.OpenedAt.Add(milliseconds(c.Milliseconds))}
			if c.OpenedAt.IsZero() {
				o.begun, o.ended = flow.Result.StartedAt, flow.Result.StartedAt.Add(flow.Result.Duration)
			}
			from.application(o, c.Local, c.LogPod)
		}
	}
	left := j.chain(from, j.translated(from, j.first(from, lines)))
	for joined := true; joined; {
		before := len(left)
		left = j.chain(from, j.renumbered(from, left))
		joined = len(left) < before
	}
	for _, line := range left {
		others = append(others, *line)
	}
	for _, a := range accepted {
		candidates := from.elsewhere(endOf(a.Peer, a.LogPod), "")
		o := underWay(candidates, a.Time)
		if o == nil {
			o = nearest(candidates, a.Time)
		}
		if o != nil {
			o.led = true
			j.flows[o.probe].Accepted = append(j.flows[o.probe].Accepted, a)
		}
	}
	return others
}

// first joins what sidecars took from their own applications, and returns all other lines. Both have the same clock.
func (j *joining) first(from origins, lines []*Line) (left []*Line) {
	for _, line := range lines {
		meant := from.meant[leg{line.DownstreamRemote, line.DownstreamLocal}]
		if len(meant) == 0 { // who does not tell what it connected to
			meant = from.meant[leg{local: line.DownstreamRemote}]
		}
		o := underWay(meant, line.Start)
		if !line.own() || o == nil {
			left = append(left, line)
			continue
		}
		from.carried[endOf(line.DownstreamRemote, line.Pod)] = true
		from.taken[leg{line.DownstreamRemote, line.DownstreamLocal}] = true
		j.take(from, o.probe, line)
	}
	return left
}

// chain follows the connections from proxy to proxy. It returns the lines to which nothing leads.
//
// A connection leads to one line of the next hop. So one that began while it was open comes first; one of another time,
// because clocks differ, only when there is none: a port is used again, and the line may be of a connection of nobody here.
func (j *joining) chain(from origins, lines []*Line) []*Line {
	for {
		before := len(lines)
		lines = j.follow(from, lines, underWay)
		if len(lines) == before {
			if lines = j.follow(from, lines, nearest); len(lines) == before {
				return lines
			}
		}
	}
}

// follow joins the lines to which one of the origins leads, and returns the others.
func (j *joining) follow(from origins, lines []*Line, choose func([]*origin, time.Time) *origin) (left []*Line) {
	for _, line := range lines {
		came := endOf(line.DownstreamRemote, line.Pod)
		o := choose(from.elsewhere(came, line.DownstreamLocal), line.Start)
		if line.own() || o == nil {
			left = append(left, line)
			continue
		}
		o.led = true
		from.led[came] = true
		j.take(from, o.probe, line)
	}
	return left
}

// take adds a line to a flow, and where its proxy connected from to the origins.
func (j *joining) take(from origins, index int, line *Line) {
	j.flows[index].Lines = append(j.flows[index].Lines, *line)
	if line.UpstreamLocal != "" {
		key := endOf(line.UpstreamLocal, line.Pod)
		from.proxies[key] = append(from.proxies[key], &origin{probe: index, remote: line.UpstreamHost, begun: line.Start, ended: line.Start.Add(line.Duration)})
	}
}

// askedAProxy tells whether a proxy has logged the client's request as coming from the client's own address: then its
// connection ended there, and one that comes to another hop from the same port, of a node that puts its address in place of
// others', is not the client's.
func (f Flow) askedAProxy() bool {
	return slices.ContainsFunc(f.Lines, func(l Line) bool { return !l.ofConnection() && l.DownstreamRemote == f.Result.LocalAddress })
}

// own tells whether a sidecar took the connection from its own pod.
func (l Line) own() bool {
	host := hostOf(l.DownstreamRemote)
	return host != "" && host == l.Address
}

// end is an address from which connections are made. One of the loopback network, from which a sidecar connects to its own
// application, says little without its pod.
type end struct{ address, pod string }

func endOf(address, pod string) end {
	if ip, err := netip.ParseAddr(hostOf(address)); err == nil && ip.IsLoopback() {
		return end{address, pod}
	}
	return end{address: address}
}

func milliseconds(count float64) time.Duration {
	return time.Duration(count * float64(time.Millisecond))
}

// hostOf is the address without its port; empty when it is none with a port.
func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}
