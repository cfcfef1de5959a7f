package evidence

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/internal/apitest"
)

// administration is what a proxy answers, by path; it is asked through the API server.
type administration map[string]string

func (a administration) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, found := a[r.URL.Path]
	if !found {
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(w, answer)
}

// beside follows pods of the page, page-1 and so on, with these proxies.
func beside(t *testing.T, proxies ...administration) *Observer {
	t.Helper()
	server := apitest.New(t)
	for index, proxy := range proxies {
		name := "page-" + string(rune('1'+index))
		objects, err := kube.Decode("test", []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: "+name+", namespace: apps, labels: {app: page}}\nstatus: {phase: Running}\n"))
		if err != nil {
			t.Fatal(err)
		}
		server.Put(objects...)
		server.Play(t, "apps", name, proxy)
	}
	o, err := Observe(t.Context(), server.Client(t), []Hop{{Name: "page", Namespace: "apps", Selector: "app=page", Proxy: true}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestReadCountersSumsTheProxiesOfAHop(t *testing.T) {
	const path = "/stats/prometheus"
	requests, active, unknown := Counter{Hop: "page", Cluster: cluster, Name: "upstream_rq_total"}, Counter{Hop: "page", HTTP: "inbound_0.0.0.0_9080", Name: "downstream_cx_active", Gauge: true},
		Counter{Hop: "page", Cluster: cluster, Name: "upstream_rq_retry"}
	elsewhere := Counter{Hop: "gateway", Cluster: cluster, Name: "upstream_rq_total"}
	quiet := "# TYPE envoy_server_uptime gauge\nenvoy_server_uptime 6\n"
	got, err := beside(t, administration{path: statistics, "/clusters": `{"cluster_statuses": []}`}, administration{path: quiet, "/clusters": `{"cluster_statuses": []}`}, administration{path: statistics, "/clusters": `{"cluster_statuses": []}`}).ReadCounters(t.Context(), []Counter{requests, active, unknown, elsewhere})
	if err != nil {
		t.Fatal(err)
	}
	want := map[Counter]Reading{requests: {14, true}, active: {4, true}, unknown: {}, elsewhere: {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("readings (-want +got):\n%s", diff)
	}
}

// A sum without one of its parts would be a counter that has not moved.
func TestReadCountersReadsAllOrNothing(t *testing.T) {
	readings, err := beside(t, administration{"/stats/prometheus": statistics}, administration{}).ReadCounters(t.Context(), []Counter{{Hop: "page", Cluster: cluster, Name: "upstream_rq_total"}})
	if err == nil || !strings.Contains(err.Error(), "apps/page-2") || readings != nil {
		t.Errorf("readings %v, error %v", readings, err)
	}
}

func TestReadFormats(t *testing.T) {
	const types = "type.googleapis.com/envoy"
	listener := func(log string) string {
		return `{"configs": [{"@type": "` + types + `.admin.v3.ListenersConfigDump.DynamicListener", "name": "l", "active_state": {"listener": {"filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
			"@type": "` + types + `.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "access_log": [` + log + `]}}]}]}}}]}`
	}
	format, err := json.Marshal(accesslog.IstioDefault)
	if err != nil {
		t.Fatal(err)
	}
	log := `{"typed_config": {"@type": "` + types + `.extensions.access_loggers.file.v3.FileAccessLog", "path": "/dev/stdout", "log_format": {"text_format_source": {"inline_string": ` + string(format) + `}}}}`
	info := func(flush string) string {
		return `{"version": "a/1.40.0/b", "command_line_options": {"file_flush_interval": "` + flush + `"}}`
	}
	for name, test := range map[string]struct {
		proxies  []administration
		patience time.Duration
		gap, err string
	}{
		"every proxy writes its log": {[]administration{{"/config_dump": listener(log), "/server_info": info("1s")}, {"/config_dump": listener(log), "/server_info": info("3s")}}, 8 * time.Second, "", ""},
		"one writes none":            {[]administration{{"/config_dump": listener(log), "/server_info": info("1s")}, {"/config_dump": listener(""), "/server_info": info("1s")}}, 4 * time.Second, "proxy apps/page-2 writes no access log", ""},
		"one cannot be asked":        {[]administration{{}}, 0, "", "ask proxy apps/page-1 for /config_dump"},
		"one does not say its pace":  {[]administration{{"/config_dump": listener(log)}}, 0, "", "ask proxy apps/page-1 for /server_info"},
	} {
		t.Run(name, func(t *testing.T) {
			o := beside(t, test.proxies...)
			err := o.ReadFormats(t.Context())
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			if gap := o.gapsNow()["page"].Why; err != nil || o.Patience() != test.patience || gap != test.gap {
				t.Errorf("patience %s, gap %q, error %v; want %s, %q", o.Patience(), gap, err, test.patience, test.gap)
			}
		})
	}
}
