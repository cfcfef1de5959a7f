package evidence

import (
	"strings"
	"testing"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

const cluster = "outbound|9080||page.apps.svc.cluster.local"

// statistics of a proxy, as Istio has Envoy publish them.
const statistics = `# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{cluster_name="outbound|9080||page.apps.svc.cluster.local"} 7
envoy_cluster_upstream_rq_total{cluster_name="outbound|9080||details.apps.svc.cluster.local"} 3
# TYPE envoy_listener_downstream_cx_total counter
envoy_listener_downstream_cx_total{listener_address="0.0.0.0_15006"} 5
# TYPE envoy_http_downstream_cx_active gauge
envoy_http_downstream_cx_active{http_conn_manager_prefix="inbound_0.0.0.0_9080;"} 2
# TYPE envoy_mongo__op_query counter
envoy_mongo__op_query{mongo_prefix="op_"} 4
`

func TestCounterIsFoundInItsOwnScope(t *testing.T) {
	stats, err := envoy.ParseStats(strings.NewReader(statistics))
	if err != nil {
		t.Fatal(err)
	}
	const http = "inbound_0.0.0.0_9080"
	for name, test := range map[string]struct {
		counter Counter
		scope   string
		want    float64
		known   bool
	}{
		"of a cluster":                 {Counter{Cluster: cluster, Name: "upstream_rq_total"}, cluster, 7, true},
		"of a listener":                {Counter{Listener: "0.0.0.0:15006", Name: "downstream_cx_total"}, "0.0.0.0:15006", 5, true},
		"of HTTP connections":          {Counter{HTTP: http, Name: "downstream_cx_active", Gauge: true}, http, 2, true},
		"a gauge is no counter":        {Counter{HTTP: http, Name: "downstream_cx_active"}, http, 0, false},
		"a counter is no gauge":        {Counter{Cluster: cluster, Name: "upstream_rq_total", Gauge: true}, cluster, 0, false},
		"of MongoDB":                   {Counter{Mongo: true, Name: "op_query"}, "MongoDB", 4, true},
		"of another cluster":           {Counter{Cluster: "outbound|9080||x", Name: "upstream_rq_total"}, "outbound|9080||x", 0, false},
		"a listener is no HTTP":        {Counter{HTTP: "0.0.0.0:15006", Name: "downstream_cx_total"}, "0.0.0.0:15006", 0, false},
		"a name that nobody publishes": {Counter{Cluster: cluster, Name: "upstream_rq"}, cluster, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, known := test.counter.in(stats); got != test.want || known != test.known {
				t.Errorf("%v, known %t; want %v, %t", got, known, test.want, test.known)
			}
			if got := test.counter.Scope(); got != test.scope {
				t.Errorf("scope %q, want %q", got, test.scope)
			}
		})
	}
}

func TestCounterMovementDelta(t *testing.T) {
	if got := (CounterMovement{Before: Reading{Value: 3, Known: true}, After: Reading{Value: 23, Known: true}}).Delta(); got != 20 {
		t.Errorf("delta %v, want 20", got)
	}
}
