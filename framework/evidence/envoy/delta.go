package envoy

import "fmt"

// Delta returns how much each counter grew between two answers of the same proxy. A
// counter that appears only in after grew from zero, because Envoy creates many at
// their first use. A counter that shrank or vanished, as when its cluster was removed
// and added again, is absent from the result: what it counted is unknown. Gauges have
// no growth and are left out. It is an error when the proxy restarted in between, as
// its uptime shows: then no counter can be compared.
//
// Counters say how much went through, not whose it was: a delta is a bound.
func Delta(before, after Stats) (Stats, error) {
	const uptime = "envoy_server_uptime" // a gauge, in seconds
	was, hadBefore := before.Sum(uptime)
	is, hasAfter := after.Sum(uptime)
	if hadBefore && hasAfter && is < was {
		return Stats{}, fmt.Errorf("envoy: statistics cannot be compared: the proxy restarted, its uptime went from %.0f s to %.0f s", was, is)
	}
	out := Stats{families: make(map[string]*family, len(after.families))}
	for name, now := range after.families {
		if !now.counter {
			continue
		}
		grown := &family{counter: true}
		starts := before.families[name].byLabels()
		for _, s := range now.series {
			start, known := starts[labelKey(s.labels)]
			if s.value < start.value || known && s.merged != start.merged {
				continue
			}
			s.value -= start.value
			grown.series = append(grown.series, s)
		}
		if len(grown.series) > 0 {
			out.families[name] = grown
		}
	}
	return out, nil
}

func (f *family) byLabels() map[string]series {
	if f == nil {
		return nil
	}
	out := make(map[string]series, len(f.series))
	for _, s := range f.series {
		out[labelKey(s.labels)] = s
	}
	return out
}
