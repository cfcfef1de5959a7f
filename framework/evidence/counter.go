package evidence

import (
	"context"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
	"github.com/meshproof/meshproof/framework/mesh"
)

// Counter names a statistic of a hop's proxies, with Envoy's own name for it, for example upstream_rq_total. It is of one
// cluster, of one listener by its address, of the HTTP connections with one prefix, or of all that the filters for MongoDB
// read; one of the four is set. Gauge says that it is one, which goes down too.
type Counter struct {
	Hop, Cluster, Listener, HTTP, Name string
	Mongo, Gauge                       bool
}

// Scope is what the counter is of.
func (c Counter) Scope() string {
	if c.Mongo {
		return "MongoDB"
	}
	return c.Cluster + c.Listener + c.HTTP
}

func (c Counter) in(stats envoy.Stats) (float64, bool) {
	if c.Mongo {
		return stats.Mongo(c.Name)
	}
	scope := stats.Cluster(c.Cluster)
	switch {
	case c.Listener != "":
		scope = stats.Listener(c.Listener)
	case c.HTTP != "":
		scope = stats.HTTP(c.HTTP)
	}
	if c.Gauge {
		return scope.Gauge(c.Name)
	}
	return scope.Counter(c.Name)
}

// Reading is a counter's value, summed over the proxies of its hop. Known is false when none of them publishes it.
type Reading struct {
	Value float64
	Known bool
}

// CounterMovement is how far a counter moved while probes were sent.
type CounterMovement struct{ Before, After Reading }

// Delta is how much it moved; a counter that was not published before was zero.
func (m CounterMovement) Delta() float64 { return m.After.Value - m.Before.Value }

// ReadCounters reads counters, those of one proxy at one moment.
func (o *Observer) ReadCounters(ctx context.Context, counters []Counter) (map[Counter]Reading, error) {
	byHop := map[string][]Counter{}
	readings := map[Counter]Reading{}
	for _, counter := range counters {
		readings[counter] = Reading{}
		byHop[counter.Hop] = append(byHop[counter.Hop], counter)
	}
	for hop, own := range byHop {
		for _, proxy := range o.Proxies(hop) {
			stats, err := proxy.Stats(ctx)
			if err != nil {
				return nil, err
			}
			for _, counter := range own {
				value, known := counter.in(stats)
				if !known { // it is zero, or hidden
					if known, err = unused(ctx, proxy, counter); err != nil {
						return nil, err
					}
				}
				if known {
					readings[counter] = Reading{readings[counter].Value + value, true}
				}
			}
		}
	}
	return readings, nil
}

// ofHosts are the names that counters of a cluster have at its hosts.
var ofHosts = map[string]string{"upstream_cx_total": "cx_total", "upstream_rq_total": "rq_total"}

// unused tells by its hosts whether a cluster was never used: Envoy publishes nothing of a cluster before its first use. One
// that was used, and is not published, is hidden by the filter of the proxy's statistics.
func unused(ctx context.Context, proxy *mesh.Proxy, counter Counter) (bool, error) {
	name, kept := ofHosts[counter.Name]
	if counter.Cluster == "" || !kept {
		return false, nil
	}
	clusters, err := proxy.Endpoints(ctx)
	if err != nil {
		return false, err
	}
	for _, cluster := range clusters {
		if cluster.Name == counter.Cluster {
			sum, found := cluster.Sum(name)
			return found && sum == 0, nil
		}
	}
	return false, nil
}
