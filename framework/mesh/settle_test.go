package mesh

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// answers are what a proxy's administration says, by path and resource.
var answers = map[string]string{
	"/config_dump dynamic_listeners": `{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener", "name": "0.0.0.0_8080", "active_state": {"listener": {
		"address": {"socket_address": {"address": "0.0.0.0", "port_value": 8080}},
		"filter_chains": [{"filters": [{"name": "hcm", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
			"access_log": [{"typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/dev/stdout"}},
				{"typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/tmp/x"}}]}}]}]}}}]}`,
	"/config_dump dynamic_route_configs":   `{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump.DynamicRouteConfig", "route_config": {"name": "http.8080"}}]}`,
	"/config_dump dynamic_active_clusters": `{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster", "cluster": {"name": "outbound|80||a", "type": "EDS"}}]}`,
	"/config_dump dynamic_active_secrets":  `{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret", "name": "kubernetes://page", "version_info": "1", "secret": {"name": "kubernetes://page"}}]}`,
	"/clusters ":                           `{"cluster_statuses": [{"name": "outbound|80||a"}]}`,
}

// proxyOf is a proxy whose administration is played: before may answer a request instead.
func proxyOf(t *testing.T, hop string, before func(question string, w http.ResponseWriter, r *http.Request) (answered bool)) *Proxy {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question := r.URL.Path + " " + r.URL.Query().Get("resource")
		if before == nil || !before(question, w, r) {
			_, _ = io.WriteString(w, answers[question])
		}
	}))
	t.Cleanup(server.Close)
	return &Proxy{Hop: hop, Namespace: "app", Pod: hop + "-1", http: server.Client(), admin: server.Listener.Addr().String()}
}

