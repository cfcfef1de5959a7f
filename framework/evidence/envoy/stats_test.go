package envoy

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parseStats(t *testing.T, text string) Stats {
	t.Helper()
	stats, err := ParseStats(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

type lookup struct {
	name  string
	want  float64
	found bool
}

func check(t *testing.T, what string, get func(string) (float64, bool), lookups ...lookup) {
	t.Helper()
	for _, l := range lookups {
		if got, ok := get(l.name); got != l.want || ok != l.found {
			t.Errorf("%s, %s = %v, %t, want %v, %t", what, l.name, got, ok, l.want, l.found)
		}
	}
}

func TestStatsWithIstioTags(t *testing.T) {
	stats, err := ParseStats(bytes.NewReader(testdata(t, "stats_istio.prom")))
	if err != nil {
		t.Fatal(err)
	}
	const reviews = "outbound|9080||reviews.bookinfo.svc.cluster.local"
	check(t, "mongo", stats.Cluster("outbound|27018||mongo.lab").Counter,
		lookup{"upstream_cx_total", 9, true},
		lookup{"upstream_rq_pending_overflow", 0, true},
		lookup{"upstream_cx_active", 0, false}, // a gauge is no counter
		lookup{"upstream_rq", 0, false},
		lookup{"no_such", 0, false},
	)
	check(t, "by stat name", stats.Cluster("outbound|27018||mongo.lab;").Counter, lookup{"upstream_cx_total", 9, true})
	check(t, "reviews", stats.Cluster(reviews).Counter,
		lookup{"upstream_rq_200", 2, true}, lookup{"upstream_rq_500", 2, true}, lookup{"upstream_rq_5xx", 2, true},
		lookup{"upstream_rq_503", 0, false}, lookup{"upstream_rq_total", 4, true},
	)
	check(t, "reviews", stats.Cluster(reviews).Gauge,
		lookup{"upstream_cx_active", 1, true}, lookup{"outlier_detection_ejections_active", 1, true},
		lookup{"circuit_breakers.default.rq_open", 0, true}, lookup{"upstream_cx_total", 0, false},
		lookup{"upstream_rq_time", 0, false}, // histograms are not kept
	)
	check(t, "unknown cluster", stats.Cluster("outbound|1||no.lab").Counter, lookup{"upstream_cx_total", 0, false})
	check(t, "listener", stats.Listener("127.0.0.1:28080").Counter, lookup{"downstream_cx_total", 4, true})
	check(t, "IPv6 listener", stats.Listener("[::1]:28083").Counter, lookup{"downstream_cx_total", 0, true})
	check(t, "unknown listener", stats.Listener("0.0.0.0:1").Counter, lookup{"downstream_cx_total", 0, false})
	if got, ok := stats.Sum("envoy_server_concurrency"); got != 2 || !ok {
		t.Errorf("concurrency %v, %t", got, ok)
	}
	if got, ok := stats.Sum("envoy_cluster_upstream_cx_total"); got != 20 || !ok {
		t.Errorf("all connections %v, %t", got, ok)
	}
	if got, ok := stats.Sum("envoy_cluster_upstream_rq", Label{"cluster_name", reviews}, Label{"response_code", "500"}); got != 2 || !ok {
		t.Errorf("responses 500 %v, %t", got, ok)
	}
	if _, ok := stats.Sum("envoy_cluster_upstream_rq", Label{"response_code", "418"}); ok {
		t.Error("responses 418 found")
	}
}

func TestStatsWithEnvoysOwnTags(t *testing.T) {
	stats, err := ParseStats(bytes.NewReader(testdata(t, "stats_envoy.prom")))
	if err != nil {
		t.Fatal(err)
	}
	check(t, "with a stat name", stats.Cluster("outbound|9080||reviews.lab").Counter,
		lookup{"upstream_cx_total", 4, true}, lookup{"upstream_rq_200", 7, true}, lookup{"upstream_rq_2xx", 7, true})
	check(t, "without one", stats.Cluster("outbound|443||tls.lab").Counter,
		lookup{"upstream_cx_total", 1, true}, lookup{"upstream_rq_503", 1, true}, lookup{"upstream_rq_5xx", 1, true})
	check(t, "listener", stats.Listener("127.0.0.1:28443").Counter,
		lookup{"downstream_cx_total", 4, true}, lookup{"worker_downstream_cx_total", 0, false})
	if got, ok := stats.Sum("envoy_listener_worker_downstream_cx_total", Label{"envoy_listener_address", "127.0.0.1_28080"}); got != 18 || !ok {
		t.Errorf("connections of all workers %v, %t", got, ok)
	}
}

func TestStatsOfDotlessAndLookalikeClusters(t *testing.T) {
	stats := parseStats(t, `# TYPE envoy_cluster_upstream_cx_total counter
envoy_cluster_upstream_cx_total{envoy_cluster_name="xds"} 5
# TYPE envoy_cluster_a_b_upstream_cx_total counter
envoy_cluster_a_b_upstream_cx_total{envoy_cluster_name="one"} 1
envoy_cluster_a_b_upstream_cx_total{envoy_cluster_name="one"} 2
# TYPE envoy_cluster_web_upstream_cx_total counter
envoy_cluster_web_upstream_cx_total{} 7
`)
	check(t, "no dot", stats.Cluster("xds").Counter, lookup{"upstream_cx_total", 5, true})
	check(t, "no label", stats.Cluster("web").Counter, lookup{"upstream_cx_total", 7, true})
	// one.a-b and one.a.b leave the same metric and label: neither can be told.
	check(t, "lookalike", stats.Cluster("one.a-b").Counter, lookup{"upstream_cx_total", 0, false})
}

func TestDelta(t *testing.T) {
	const types = "# TYPE envoy_server_uptime gauge\nenvoy_server_uptime %\n# TYPE envoy_cluster_upstream_cx_total counter\n"
	series := func(cluster, value string) string {
		return `envoy_cluster_upstream_cx_total{cluster_name="` + cluster + `"} ` + value + "\n"
	}
	before := parseStats(t, strings.Replace(types, "%", "10", 1)+series("same", "4")+series("grown", "4")+series("reset", "9")+series("gone", "1")+
		series("twin", "1")+series("twin", "2"))
	after := parseStats(t, strings.Replace(types, "%", "20", 1)+series("same", "4")+series("grown", "7")+series("reset", "2")+series("new", "3")+
		series("twin", "4"))
	delta, err := Delta(before, after)
	if err != nil {
		t.Fatal(err)
	}
	for cluster, want := range map[string]lookup{
		"same":  {"upstream_cx_total", 0, true},
		"grown": {"upstream_cx_total", 3, true},
		"new":   {"upstream_cx_total", 3, true},
		"reset": {"upstream_cx_total", 0, false},
		"gone":  {"upstream_cx_total", 0, false},
		"twin":  {"upstream_cx_total", 0, false},
	} {
		check(t, cluster, delta.Cluster(cluster).Counter, want)
	}
	if diff := cmp.Diff([]string{"envoy_cluster_upstream_cx_total"}, delta.Names()); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if _, err := Delta(after, before); err == nil || !strings.Contains(err.Error(), "restarted") {
		t.Errorf("error %v, want one that says restarted", err)
	}
}

func TestZeroStatsHoldNothing(t *testing.T) {
	check(t, "zero", Stats{}.Cluster("a").Counter, lookup{"upstream_cx_total", 0, false})
	if delta, err := Delta(Stats{}, Stats{}); err != nil || len(delta.Names()) != 0 {
		t.Errorf("Delta of nothing: %v, %v", delta, err)
	}
}

func TestParseStatsErrors(t *testing.T) {
	for _, answer := range []string{"", "{}", "no available upstream\n", "# TYPE a counter\n{}\n"} {
		if _, err := ParseStats(strings.NewReader(answer)); err == nil || !strings.Contains(err.Error(), "/stats/prometheus") {
			t.Errorf("%q: error %v", answer, err)
		}
	}
}

// Istio ends stat names with ";", and gives every port of a sidecar a prefix of its own.
func TestStatsOfHTTPConnections(t *testing.T) {
	stats := parseStats(t, `# TYPE envoy_http_downstream_cx_active gauge
envoy_http_downstream_cx_active{http_conn_manager_prefix="inbound_0.0.0.0_9080;"} 3
envoy_http_downstream_cx_active{http_conn_manager_prefix="inbound_0.0.0.0_90;"} 1
envoy_http_downstream_cx_active{http_conn_manager_prefix="admin",worker="0"} 4
# TYPE envoy_http_downstream_rq_xx counter
envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="outbound_0.0.0.0_9080",envoy_response_code_class="2"} 8
`)
	check(t, "with Istio's tags", stats.HTTP("inbound_0.0.0.0_9080").Gauge, lookup{"downstream_cx_active", 3, true}, lookup{"downstream_cx_total", 0, false})
	check(t, "by the stat name", stats.HTTP("inbound_0.0.0.0_90;").Gauge, lookup{"downstream_cx_active", 1, true})
	check(t, "with Envoy's own tags", stats.HTTP("outbound_0.0.0.0_9080").Counter, lookup{"downstream_rq_2xx", 8, true}, lookup{"downstream_rq_5xx", 0, false})
	check(t, "of one worker", stats.HTTP("admin").Gauge, lookup{"downstream_cx_active", 0, false})
	check(t, "of a port that nobody uses", stats.HTTP("inbound_0.0.0.0_908").Gauge, lookup{"downstream_cx_active", 0, false})
}

func TestStatsOfMongoFilters(t *testing.T) {
	istio := parseStats(t, `# TYPE envoy_mongo__op_query counter
envoy_mongo__op_query{mongo_prefix="op_"} 46
# TYPE envoy_mongo__decoding_error counter
envoy_mongo__decoding_error{mongo_prefix="decoding_"} 23
`)
	check(t, "by Istio's tags", istio.Mongo, lookup{"op_query", 46, true}, lookup{"decoding_error", 23, true}, lookup{"op_msg", 0, false})
	own := parseStats(t, `# TYPE envoy_mongo_op_query counter
envoy_mongo_op_query{envoy_mongo_prefix="one"} 2
envoy_mongo_op_query{envoy_mongo_prefix="two"} 3
`)
	check(t, "by Envoy's own", own.Mongo, lookup{"op_query", 5, true}, lookup{"decoding_error", 0, false})
}
