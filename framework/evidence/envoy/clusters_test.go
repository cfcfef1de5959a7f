package envoy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestClustersOfFullDump(t *testing.T) {
	got, err := Clusters(testdata(t, "config_dump.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Cluster{
		{Name: "inside", State: Active, Static: true, Type: "STATIC"},
		{Name: "xds-grpc", State: Active, Static: true, Type: "STATIC", AltStatName: "xds-grpc;"},
		{Name: "BlackHoleCluster", State: Active, Type: "STATIC", AltStatName: "BlackHoleCluster;"},
		{Name: "PassthroughCluster", State: Active, Type: "ORIGINAL_DST", AltStatName: "PassthroughCluster;"},
		{Name: "outbound|27018||mongo.lab", State: Active, Type: "STATIC", AltStatName: "outbound|27018||mongo.lab;"},
		{
			Name: "outbound|443||tls.lab", State: Active, Type: "STATIC", AltStatName: "outbound|443||tls.lab;",
			TLS: &TLS{SNI: "tls.lab"},
		},
		{
			Name: "outbound|9080||reviews.bookinfo.svc.cluster.local", State: Active, Type: "STATIC",
			AltStatName: "outbound|9080||reviews.bookinfo.svc.cluster.local;",
			Matches: []TransportSocketMatch{
				{
					Name: "tlsMode-istio", Match: map[string]string{"tlsMode": "istio"},
					TLS: &TLS{
						SNI:  "outbound_.9080_._.reviews.bookinfo.svc.cluster.local",
						ALPN: []string{"istio", "h2"}, Certificates: []string{"default"}, Validation: "ROOTCA",
					},
				},
				{Name: "tlsMode-disabled"},
			},
			Breakers: []Threshold{{
				Priority:       "DEFAULT",
				MaxConnections: ptr(uint64(10)), MaxPendingRequests: ptr(uint64(5)),
				MaxRequests: ptr(uint64(4294967295)), MaxRetries: ptr(uint64(0)),
			}},
			Outlier: &OutlierDetection{
				Consecutive5xx: ptr(uint64(2)), Interval: ptr(500 * time.Millisecond),
				BaseEjectionTime: ptr(180 * time.Second), MaxEjectionPercent: ptr(uint64(100)),
			},
		},
		{Name: "outbound|80||late.lab", State: Warming, Type: "EDS", AltStatName: "outbound|80||late.lab;"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Clusters (-want +got):\n%s", diff)
	}
}

func TestClustersOfSubsetHaveNoState(t *testing.T) {
	got, err := Clusters(testdata(t, "dynamic_warming_clusters.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Name != "outbound|80||late.lab" || got[0].State != Unstated {
		t.Errorf("got %+v, want the one late cluster in no stated state", got)
	}
}

func TestClusterFields(t *testing.T) {
	const dump = `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[
		{"version_info":"2026-08-01T00:00:01Z/5","cluster":{"name":"dns","cluster_type":{"name":"envoy.clusters.dns"},
		 "circuit_breakers":{"thresholds":[{"priority":"HIGH","max_connections":1}]},
		 "outlier_detection":{"consecutive_gateway_failure":5,"consecutive_local_origin_failure":3,"split_external_local_origin_errors":true}},
		 "error_state":{"details":"unknown fields"}}]}]}`
	got, err := Clusters([]byte(dump))
	if err != nil {
		t.Fatal(err)
	}
	want := []Cluster{{
		Name: "dns", State: Active, Version: "2026-08-01T00:00:01Z/5", Type: "envoy.clusters.dns",
		Breakers: []Threshold{{Priority: "HIGH", MaxConnections: ptr(uint64(1))}},
		Outlier: &OutlierDetection{
			ConsecutiveGatewayFailure: ptr(uint64(5)), ConsecutiveLocalOriginFailure: ptr(uint64(3)),
			SplitExternalLocalOriginErrors: true,
		},
		Rejected: "unknown fields",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Clusters (-want +got):\n%s", diff)
	}
}
