package evidence

import (
	"time"
)

// clockSkew is how far the clocks of two nodes may be apart.
const clockSkew = 2 * time.Second

// origin is a connection that was made for a probe, the address that it was made to, and how long it was open.
type origin struct {
	probe        int
	remote       string
	begun, ended time.Time
	// led is set when the line of a next hop is joined to it.
	led bool
}

// telling is how late an application on a busy node may be to note that it has begun a connection.
const telling = 100 * time.Millisecond

// underWay is the one that was open at a moment, by the same clock; of several, that which began nearest to it.
func underWay(origins []*origin, moment time.Time) (found *origin) {
	for _, o := range origins {
		if moment.Before(o.begun.Add(-telling)) || moment.After(o.ended.Add(telling)) {
			continue
		}
		if found == nil || moment.Sub(o.begun).Abs() < moment.Sub(found.begun).Abs() {
			found = o
		}
	}
	return found
}

// nearest is the one that leads to nothing yet, and was open nearest to a moment of another clock.
func nearest(origins []*origin, moment time.Time) (found *origin) {
	var distance time.Duration
	for _, o := range origins {
		away := max(o.begun.Sub(moment), moment.Sub(o.ended), 0)
		if !o.led && away <= clockSkew && (found == nil || away < distance) {
			found, distance = o, away
		}
	}
	return found
}

// origins are where connections were made from: by applications and clients, and by proxies. The kernel gives a port of one
// pod to both at once, as long as they lead elsewhere.
type origins struct {
	// applications and proxies are by where they connected from; the kernel uses a port again, even at the same time towards
	// another address, so that one may be of several probes.
	applications, proxies map[end][]*origin
	// pods are the addresses of all pods that have written a line.
	pods map[string]bool
	// meant are those of applications by what they connected to as well, which their own sidecar sees too.
	meant map[leg][]*origin
	// taken are those of them of which their sidecar has the line.
	taken map[leg]bool
	// carried are those of applications whose own sidecar has the line of it: what comes from there at another hop is no
	// connection of theirs.
	carried map[end]bool
	// led are those to which the line of a next hop is joined.
	led map[end]bool
}

// leg is a connection by both its ends, as its application sees them.
type leg struct{ local, remote string }

func newOrigins(lines []*Line) origins {
	o := origins{
		applications: map[end][]*origin{}, proxies: map[end][]*origin{}, meant: map[leg][]*origin{},
		taken: map[leg]bool{}, carried: map[end]bool{}, led: map[end]bool{}, pods: map[string]bool{},
	}
	for _, line := range lines {
		if line.Address != "" {
			o.pods[line.Address] = true
		}
	}
	return o
}

// application adds a connection of an application or a client.
func (o origins) application(made origin, local, pod string) {
	key := endOf(local, pod)
	o.applications[key] = append(o.applications[key], &made)
	o.meant[leg{local, made.remote}] = append(o.meant[leg{local, made.remote}], &made)
}

// elsewhere are those that another pod, at its address local, could see come from this end. One that was made to the very
// address of a pod can be seen by that pod only; one to an address that is translated, by any. Who does not tell its own
// address passes none.
func (o origins) elsewhere(from end, local string) []*origin {
	all := o.proxies[from]
	if len(all) == 0 && !o.carried[from] {
		all = o.applications[from]
	}
	var exact, translated []*origin
	for _, origin := range all {
		switch {
		case origin.remote == local && local != "":
			exact = append(exact, origin)
		case !o.pods[hostOf(origin.remote)] || local == "":
			translated = append(translated, origin)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return translated
}
