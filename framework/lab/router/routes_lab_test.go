//go:build lab

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	routev1 "github.com/openshift/api/route/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/lab/node"
	"github.com/meshproof/meshproof/framework/lab/router/accesslog"
)

const notAvailable = "Application is not available"

func edge(policy routev1.InsecureEdgeTerminationPolicyType) *routev1.TLSConfig {
	return &routev1.TLSConfig{Termination: routev1.TLSTerminationEdge, InsecureEdgeTerminationPolicy: policy}
}

func passthrough(policy routev1.InsecureEdgeTerminationPolicyType) *routev1.TLSConfig {
	return &routev1.TLSConfig{Termination: routev1.TLSTerminationPassthrough, InsecureEdgeTerminationPolicy: policy}
}

func reencryptTo(authority *testAuthority, policy routev1.InsecureEdgeTerminationPolicyType) *routev1.TLSConfig {
	return &routev1.TLSConfig{Termination: routev1.TLSTerminationReencrypt, DestinationCACertificate: authority.pem(), InsecureEdgeTerminationPolicy: policy}
}

// TestRoutes is what Routes promise, seen from the client, the server behind, the access log and the status.
func TestRoutes(t *testing.T) {
	if !inside(t) {
		return
	}
	f := newFixture(t)
	t.Run("edge", f.testEdge)
	t.Run("apps domain", f.testAppsDomain)
	t.Run("host is kept", f.testHostIsKept)
	t.Run("own certificate", f.testOwnCertificate)
	t.Run("passthrough", f.testPassthrough)
	t.Run("reencrypt", f.testReencrypt)
	t.Run("insecure policies", f.testInsecurePolicies)
	t.Run("from a pod", f.testFromPod)
	t.Run("paths", f.testPaths)
	t.Run("endpoints", f.testEndpoints)
	t.Run("succession", f.testSuccession)
	t.Run("broken TLS", f.testBrokenTLS)
	t.Run("change under load", f.testChangeUnderLoad)
}

