//go:build lab

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	routev1 "github.com/openshift/api/route/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab/node"
	"github.com/meshproof/meshproof/framework/lab/router/accesslog"
	"github.com/meshproof/meshproof/internal/labtest"
)

// insideVariable is set in the copy of a test that runs in the lab's network.
const insideVariable = "MESHPROOF_TEST_INSIDE"

// inside makes a test run in the network of the lab, with its names: outside, it runs the same test there, and returns false.
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		return true
	}
	t.Setenv(insideVariable, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"lab", "exec"}
	if name := labtest.Options("").Name; name != "" {
		args = append(args, "--name", name)
	}
	result := labtest.Run(t, append(args, "--", program, "-test.v", "-test.run", "^"+t.Name()+"$")...)
	t.Logf("in the lab:\n%s%s", result.Stdout, result.Stderr)
	if result.Code != 0 {
		t.Errorf("in the lab: exit %d", result.Code)
	}
	return false
}

// fixture is a namespace of the lab with Services whose endpoints are servers of the test itself, on the node's address.
type fixture struct {
	config    *rest.Config
	client    *kube.Client
	routes    routeClient
	namespace string
	// plain and secure are what the Services "plain" and "secure" lead to.
	plain, secure *backendServer
	// authority signed secure's certificate, and certifies others.
	authority *testAuthority
	// trusted are the authorities that everybody may read.
	trusted *x509.CertPool
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := connect(client.Config)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{config: client.Config, client: client, namespace: "routes-" + strconv.FormatInt(time.Now().UnixNano()%1e9, 36), authority: newTestAuthority(t)}
	f.routes = cluster.routes(f.namespace)
	namespaces := client.Typed.CoreV1().Namespaces()
	if _, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.namespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := namespaces.Delete(context.Background(), f.namespace, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	f.plain = f.serve(t, "plain", nil)
	certificate, key := f.authority.certify(t, "backend.example.org")
	f.secure = f.serve(t, "secure", pairOf(t, certificate, key))
	f.trusted = f.readTrusted(t)
	return f
}

// readTrusted reads the authority of the router's certificate as anybody who is logged in.
func (f *fixture) readTrusted(t *testing.T) *x509.CertPool {
	t.Helper()
	config := rest.CopyConfig(f.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "somebody", Groups: []string{"system:authenticated"}}
	client, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := client.Typed.CoreV1().ConfigMaps("openshift-config-managed").Get(t.Context(), "default-ingress-cert", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM([]byte(bundle.Data["ca-bundle.crt"])) {
		t.Fatalf("no certificate in %v", bundle.Data)
	}
	return trusted
}

// backendServer is a server behind a Service. It keeps what it got, by User-Agent.
type backendServer struct {
	address string
	mu      sync.Mutex
	got     map[string][]*http.Request
}

// serve starts a server, with TLS if it has a certificate, and a Service of this name that leads to it.
func (f *fixture) serve(t *testing.T, name string, certificate *tls.Certificate) *backendServer {
	t.Helper()
	listener, err := net.Listen("tcp", node.NodeAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	if certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*certificate}})
	}
	b := &backendServer{address: listener.Addr().String(), got: map[string][]*http.Request{}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.got[r.UserAgent()] = append(b.got[r.UserAgent()], r)
		b.mu.Unlock()
		_, _ = io.WriteString(w, name)
	})}
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	f.publish(t, name, listener.Addr().(*net.TCPAddr).Port)
	return b
}