func TestTakeSnapshot(t *testing.T) {
	snapshot, err := TakeSnapshot(t.Context(), proxyOf(t, "page", nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(snapshot.Listeners) != 1 || snapshot.Listeners[0].Name != "0.0.0.0_8080" || snapshot.Listeners[0].State != envoy.Active {
		t.Errorf("listeners = %+v", snapshot.Listeners)
	}
	if len(snapshot.Routes) != 1 || snapshot.Routes[0].Name != "http.8080" {
		t.Errorf("routes = %+v", snapshot.Routes)
	}
	if len(snapshot.Clusters) != 1 || snapshot.Clusters[0].Name != "outbound|80||a" {
		t.Errorf("clusters = %+v", snapshot.Clusters)
	}
	if len(snapshot.Endpoints) != 1 || snapshot.Endpoints[0].Name != "outbound|80||a" {
		t.Errorf("endpoints = %+v", snapshot.Endpoints)
	}
	if len(snapshot.Secrets) != 1 || snapshot.Secrets[0].Name != "kubernetes://page" {
		t.Errorf("secrets = %+v", snapshot.Secrets)
	}
	if snapshot.Sinks != 1 {
		t.Errorf("%d access logs on standard output, want 1", snapshot.Sinks)
	}
}

// A snapshot with a gap would make what stands in the gap look absent.
func TestTakeSnapshotIsWholeOrNone(t *testing.T) {
	for question := range answers {
		t.Run(question, func(t *testing.T) {
			_, err := TakeSnapshot(t.Context(), proxyOf(t, "page", func(asked string, w http.ResponseWriter, _ *http.Request) bool {
				if asked == question {
					http.Error(w, "not now", http.StatusServiceUnavailable)
				}
				return asked == question
			}))
			wantError(t, err, "app/page-1", strings.Fields(question)[0], "503", "not now")
		})
	}
}

// never is an expectation of a hop that does not hold; after it was looked at, looked is called.
func never(hop, text string, looked func()) Expectation {
	return Expectation{Hop: hop, Text: text, Holds: func(Snapshot) (bool, string) {
		looked()
		return false, "it is not there"
	}}
}

func always(hop, text string) Expectation {
	return Expectation{Hop: hop, Text: text, Holds: func(Snapshot) (bool, string) { return true, "" }}
}

func TestSettleLooksUntilEverythingHolds(t *testing.T) {
	looks := 0
	expectations := []Expectation{always("page", "a"), {Hop: "page", Text: "b", Holds: func(Snapshot) (bool, string) {
		looks++
		return looks == 2, "not yet"
	}}, always("gateway", "c")}
	got := map[string]int{}
	proxies := []*Proxy{proxyOf(t, "page", nil), proxyOf(t, "gateway", nil), proxyOf(t, "details", nil)}
	since := time.Now().Add(-time.Hour)
	err := Settle(t.Context(), proxies, expectations, since, time.Minute, func(proxy *Proxy, count int, after time.Duration) {
		got[proxy.Hop] = count
		if after < time.Hour {
			t.Errorf("%s settled after %s, want it to be counted from the given time", proxy, after)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"page": 2, "gateway": 1, "details": 0}, got); diff != "" {
		t.Errorf("expectations by hop (-want +got):\n%s", diff)
	}
}

func TestSettleTellsWhatIsMissing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("time is up")
	expectations := []Expectation{never("page", "listener on port 80", func() {}), always("page", "access log"), never("page", "route a to b", func() { cancel(over) })}
	err := Settle(ctx, []*Proxy{proxyOf(t, "page", nil)}, expectations, time.Now(), time.Minute, func(*Proxy, int, time.Duration) {
		t.Error("it counts as settled")
	})
	wantError(t, err, "proxy app/page-1 does not hold the configuration", "time is up", "listener on port 80 (it is not there); route a to b (it is not there)")
	if !errors.Is(err, over) || strings.Contains(err.Error(), "access log") {
		t.Errorf("error = %v, want the cause and only what is missing", err)
	}
}

// The time may run out in the middle of a look, which says nothing about what is missing; the look before it does.
func TestSettleTellsWhatWasMissingBefore(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	looked := false
	proxy := proxyOf(t, "page", func(question string, _ http.ResponseWriter, r *http.Request) bool {
		if looked {
			cancel(errors.New("time is up"))
			<-r.Context().Done()
		}
		return looked
	})
	err := Settle(ctx, []*Proxy{proxy}, []Expectation{never("page", "route a to b", func() { looked = true })}, time.Now(), time.Minute, func(*Proxy, int, time.Duration) {})
	wantError(t, err, "app/page-1", "time is up", "route a to b (it is not there)")
}

func TestSettleTellsThatNobodyAnswers(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	proxy := proxyOf(t, "page", func(_ string, w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		cancel(errors.New("time is up"))
		return true
	})
	err := Settle(ctx, []*Proxy{proxy}, nil, time.Now(), time.Minute, func(*Proxy, int, time.Duration) {})
	wantError(t, err, "proxy app/page-1 could not be asked", "time is up")
}

func TestSettleRunsOut(t *testing.T) {
	err := Settle(t.Context(), []*Proxy{proxyOf(t, "page", nil)}, nil, time.Now(), time.Nanosecond, func(*Proxy, int, time.Duration) {})
	wantError(t, err, "app/page-1", "timed out after 1ns")
}

func TestStandardOutput(t *testing.T) {
	sinks := []accesslog.Sink{
		{Listener: "stdout", Kind: accesslog.HTTP, Path: "/dev/stdout", Readable: true},
		{Listener: "stderr", Kind: accesslog.TCP, Path: "/dev/stderr", Readable: true},
		{Listener: "a listener's own", Kind: accesslog.Listener, Path: "/dev/stdout", Readable: true},
		{Listener: "unreadable", Kind: accesslog.HTTP, Path: "/dev/stdout"},
		{Listener: "a file", Kind: accesslog.HTTP, Path: "/var/log/envoy.log", Readable: true},
		{Listener: "a service", Kind: accesslog.HTTP},
		{Listener: "a router's", Kind: accesslog.Upstream, Path: "/dev/stdout", Readable: true},
	}
	var got []string
	for _, sink := range StandardOutput(sinks) {
		got = append(got, sink.Listener)
	}
	if diff := cmp.Diff([]string{"stdout", "stderr", "a router's"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
