package traffic

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/internal/tlstest"
)

// do sends one probe of request from the process itself.
func do(t *testing.T, request Request) Result {
	t.Helper()
	probe := NewProbes(request, "BG1", 1)[0]
	result, err := Runner{}.Do(t.Context(), probe)
	if err != nil {
		t.Fatal(err)
	}
	if result.Probe.ID != probe.ID || result.StartedAt.IsZero() || result.Duration <= 0 {
		t.Errorf("probe %s, started at %s, took %s", result.Probe.ID, result.StartedAt, result.Duration)
	}
	return result
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func TestRunnerSendsTheRequestWithItsIdentity(t *testing.T) {
	type seen struct{ Method, Host, Body, Query, Agent, Plan, Encoding, Remote string }
	var got seen
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = seen{r.Method, r.Host, string(body), r.URL.RawQuery, r.UserAgent(), r.Header.Get("Plan-Type"), r.Header.Get("Accept-Encoding"), r.RemoteAddr}
		w.Header().Set("X-Server", "page")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	result := do(t, Request{Method: "PUT", URL: server.URL + "/p?u=normal", Host: "page.lab", Header: map[string]string{"plan-type": "gold"}, Body: "in"})
	id := result.Probe.ID
	if diff := cmp.Diff(seen{"PUT", "page.lab", "in", "u=normal&meshproof=" + id, "meshproof/" + id, "gold", "", result.LocalAddress}, got); diff != "" {
		t.Errorf("the server saw (-want +got):\n%s", diff)
	}
	if result.Status != http.StatusTeapot || result.Body != "short and stout" || result.Err != "" || result.Truncated || result.Header.Get("X-Server") != "page" {
		t.Errorf("result %+v", result)
	}
	if result.RemoteAddress != server.Listener.Addr().String() {
		t.Errorf("remote address %s, want %s", result.RemoteAddress, server.Listener.Addr())
	}
}

func TestRunnerOpensAConnectionPerProbe(t *testing.T) {
	server := serve(t, func(http.ResponseWriter, *http.Request) {})
	first, second := do(t, Request{URL: server.URL}), do(t, Request{URL: server.URL})
	if first.LocalAddress == second.LocalAddress {
		t.Errorf("both probes came from %s", first.LocalAddress)
	}
}

func TestRunnerKeepsTheBeginningOfALongBody(t *testing.T) {
	for name, test := range map[string]struct {
		size      int
		truncated bool
	}{"the limit": {bodyLimit, false}, "one more": {bodyLimit + 1, true}} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", test.size)) })
			result := do(t, Request{URL: server.URL})
			if result.Truncated != test.truncated || len(result.Body) != bodyLimit || result.Err != "" {
				t.Errorf("truncated %t, %d bytes, error %q", result.Truncated, len(result.Body), result.Err)
			}
		})
	}
}

func TestRunnerTellsAnAnswerThatWasCutOff(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	})
	if result := do(t, Request{URL: server.URL}); result.Status != 200 || result.Body != "half" || result.Err != "unexpected EOF" {
		t.Errorf("status %d, body %q, error %q", result.Status, result.Body, result.Err)
	}
}

// A name in place of the address, which the certificates of the test are not for.
func byName(url string) string { return strings.Replace(url, "127.0.0.1", "localhost", 1) }

