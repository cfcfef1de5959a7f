package envoy

import (
	"bytes"
	"testing"
)

// Whatever a proxy, an old one or a port that is none of Envoy's answers, reading it
// ends in a result or an error.

func FuzzConfigDump(f *testing.F) {
	for _, name := range []string{"dynamic_listeners.json", "dynamic_warming_clusters.json", "dynamic_warming_secrets.json"} {
		f.Add(testdata(f, name))
	}
	f.Add([]byte(`{"configs":[{"@type":"t/envoy.admin.v3.ClustersConfigDump","static_clusters":[{}]}]}`))
	f.Fuzz(func(t *testing.T, dump []byte) {
		for _, read := range readers {
			if _, err := read(dump); err != nil && err.Error() == "" {
				t.Error("an error without text")
			}
		}
		configs, err := ListenerConfigs(dump)
		if err != nil {
			return
		}
		listeners, err := Listeners(dump)
		if err == nil && len(listeners) < len(configs) {
			t.Errorf("%d listeners, but %d configurations", len(listeners), len(configs))
		}
	})
}

func FuzzParseClusters(f *testing.F) {
	f.Add([]byte(`{"cluster_statuses":[{"name":"a","host_statuses":[{"address":{"pipe":{"path":"/p"}},"stats":[{"name":"cx_total","value":"1"}],"health_status":{"failed_outlier_check":true}}]}]}`))
	f.Add(testdata(f, "server_info.json"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if clusters, err := ParseClusters(bytes.NewReader(answer)); err == nil && clusters == nil {
			t.Error("neither clusters nor an error")
		}
		if info, err := ParseServerInfo(bytes.NewReader(answer)); err == nil && info.Version == "" {
			t.Error("neither a version nor an error")
		}
	})
}

func FuzzParseStats(f *testing.F) {
	f.Add([]byte("# TYPE envoy_cluster_lab__upstream_rq counter\nenvoy_cluster_lab__upstream_rq{envoy_response_code=\"200\",envoy_cluster_name=\"outbound|9080||reviews\"} 7\n# TYPE envoy_server_uptime gauge\nenvoy_server_uptime{} 6\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		stats, err := ParseStats(bytes.NewReader(answer))
		if err != nil {
			return
		}
		stats.Cluster("outbound|9080||reviews.lab").Counter("upstream_rq_200")
		delta, err := Delta(stats, stats)
		if err != nil {
			return // only an uptime that is not a number compares below itself
		}
		for _, name := range delta.Names() {
			if sum, ok := delta.Sum(name); ok && sum > 0 {
				t.Errorf("%s grew by %v between an answer and itself", name, sum)
			}
		}
	})
}
