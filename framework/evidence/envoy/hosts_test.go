package envoy

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseClusters(t *testing.T) {
	got, err := ParseClusters(bytes.NewReader(testdata(t, "clusters.json")))
	if err != nil {
		t.Fatal(err)
	}
	clusters := map[string]ClusterStatus{}
	for _, c := range got {
		clusters[c.Name] = c
	}
	mongo := clusters["outbound|27018||mongo.lab"]
	if !mongo.AddedViaAPI || mongo.StatName != "outbound|27018||mongo.lab;" || len(mongo.Hosts) != 1 {
		t.Fatalf("mongo cluster %+v", mongo)
	}
	host := mongo.Hosts[0]
	if host.Address.String() != "127.0.0.1:28091" || host.Weight != 1 || host.EDSHealth != "HEALTHY" || !host.Available() {
		t.Errorf("mongo host %+v", host)
	}
	for name, want := range map[string]uint64{"cx_total": 9, "rq_total": 9, "cx_active": 1, "rq_error": 0} {
		if value, ok := host.Stat(name); value != want || !ok {
			t.Errorf("Stat(%s) = %d, %t, want %d", name, value, ok, want)
		}
	}
	if value, ok := host.Stat("cx_imagined"); ok {
		t.Errorf("Stat(cx_imagined) = %d, want absent", value)
	}
	wantBreakers := []Threshold{
		{"DEFAULT", ptr(uint64(1024)), ptr(uint64(1024)), ptr(uint64(1024)), ptr(uint64(3))},
		{"HIGH", ptr(uint64(1024)), ptr(uint64(1024)), ptr(uint64(1024)), ptr(uint64(3))},
	}
	if diff := cmp.Diff(wantBreakers, mongo.Breakers); diff != "" {
		t.Errorf("breakers (-want +got):\n%s", diff)
	}

	ejected := clusters["outbound|9080||reviews.bookinfo.svc.cluster.local"].Hosts[0]
	if diff := cmp.Diff([]string{"failed_outlier_check"}, ejected.Flags); diff != "" || ejected.Available() {
		t.Errorf("ejected host: available %t, flags (-want +got):\n%s", ejected.Available(), diff)
	}
	if got := clusters["xds-grpc"].Hosts[0].Address.String(); got != "/var/run/xds.sock" {
		t.Errorf("pipe host is %q", got)
	}
	if got := clusters["inside"].Hosts[0].Address.String(); got != "envoy://connect_originate/10.0.0.9:15008" {
		t.Errorf("internal host is %q", got)
	}
	if sum, ok := mongo.Sum("cx_total"); sum != 9 || !ok {
		t.Errorf("Sum(cx_total) = %d, %t", sum, ok)
	}
	if sum, ok := clusters["BlackHoleCluster"].Sum("cx_total"); ok {
		t.Errorf("Sum over no host = %d, want absent", sum)
	}
}

func TestParseClustersFields(t *testing.T) {
	const answer = `{"cluster_statuses":[{"name":"a","host_statuses":[{
		"address":{"socket_address":{"address":"fd00::7","port_value":80}},"hostname":"a.lab","weight":"3","priority":1,
		"locality":{"region":"r","sub_zone":"s"},
		"stats":[{"name":"cx_total","value":"18446744073709551615"}],
		"success_rate":{"value":99.5},
		"health_status":{"eds_health_status":"UNKNOWN","failed_active_health_check":true,"pending_active_hc":true,"failed_outlier_check":false}}]}]}`
	got, err := ParseClusters(strings.NewReader(answer))
	if err != nil {
		t.Fatal(err)
	}
	h := got[0].Hosts[0]
	if h.Address.String() != "[fd00::7]:80" || h.Hostname != "a.lab" || h.Weight != 3 || h.Priority != 1 || h.Locality != "r//s" || h.EDSHealth != "" {
		t.Errorf("host %+v", h)
	}
	if diff := cmp.Diff([]string{"failed_active_health_check", "pending_active_hc"}, h.Flags); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if v, ok := h.Stat("cx_total"); v != 1<<64-1 || !ok {
		t.Errorf("cx_total %d, %t", v, ok)
	}
	if ap, ok := h.Address.AddrPort(); !ok || ap.String() != "[fd00::7]:80" {
		t.Errorf("AddrPort %s, %t", ap, ok)
	}
}

func TestParseClustersErrors(t *testing.T) {
	for answer, want := range map[string]string{
		"outbound|80||a::default_priority::max_connections::1024\n": "/clusters?format=json",
		`{}`: "cluster_statuses",
		`{"cluster_statuses":[{"name":"a","host_statuses":[{"weight":"x"}]}]}`:                            "not an unsigned number",
		`{"cluster_statuses":[{"name":"a","host_statuses":[{"health_status":{"eds_health_status":1}}]}]}`: `cluster "a"`,
	} {
		if _, err := ParseClusters(strings.NewReader(answer)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", answer, err, want)
		}
	}
}
