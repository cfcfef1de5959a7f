package traffic

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// proxied counts what came to the proxy that the proxy variables of the whole test name. net/http reads them once in a
// process, so they are set before any test.
var proxied atomic.Int64

func TestMain(m *testing.M) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		proxied.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		if err := os.Setenv(name, proxy.URL); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	proxy.Close()
	os.Exit(code)
}

// unproxied is the server's address in a form for which net/http does not skip the proxy variables, as it does for
// loopback addresses.
func unproxied(server *httptest.Server) string {
	return strings.Replace(server.Listener.Addr().String(), "127.0.0.1", "0.0.0.0", 1)
}

// The other tests prove nothing about proxies unless this client uses one.
func TestProxyVariablesAreInForce(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	before := proxied.Load()
	response, err := http.Get("http://" + unproxied(server))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if proxied.Load() != before+1 {
		t.Error("a client that heeds the proxy variables did not ask the proxy")
	}
}