func (f *fixture) testEdge(t *testing.T) {
	started := time.Now()
	created := f.create(t, route("edge", "plain", edge("")))
	host := "edge-" + f.namespace + "." + node.AppsDomain
	if created.Spec.Host != host || created.Annotations["openshift.io/host.generated"] != "true" {
		t.Fatalf("created with host %q, annotations %v", created.Spec.Host, created.Annotations)
	}
	status := f.await(t, "edge", corev1.ConditionTrue)
	t.Logf("admitted %s after its creation was asked for", time.Since(started).Round(time.Millisecond))
	if status.Host != host || status.RouterName != "default" || status.RouterCanonicalHostname != "router-default."+node.AppsDomain || status.WildcardPolicy != routev1.WildcardPolicyNone || status.Conditions[0].Type != routev1.RouteAdmitted {
		t.Errorf("status %+v", status)
	}
	// The very first request is served: what is admitted is served.
	agent := `edge "probe"\1`
	a, err := f.get(t, "https://"+host+"/a/path?q=1", agent, f.trusted)
	if err != nil || a.status != http.StatusOK || a.body != "plain" {
		t.Fatalf("%+v, error %v", a, err)
	}
	got := f.plain.only(t, agent)
	client, _, _ := strings.Cut(a.local, ":")
	for name, want := range map[string]string{
		"X-Forwarded-For": client, "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", "X-Forwarded-Host": host,
		"Forwarded": "for=" + client + ";host=" + host + ";proto=https",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
	// Client, log and server speak of the same connections.
	entry := f.logged(t, func(e accesslog.Entry) bool { return e.UserAgent == agent })
	entry.Time, entry.Milliseconds, entry.ConnectMilliseconds, entry.ResponseMilliseconds, entry.BytesSent, entry.BytesReceived = time.Time{}, 0, 0, 0, 0, 0
	if want := (accesslog.Entry{
		Client: a.local, Frontend: "fe_sni", Backend: "be_edge_http:" + f.namespace + ":edge", Server: "ept:plain:web:" + f.plain.address, ServerAddress: f.plain.address, Source: got.RemoteAddr,
		ServerName: host, Method: "GET", Host: host, URL: "/a/path?q=1", UserAgent: agent, Status: 200, Retries: "0",
	}); entry != want {
		t.Errorf("access log:\n%+v, want\n%+v", entry, want)
	}
	f.wantAnswer(t, "http://"+host+"/", nil, http.StatusServiceUnavailable, notAvailable)
	if _, err := f.get(t, "https://"+host+"/", agent, f.authority.pool()); err == nil {
		t.Error("who trusts another authority was served")
	}
	f.logged(t, func(e accesslog.Entry) bool { return e.ServerName == host && e.Error != "" && e.TLSError != "" })
}

func (f *fixture) testAppsDomain(t *testing.T) {
	cluster, err := f.client.Dynamic.Resource(schema.GroupVersionResource{Group: "config.openshift.io", Version: "v1", Resource: "ingresses"}).Get(t.Context(), "cluster", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if spec := cluster.Object["spec"].(map[string]any); spec["domain"] != node.AppsDomain {
		t.Errorf("%v", spec)
	}
}

// testHostIsKept: a manifest without a host can be applied again.
func (f *fixture) testHostIsKept(t *testing.T) {
	manifest := "apiVersion: route.openshift.io/v1\nkind: Route\nmetadata: {name: applied, namespace: %s, labels: {time: %q}}\nspec: {to: {kind: Service, name: plain}}\n"
	for _, time := range []string{"first", "second"} {
		objects, err := kube.Decode("a Route", fmt.Appendf(nil, manifest, f.namespace, time))
		if err != nil {
			t.Fatal(err)
		}
		applied, err := f.client.Apply(t.Context(), objects[0], false)
		if err != nil {
			t.Fatal(err)
		}
		if host := applied.Object["spec"].(map[string]any)["host"]; host != "applied-"+f.namespace+"."+node.AppsDomain {
			t.Errorf("the %s time: host %v", time, host)
		}
	}
	chosen := route("chosen", "plain", nil)
	chosen.Spec.Host = "chosen.example.org"
	if created := f.create(t, chosen); created.Spec.Host != "chosen.example.org" || created.Annotations != nil {
		t.Errorf("a chosen host became %q, annotations %v", created.Spec.Host, created.Annotations)
	}
}

func (f *fixture) testOwnCertificate(t *testing.T) {
	own := route("own", "plain", edge(""))
	own.Spec.Host = "own.example.org"
	own.Spec.TLS.Certificate, own.Spec.TLS.Key = f.authority.certify(t, own.Spec.Host)
	own.Spec.TLS.CACertificate = f.authority.pem()
	f.admitted(t, own)
	if a := f.wantAnswer(t, "https://own.example.org/", f.authority.pool(), http.StatusOK, "plain"); a.certificate.Subject.CommonName != "own.example.org" {
		t.Errorf("certificate of %s", a.certificate.Subject)
	}
}

func (f *fixture) testPassthrough(t *testing.T) {
	certificate, key := f.authority.certify(t, "*.example.org")
	server := f.serve(t, "names-itself", pairOf(t, certificate, key))
	for name, policy := range map[string]routev1.InsecureEdgeTerminationPolicyType{"pass": "", "pass-redirect": "Redirect"} {
		pass := route(name, "names-itself", passthrough(policy))
		pass.Spec.Host = name + ".example.org"
		f.admitted(t, pass)
	}
	a := f.wantAnswer(t, "https://pass.example.org/", f.authority.pool(), http.StatusOK, "names-itself")
	if a.certificate.Subject.CommonName != "*.example.org" {
		t.Errorf("certificate of %s, want the server's own", a.certificate.Subject)
	}
	got := server.only(t, t.Name())
	if got.Header.Get("X-Forwarded-For") != "" {
		t.Error("the router looked into what it passed through")
	}
	entry := f.logged(t, func(e accesslog.Entry) bool { return e.Client == a.local })
	if entry.Frontend != "public_ssl" || entry.Backend != "be_tcp:"+f.namespace+":pass" || entry.Source != got.RemoteAddr || entry.ServerName != "pass.example.org" || entry.BytesSent == 0 || entry.BytesReceived == 0 {
		t.Errorf("access log: %+v", entry)
	}
	f.wantAnswer(t, "http://pass.example.org/", nil, http.StatusServiceUnavailable, notAvailable)
	f.wantAnswer(t, "http://pass-redirect.example.org/x?y=z", nil, http.StatusFound, "https://pass-redirect.example.org/x?y=z")
}

func (f *fixture) testReencrypt(t *testing.T) {
	right := f.admitted(t, route("right", "secure", reencryptTo(f.authority, "Allow"))).Spec.Host
	wrong := f.admitted(t, route("wrong", "secure", reencryptTo(newTestAuthority(t), ""))).Spec.Host
	f.wantAnswer(t, "https://"+right+"/", f.trusted, http.StatusOK, "secure")
	if got := f.secure.only(t, t.Name()); got.TLS == nil || got.TLS.ServerName != "" || got.Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("the server got TLS %+v, headers %v", got.TLS, got.Header)
	}
	f.wantAnswer(t, "http://"+right+"/", nil, http.StatusOK, "secure")
	f.wantAnswer(t, "https://"+wrong+"/", f.trusted, http.StatusServiceUnavailable, "")
	entry := f.logged(t, func(e accesslog.Entry) bool { return e.Host == wrong })
	if entry.Status != http.StatusServiceUnavailable || entry.Termination != "SC" {
		t.Errorf("access log: %+v", entry)
	}
	refused := f.create(t, route("without", "secure", &routev1.TLSConfig{Termination: routev1.TLSTerminationReencrypt}))
	if condition := f.await(t, refused.Name, corev1.ConditionFalse).Conditions[0]; condition.Reason != "ExtendedValidationFailed" || !strings.Contains(condition.Message, "no service CA") {
		t.Errorf("%+v", condition)
	}
}

func (f *fixture) testInsecurePolicies(t *testing.T) {
	for name, row := range map[string]struct {
		tls     *routev1.TLSConfig
		status  int
		content string
	}{
		"none":     {edge("None"), http.StatusServiceUnavailable, notAvailable},
		"allow":    {edge("Allow"), http.StatusOK, "plain"},
		"redirect": {edge("Redirect"), http.StatusFound, "https://redirect-" + f.namespace + "." + node.AppsDomain + "/x?y=z"},
		"http":     {nil, http.StatusOK, "plain"},
	} {
		host := f.admitted(t, route(name, "plain", row.tls)).Spec.Host
		f.wantAnswer(t, "http://"+host+"/x?y=z", nil, row.status, row.content)
		if row.tls == nil {
			f.wantAnswer(t, "https://"+host+"/", f.trusted, http.StatusServiceUnavailable, notAvailable)
		} else {
			f.wantAnswer(t, "https://"+host+"/", f.trusted, http.StatusOK, "plain")
		}
	}
}

// testFromPod: pods resolve the apps domain too, and the server learns their address.
func (f *fixture) testFromPod(t *testing.T) {
	host := f.admitted(t, route("for-pods", "plain", edge("Allow"))).Spec.Host
	pods := f.client.Typed.CoreV1().Pods(f.namespace)
	agent := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "agent"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "agent", Image: build.FixtureImages()["agent"], ImagePullPolicy: corev1.PullIfNotPresent}}},
	}
	if _, err := pods.Create(t.Context(), agent, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		var err error
		if agent, err = pods.Get(t.Context(), "agent", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		return agent.Status.PodIP != "" && agent.Status.ContainerStatuses[0].Ready
	}, func() any { return agent.Status })
	probe, err := json.Marshal(wire.ProbeRequest{URL: "http://" + host + "/", Headers: map[string]string{"User-Agent": t.Name()}})
	if err != nil {
		t.Fatal(err)
	}
	var result wire.ProbeResponse
	eventually(t, func() bool { // the pod has no readiness probe
		response, err := http.Post("http://"+agent.Status.PodIP+":8700/probe", "application/json", bytes.NewReader(probe))
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return json.NewDecoder(response.Body).Decode(&result) == nil
	}, func() any { return result })
	if result.Status != http.StatusOK || result.RemoteAddress != node.RouterAddress+":80" {
		t.Fatalf("%+v", result)
	}
	if got := f.plain.only(t, t.Name()).Header.Get("X-Forwarded-For"); got != agent.Status.PodIP {
		t.Errorf("the server was told of %s, not of the pod's address %s", got, agent.Status.PodIP)
	}
}