// publish makes a Service whose only endpoint is this port of the node.
func (f *fixture) publish(t *testing.T, name string, port int) {
	t.Helper()
	objects, err := kube.Decode(name, []byte(`apiVersion: v1
kind: Service
metadata: {name: `+name+`, namespace: `+f.namespace+`}
spec:
  ports: [{name: web, port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: `+name+`-test, namespace: `+f.namespace+`, labels: {kubernetes.io/service-name: `+name+`}}
addressType: IPv4
endpoints: [{addresses: [`+node.NodeAddress+`]}]
ports: [{name: web, port: `+strconv.Itoa(port)+`, protocol: TCP}]
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if _, err := f.client.Apply(t.Context(), object, true); err != nil {
			t.Fatal(err)
		}
	}
}

// only is the one request that a server got with this User-Agent.
func (b *backendServer) only(t *testing.T, agent string) *http.Request {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got[agent]) != 1 {
		t.Fatalf("the server got %d requests of %s, want 1", len(b.got[agent]), agent)
	}
	return b.got[agent][0]
}

// route is a Route to a Service.
func route(name, service string, tls *routev1.TLSConfig) *routev1.Route {
	return &routev1.Route{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: routev1.RouteSpec{To: routev1.RouteTargetReference{Kind: "Service", Name: service}, TLS: tls}}
}

func (f *fixture) create(t *testing.T, route *routev1.Route) *routev1.Route {
	t.Helper()
	created, err := f.routes.Create(t.Context(), route, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// admitted creates a Route and waits until it is admitted, which means that it is served.
func (f *fixture) admitted(t *testing.T, route *routev1.Route) *routev1.Route {
	t.Helper()
	created := f.create(t, route)
	f.await(t, created.Name, corev1.ConditionTrue)
	return created
}

// await waits for the verdict on a Route, and returns its status.
func (f *fixture) await(t *testing.T, name string, want corev1.ConditionStatus) routev1.RouteIngress {
	t.Helper()
	var last *routev1.Route
	eventually(t, func() bool {
		var err error
		last, err = f.routes.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ingress := last.Status.Ingress
		return len(ingress) == 1 && len(ingress[0].Conditions) == 1 && ingress[0].Conditions[0].Status == want
	}, func() any { return last.Status })
	return last.Status.Ingress[0]
}

func eventually(t *testing.T, done func() bool, last func() any) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(10 * time.Second); !done(); {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited 10 s; last seen: %+v", last())
		}
	}
}

// answer is what a request came to.
type answer struct {
	status      int
	body        string
	header      http.Header
	certificate *x509.Certificate // of the server, when there was TLS
	local       string            // the client's end of the connection
}

// get sends one request to the router, on a connection of its own. The User-Agent identifies it.
func (f *fixture) get(t *testing.T, url, agent string, trusted *x509.CertPool) (answer, error) {
	t.Helper()
	transport := toRouter(trusted)
	transport.DisableKeepAlives = true
	return send(t, transport, url, agent)
}

// toRouter is a transport that sends everything to the router.
func toRouter(trusted *x509.CertPool) *http.Transport {
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			// Names of the apps domain are the DNS's to resolve.
			if host, port, err := net.SplitHostPort(address); err == nil && !strings.HasSuffix(host, node.AppsDomain) {
				address = net.JoinHostPort(node.RouterAddress, port)
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
}

func send(t *testing.T, transport *http.Transport, url, agent string) (answer, error) {
	t.Helper()
	var a answer
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { a.local = info.Conn.LocalAddr().String() }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User-Agent", agent)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	a.status, a.body, a.header = response.StatusCode, string(body), response.Header
	if response.TLS != nil {
		a.certificate = response.TLS.PeerCertificates[0]
	}
	return a, err
}

// wantAnswer sends a request and compares its outcome: the body's beginning, or for a status without one, the Location.
func (f *fixture) wantAnswer(t *testing.T, url string, trusted *x509.CertPool, status int, content string) answer {
	t.Helper()
	a, err := f.get(t, url, t.Name(), trusted)
	if err != nil || a.status != status || !strings.Contains(a.body+a.header.Get("Location"), content) {
		t.Errorf("%s: status %d, %q, Location %q, error %v; want %d, %q", url, a.status, a.body, a.header.Get("Location"), err, status, content)
	}
	return a
}

// logged waits for the line of the router's access log that satisfies is.
func (f *fixture) logged(t *testing.T, is func(accesslog.Entry) bool) accesslog.Entry {
	t.Helper()
	var found accesslog.Entry
	var all []byte
	eventually(t, func() bool {
		pods, err := f.client.Typed.CoreV1().Pods("openshift-ingress").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) != 1 {
			t.Fatalf("%d pods of the router, error %v", len(pods.Items), err)
		}
		tail := int64(200)
		all, err = f.client.Typed.CoreV1().Pods("openshift-ingress").GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{TailLines: &tail}).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(all)) {
			if entry, err := accesslog.Parse(line); err == nil && is(entry) {
				found = entry
				return true
			}
		}
		return false
	}, func() any { return string(all) })
	return found
}