func TestRunnerChecksTheServersCertificate(t *testing.T) {
	authority, other, valid := tlstest.NewAuthority(t), tlstest.NewAuthority(t), time.Now().Add(time.Hour)
	good := byName(authority.Serve(t, http.NotFoundHandler(), valid, "localhost").URL)
	for name, test := range map[string]struct {
		url, rootCAs string
		want         string // part of the error; empty for none
	}{
		"of the authority that is given": {good, authority.PEM, ""},
		"of another authority":           {good, other.PEM, "certificate signed by unknown authority"},
		"of none that the system knows":  {good, "", "certificate signed by unknown authority"},
		"for another name":               {byName(authority.Serve(t, http.NotFoundHandler(), valid, "other.lab").URL), authority.PEM, "certificate is valid for other.lab, not localhost"},
		"that is over":                   {byName(authority.Serve(t, http.NotFoundHandler(), time.Now().Add(-time.Hour), "localhost").URL), authority.PEM, "certificate has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			got := do(t, Request{URL: test.url, RootCAs: test.rootCAs})
			if test.want != "" {
				if !strings.Contains(got.Err, test.want) || got.Status != 0 || got.TLS != nil {
					t.Errorf("status %d, TLS %v, error %q; want %q", got.Status, got.TLS, got.Err, test.want)
				}
				return
			}
			if got.Err != "" || got.Status != http.StatusNotFound || got.TLS == nil || got.TLS.ServerName != "localhost" || len(got.TLS.Chain) != 1 {
				t.Errorf("status %d, TLS %+v, error %q", got.Status, got.TLS, got.Err)
			}
		})
	}
	if plain := do(t, Request{URL: serve(t, func(http.ResponseWriter, *http.Request) {}).URL}); plain.TLS != nil {
		t.Errorf("TLS of plain text: %+v", plain.TLS)
	}
}

func TestRunnerTellsARefusedConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	result := do(t, Request{URL: "http://" + address})
	if result.Status != 0 || !strings.Contains(result.Err, "connection refused") || result.LocalAddress != "" {
		t.Errorf("status %d, error %q, local address %q", result.Status, result.Err, result.LocalAddress)
	}
}

func TestRunnerTellsTheLimitOfAProbeThatTookTooLong(t *testing.T) {
	for name, test := range map[string]struct {
		begin  func(http.ResponseWriter)
		status int
	}{
		"without an answer":   {func(http.ResponseWriter) {}, 0},
		"with half an answer": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "half"); w.(http.Flusher).Flush() }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				test.begin(w)
				<-r.Context().Done()
			})
			result := do(t, Request{URL: server.URL, Timeout: 30 * time.Millisecond})
			if result.Status != test.status || result.Err != "no whole answer within 30ms" || result.Duration < 30*time.Millisecond {
				t.Errorf("status %d, error %q after %s", result.Status, result.Err, result.Duration)
			}
		})
	}
}

func TestRunnerTellsWhatEndedItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(errors.New("interrupted"))
		<-r.Context().Done()
	})
	result, err := Runner{}.Do(ctx, NewProbes(Request{URL: server.URL}, "BG1", 1)[0])
	if err != nil || result.Err != "interrupted" {
		t.Errorf("error %v, result %q", err, result.Err)
	}
}

func TestRunnerFollowsNoRedirect(t *testing.T) {
	asked := 0
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	result := do(t, Request{URL: server.URL})
	if result.Status != http.StatusFound || result.Header.Get("Location") != "/elsewhere" || asked != 1 {
		t.Errorf("status %d, location %q after %d requests", result.Status, result.Header.Get("Location"), asked)
	}
}

func TestRunnerIgnoresProxyVariables(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "direct") })
	before := proxied.Load()
	if result := do(t, Request{URL: "http://" + unproxied(server)}); result.Body != "direct" || proxied.Load() != before {
		t.Errorf("status %d, body %q, error %q, %d requests to the proxy", result.Status, result.Body, result.Err, proxied.Load()-before)
	}
}

func TestRunnerRefusesWhatIsNoRequest(t *testing.T) {
	for name, request := range map[string]Request{"its URL": {URL: "http://page.lab:port"}, "its method": {URL: "http://page.lab", Method: "A B"}, "its authorities": {URL: "https://page.lab", RootCAs: "AAAA"}} {
		if _, err := (Runner{}).Do(t.Context(), NewProbes(request, "BG1", 1)[0]); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}

func TestRunnerName(t *testing.T) {
	if got := (Runner{}).Name(); got != "runner" {
		t.Errorf("name %q", got)
	}
}