func (f *fixture) testPaths(t *testing.T) {
	f.serve(t, "deeper", nil)
	for path, service := range map[string]string{"/a": "plain", "/a/b": "deeper"} {
		one := route("path"+strings.ReplaceAll(path, "/", "-"), service, nil)
		one.Spec.Host, one.Spec.Path = "paths.example.org", path
		f.admitted(t, one)
	}
	for path, want := range map[string]string{"/a": "plain", "/a/x": "plain", "/a?b": "plain", "/a/b": "deeper", "/a/b/c": "deeper", "/a/bc": "plain"} {
		f.wantAnswer(t, "http://paths.example.org"+path, nil, http.StatusOK, want)
	}
	for _, path := range []string{"/", "/ab", "/A"} {
		f.wantAnswer(t, "http://paths.example.org"+path, nil, http.StatusServiceUnavailable, notAvailable)
	}
}

func (f *fixture) testEndpoints(t *testing.T) {
	host := f.admitted(t, route("later", "later", nil)).Spec.Host
	f.wantAnswer(t, "http://"+host+"/", nil, http.StatusServiceUnavailable, notAvailable)
	f.serve(t, "later", nil)
	var a answer
	eventually(t, func() bool {
		a, _ = f.get(t, "http://"+host+"/", t.Name(), nil)
		return a.status == http.StatusOK && a.body == "later"
	}, func() any { return a })
}

