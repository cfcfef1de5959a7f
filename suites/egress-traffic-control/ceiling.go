package egresstrafficcontrol

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/expect"
	"github.com/meshproof/meshproof/framework/pattern"
)

// ceiling is what a plan may have in flight by the limits of the manifests, with the endpoints and workers that the proxies
// have: their own configuration and state tell.
func (p paths) ceiling(ctx context.Context, plan string) pattern.Ceiling {
	GinkgoHelper()
	result := pattern.Ceiling{Subset: plan, Configured: limits[plan]}
	for _, proxy := range p.env.Observer.Proxies(product) {
		info, err := proxy.ServerInfo(ctx)
		if err == nil {
			result.Workers, result.Proxies = max(result.Workers, int(info.Concurrency)), result.Proxies+1
			var endpoints int
			endpoints, err = p.endpoints(ctx, plan)
			result.Endpoints = max(result.Endpoints, endpoints)
		}
		if err != nil {
			p.env.Trouble("the proxies of product-service tell their workers and endpoints", err)
			Fail(err.Error())
		}
	}
	return result
}

// endpoints is the most hosts that a proxy of product-service has for a plan.
func (p paths) endpoints(ctx context.Context, plan string) (int, error) {
	most := 0
	for _, proxy := range p.env.Observer.Proxies(product) {
		clusters, err := proxy.Endpoints(ctx)
		if err != nil {
			return 0, err
		}
		for _, cluster := range clusters {
			if cluster.Name == p.cluster(plan) {
				most = max(most, len(cluster.Hosts))
			}
		}
	}
	return most, nil
}

// pending is the counter of the requests that a plan's cluster turned away because too many waited.
func (p paths) pending(plan string) evidence.Counter {
	return evidence.Counter{Hop: product, Cluster: p.cluster(plan), Name: "upstream_rq_pending_overflow"}
}

// measured completes a ceiling with what a load of the plan came to, and notes it.
func (p paths) measured(ceiling pattern.Ceiling, flows evidence.Flows, delay time.Duration) {
	overflow, _ := expect.LimitCounters(product, p.cluster(ceiling.Subset))
	ceiling.Offered, ceiling.Measured = expect.AtOnce(flows), expect.InFlight(flows, rating)
	ceiling.Queued = expect.Queued(flows, product, rating, delay/2)
	ceiling.Overflowed = int(flows.Counters[overflow].Delta())
	ceiling.Rejected = int(flows.Counters[p.pending(ceiling.Subset)].Delta())
	p.env.Measured(ceiling)
}

// loadCounters are what is read of a plan's cluster over a load.
func (p paths) loadCounters(plans ...string) (totals, gauges []evidence.Counter) {
	for _, plan := range plans {
		overflow, active := expect.LimitCounters(product, p.cluster(plan))
		connections, requests := expect.ConnectionCounters(product, p.cluster(plan))
		totals = append(totals, overflow, connections, requests, p.pending(plan))
		gauges = append(gauges, active, expect.Ejections(product, p.cluster(plan)))
	}
	return totals, gauges
}

// quantiles says in a few words how long the flows took.
func quantiles(flows evidence.Flows) string {
	ms := func(q float64) int64 { return expect.Quantile(flows, q).Milliseconds() }
	return fmt.Sprintf("P50 %d, P90 %d, P99 %d ms", ms(0.5), ms(0.9), ms(0.99))
}
