package traffic

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
)

// agent answers every probe with this response, and keeps what it was asked.
func agent(t *testing.T, response wire.ProbeResponse) (pod *Pod, asked *wire.ProbeRequest) {
	t.Helper()
	asked = &wire.ProbeRequest{}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/probe" {
			t.Errorf("the agent was asked %s %s", r.Method, r.URL.Path)
		}
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(asked); err != nil {
			t.Errorf("the agent does not understand its question: %v", err)
		}
		_ = json.NewEncoder(w).Encode(response)
	})
	return NewPod("pod apps/client", server.Listener.Addr().String()), asked
}

func TestPodAsksItsAgentToSendTheProbe(t *testing.T) {
	pod, asked := agent(t, wire.ProbeResponse{Status: 200})
	probe := NewProbes(Request{
		Method: "PUT", URL: "http://10.0.0.1/p?u=normal", Host: "page.lab", Header: map[string]string{"plan-type": "gold"}, Body: "in", RootCAs: "an authority", Timeout: 1500 * time.Millisecond,
	}, "BG1", 1)[0]
	if _, err := pod.Do(t.Context(), probe); err != nil {
		t.Fatal(err)
	}
	want := wire.ProbeRequest{
		Method: "PUT", URL: "http://10.0.0.1/p?u=normal&meshproof=" + probe.ID, Host: "page.lab", Body: "in", RootCAs: "an authority", TimeoutMilliseconds: 1500, NewConnection: true,
		Headers: map[string]string{"User-Agent": "meshproof/" + probe.ID, "Plan-Type": "gold"},
	}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Errorf("the agent was asked (-want +got):\n%s", diff)
	}
}

func TestPodReturnsWhatTheAgentSaw(t *testing.T) {
	started := time.Date(2026, 11, 22, 16, 4, 5, 0, time.UTC)
	handshake := &wire.TLS{Version: "TLS 1.3", ServerName: "page.lab", Chain: []wire.Certificate{{Subject: "CN=page.lab", DNSNames: []string{"page.lab"}, SHA256: "0f", NotAfter: started}}}
	pod, _ := agent(t, wire.ProbeResponse{
		Status: 503, Headers: http.Header{"Server": {"istio-envoy"}}, Body: "no healthy upstream", Truncated: true, Error: "cut off",
		LocalAddress: "10.0.0.9:50000", RemoteAddress: "10.0.0.1:80", TLS: handshake, StartedAt: started, Milliseconds: 1.5,
	})
	probe := NewProbes(Request{URL: "http://10.0.0.1"}, "BG1", 1)[0]
	got, err := pod.Do(t.Context(), probe)
	if err != nil {
		t.Fatal(err)
	}
	want := Result{
		Probe: probe, Status: 503, Header: http.Header{"Server": {"istio-envoy"}}, Body: "no healthy upstream", Truncated: true, Err: "cut off",
		LocalAddress: "10.0.0.9:50000", RemoteAddress: "10.0.0.1:80", TLS: handshake, StartedAt: started, Duration: 1500 * time.Microsecond,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

// What the vantage point itself does wrong says nothing of the probe.
func TestPodTellsWhatItsAgentDoesWrong(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"it refuses": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the URL is not absolute", http.StatusBadRequest)
		},
			"the agent in pod apps/client refuses the probe: 400 Bad Request: the URL is not absolute"},
		"it is no agent": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
			"read the answer of the agent in pod apps/client: invalid character"},
		"it breaks off": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "9") },
			"read the answer of the agent in pod apps/client: unexpected EOF"},
		"it hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"ask the agent in pod apps/client: "},
	} {
		t.Run(name, func(t *testing.T) {
			pod := NewPod("pod apps/client", serve(t, test.handler).Listener.Addr().String())
			probe := NewProbes(Request{URL: "http://10.0.0.1"}, "BG1", 1)[0]
			result, err := pod.Do(t.Context(), probe)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
			if diff := cmp.Diff(Result{Probe: probe}, result); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPodRefusesWhatIsNoURL(t *testing.T) {
	pod, asked := agent(t, wire.ProbeResponse{})
	if _, err := pod.Do(t.Context(), NewProbes(Request{URL: "http://page.lab:port"}, "BG1", 1)[0]); err == nil || asked.URL != "" {
		t.Errorf("error %v, and the agent was asked for %q", err, asked.URL)
	}
}

func TestPodIgnoresProxyVariables(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":204}`) })
	before := proxied.Load()
	result, err := NewPod("pod apps/client", unproxied(server)).Do(t.Context(), NewProbes(Request{URL: "http://10.0.0.1"}, "BG1", 1)[0])
	if err != nil || result.Status != 204 || proxied.Load() != before {
		t.Errorf("status %d, error %v, %d requests to the proxy", result.Status, err, proxied.Load()-before)
	}
}

func TestPodName(t *testing.T) {
	if got := NewPod("pod apps/client", "127.0.0.1:1").Name(); got != "pod apps/client" {
		t.Errorf("name %q", got)
	}
}