// testSuccession: the older Route has the host, and the younger one gets it when the older one has gone.
func (f *fixture) testSuccession(t *testing.T) {
	// Both are of the same second, perhaps: their names then agree with their age.
	older, younger := route("host-1", "plain", nil), route("host-2", "names-itself", edge("Allow"))
	older.Spec.Host, younger.Spec.Host = "claimed.example.org", "claimed.example.org"
	f.admitted(t, older)
	f.create(t, younger)
	condition := f.await(t, "host-2", corev1.ConditionFalse).Conditions[0]
	if condition.Reason != "HostAlreadyClaimed" || condition.Message != "route host-1 already exposes claimed.example.org and is older" {
		t.Errorf("%+v", condition)
	}
	f.wantAnswer(t, "http://claimed.example.org/", nil, http.StatusOK, "plain")
	f.serve(t, "successor", nil)
	if _, err := f.routes.Patch(t.Context(), "host-2", "application/merge-patch+json", []byte(`{"spec":{"to":{"name":"successor"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := f.routes.Delete(t.Context(), "host-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await(t, "host-2", corev1.ConditionTrue)
	f.wantAnswer(t, "http://claimed.example.org/", nil, http.StatusOK, "successor")
}

// testBrokenTLS: a Route that cannot be served is refused, and disturbs no other.
func (f *fixture) testBrokenTLS(t *testing.T) {
	certificate, _ := f.authority.certify(t, "broken.example.org")
	_, otherKey := f.authority.certify(t, "broken.example.org")
	for want, broken := range map[string]*routev1.Route{
		"spec.tls.certificate": route("broken-certificate", "plain", &routev1.TLSConfig{Termination: "edge", Certificate: "nonsense", Key: "nonsense"}),
		"spec.tls.key":         route("broken-key", "plain", &routev1.TLSConfig{Termination: "edge", Certificate: certificate, Key: otherKey}),
	} {
		host := f.create(t, broken).Spec.Host
		condition := f.await(t, broken.Name, corev1.ConditionFalse).Conditions[0]
		if condition.Reason != "ExtendedValidationFailed" || !strings.HasPrefix(condition.Message, want+": ") || strings.Contains(condition.Message, "nonsense") {
			t.Errorf("%+v", condition)
		}
		f.wantAnswer(t, "https://"+host+"/x", f.trusted, http.StatusServiceUnavailable, notAvailable)
	}
	// Here the definition of the kind is enough.
	withPath := route("broken-path", "secure", passthrough(""))
	withPath.Spec.Path = "/x"
	if _, err := f.routes.Create(t.Context(), withPath, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("the API server takes a path of what is passed through: %v", err)
	}
	host := f.admitted(t, route("not-broken", "plain", edge(""))).Spec.Host
	f.wantAnswer(t, "https://"+host+"/", f.trusted, http.StatusOK, "plain")
}

// testChangeUnderLoad: while other Routes come and go, each with a new HAProxy, no request of this one fails, and none is
// sent to the server twice.
func (f *fixture) testChangeUnderLoad(t *testing.T) {
	host := f.admitted(t, route("load", "plain", edge("Allow"))).Spec.Host
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var mu sync.Mutex
	sent := 0
	for _, client := range []struct {
		scheme    string
		keepAlive bool
	}{{"http", false}, {"https", false}, {"http", true}, {"https", true}} {
		load.Go(func() {
			transport := toRouter(f.trusted)
			transport.DisableKeepAlives = !client.keepAlive
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				mu.Lock()
				sent++
				agent := fmt.Sprintf("load-%d", sent)
				mu.Unlock()
				a, err := send(t, transport, client.scheme+"://"+host+"/", agent)
				if err != nil || a.status != http.StatusOK {
					t.Errorf("request %s: %+v, error %v", agent, a, err)
				}
			}
		})
	}
	changes := 0
	for started := time.Now(); time.Since(started) < 3*time.Second; changes++ {
		name := fmt.Sprintf("change-%d", changes)
		f.admitted(t, route(name, "plain", edge("")))
		if changes%2 == 1 {
			if err := f.routes.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
	}
	stop()
	load.Wait()
	for i := 1; i <= sent; i++ {
		f.plain.only(t, fmt.Sprintf("load-%d", i))
	}
	t.Logf("%d requests, %d routes added", sent, changes)
	if sent < 50 || changes < 3 {
		t.Error("too few to show anything")
	}
}
