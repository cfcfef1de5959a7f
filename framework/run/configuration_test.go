package run

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/internal/apitest"
)

// decode reads objects from YAML.
func decode(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := kube.Decode("objects of the test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// meshed is a pattern of one Deployment with a sidecar, and a Service of it that has no endpoint.
func meshed() pattern.Pattern {
	return example("shop", "SH", func(p *pattern.Pattern) {
		text := string(p.Manifests.(fstest.MapFS)["all.yaml"].Data)
		p.Manifests = fstest.MapFS{"all.yaml": {Data: []byte(text + `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: page, namespace: "${shop_namespace}"}
spec: {replicas: 1, selector: {matchLabels: {app: page}}, template: {metadata: {labels: {app: page}}}}
---
apiVersion: v1
kind: Service
metadata: {name: page, namespace: "${shop_namespace}"}
spec: {selector: {app: page}, ports: [{port: 80}]}
`)}}
		p.Hops = []pattern.Hop{{Name: "page", Kind: pattern.Sidecar, Namespace: "shop_namespace", Selector: "app=page"}, {Name: "server", Kind: pattern.Plain, Namespace: "shop_namespace", Selector: "app=server"}}
	})
}

// ready does what controllers do to a Deployment.
func ready(object *unstructured.Unstructured) {
	if object.GetKind() == "Deployment" {
		object.Object["status"] = map[string]any{"observedGeneration": object.GetGeneration(), "replicas": int64(1), "updatedReplicas": int64(1), "availableReplicas": int64(1)}
	}
}

// proxy is what a sidecar's administration says: an inbound listener that takes TLS only, or plain text too, and a route by
// whose name a test can tell two configurations apart.
type proxy struct {
	plain atomic.Bool
	route atomic.Pointer[string]
	asked atomic.Int64
	// restless is how often more its routes change by themselves, silent that it does not answer.
	restless atomic.Int64
	silent   atomic.Bool
	// endpoint is set when the page's cluster has a host.
	endpoint atomic.Bool
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked.Add(1)
	if p.silent.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	const types = "type.googleapis.com/envoy"
	chains := `{"filter_chain_match": {"transport_protocol": "tls"}, "transport_socket": {"name": "tls", "typed_config": {"@type": "` + types + `.extensions.transport_sockets.tls.v3.DownstreamTlsContext"}}}`
	if p.plain.Load() {
		chains += `, {"filter_chain_match": {"transport_protocol": "raw_buffer"}}`
	}
	name := "first"
	if route := p.route.Load(); route != nil {
		name = *route
	}
	if left := p.restless.Load(); left > 0 && r.URL.Query().Get("resource") == "dynamic_route_configs" {
		p.restless.Store(left - 1)
		name += fmt.Sprint(left)
	}
	clusters := `{"cluster_statuses": []}`
	if p.endpoint.Load() {
		clusters = `{"cluster_statuses": [{"name": "outbound|80||page.shop.svc.cluster.local", "host_statuses": [{}]}]}`
	}
	if r.URL.Path == "/server_info" {
		clusters = `{"version": "a/1.2.3/Clean/RELEASE/x", "command_line_options": {"file_flush_interval": "1s"}}`
	}
	answer := map[string]string{
		"dynamic_listeners":       `{"configs": [{"@type": "` + types + `.admin.v3.ListenersConfigDump.DynamicListener", "name": "virtualInbound", "active_state": {"listener": {"name": "virtualInbound", "filter_chains": [` + chains + `]}}}]}`,
		"dynamic_route_configs":   fmt.Sprintf(`{"configs": [{"@type": "%s.admin.v3.RoutesConfigDump.DynamicRouteConfig", "route_config": {"name": %q}}]}`, types, name),
		"dynamic_active_clusters": `{}`, "dynamic_active_secrets": `{}`, "": clusters,
	}[r.URL.Query().Get("resource")]
	_, _ = io.WriteString(w, answer)
}

// pod is a running one of the page.
func pod(name string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: shop, uid: uid-of-" + name + ", labels: {app: page}}\nstatus: {phase: Running}\n---\n"
}

// installed is a job's pattern on a cluster, with one pod that this proxy is beside.
func installed(t *testing.T, beside *proxy) (server *apitest.Server, job Job, objects []*unstructured.Unstructured) {
	t.Helper()
	server = apitest.New(t, "security.istio.io/v1 PeerAuthentication peerauthentications")
	server.Applied = ready
	server.Put(decode(t, pod("page-1"))...)
	server.Play(t, "shop", "page-1", beside)
	job = jobOf(t, meshed(), nil)
	job.Options.Timeouts = mesh.Timeouts{Ready: time.Minute, Settle: time.Minute, Gone: time.Minute}
	objects, err := Objects(meshed(), job)
	if err != nil {
		t.Fatal(err)
	}
	if err := mesh.Install(t.Context(), server.Client(t), objects); err != nil {
		t.Fatal(err)
	}
	server.Forget()
	return server, job, objects
}

// configured is what a check's own configuration is of.
func configured(t *testing.T, beside *proxy) (*configuration, *apitest.Server) {
	t.Helper()
	server, job, objects := installed(t, beside)
	i := &installation{child: &child{job: job, pattern: meshed(), env: &pattern.Env{}}, client: server.Client(t), life: t.Context(), objects: objects}
	observer, err := evidence.Observe(t.Context(), i.client, i.hops()[:1], time.Now())
	if err != nil {
		t.Fatal(err)
	}
	i.child.env.Observer = observer
	return &configuration{install: i, now: objects}, server
}

const permissive = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: page, namespace: \"${shop_namespace}\"}\nspec: {mtls: {mode: PERMISSIVE}}\n"

func TestConfigurationAppliesAndRestores(t *testing.T) {
	beside := &proxy{}
	beside.plain.Store(true)
	c, server := configured(t, beside)
	manifests := permissive + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: \"${shop_namespace}\"}\ndata: {host: changed.lab}\n"
	if err := c.Apply(t.Context(), manifests); err != nil {
		t.Fatal(err)
	}
	// Applied once more, with less, it is the installed objects that count, not what was applied before.
	if err := c.Apply(t.Context(), permissive); err != nil {
		t.Fatal(err)
	}
	if err := c.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := server.Changes()
	if len(got) > 1 && got[0] > got[1] {
		got[0], got[1] = got[1], got[0] // both are applied at once
	}
	want := []string{"apply ConfigMap shop/settings", "apply PeerAuthentication shop/page", "apply ConfigMap shop/settings", "delete PeerAuthentication shop/page"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestConfigurationPatchesAndRestores(t *testing.T) {
	c, server := configured(t, &proxy{})
	const patches = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: \"${shop_namespace}\"}\ndata: {host: changed.lab}\n---\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new, namespace: shop, annotations: {meshproof.dev/add: \"true\"}}\n"
	if err := c.Patch(t.Context(), patches); err != nil {
		t.Fatal(err)
	}
	for _, object := range c.now {
		if object.GetLabels()["meshproof.dev/run"] != "r1" {
			t.Errorf("%s has the labels %v", kube.Describe(object), object.GetLabels())
		}
	}
	if err := c.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := server.Changes()
	want := []string{"apply ConfigMap shop/new", "apply ConfigMap shop/settings", "apply ConfigMap shop/settings", "delete ConfigMap shop/new"}
	slices.Sort(got[:min(2, len(got))]) // both are applied at once
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestConfigurationRefusesAPatch(t *testing.T) {
	c, server := configured(t, &proxy{})
	for name, test := range map[string]struct{ patches, want string }{
		"of what is not installed": {permissive, "the check's own manifests changes PeerAuthentication shop/page, which the pattern does not have"},
		"in another namespace":     {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: bank, annotations: {meshproof.dev/add: \"true\"}}\n", "ConfigMap bank/a is outside the run's own namespaces (shop)"},
		"an unknown parameter":     {"a: ${bank_namespace}\n", "${bank_namespace} has no value"},
	} {
		if err := c.Patch(t.Context(), test.patches); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
	}
	if got := server.Changes(); len(got) > 0 {
		t.Errorf("changes %v", got)
	}
}

func TestConfigurationMarksItsObjectsAsTheRuns(t *testing.T) {
	beside := &proxy{}
	beside.plain.Store(true)
	c, _ := configured(t, beside)
	if err := c.Apply(t.Context(), permissive); err != nil {
		t.Fatal(err)
	}
	if labels := c.now[len(c.now)-1].GetLabels(); labels["meshproof.dev/run"] != "r1" || labels["meshproof.dev/pattern"] != "shop" {
		t.Errorf("labels %v", labels)
	}
}

// The Service has no endpoint, which no change of the configuration is to wait for.
func TestConfigurationWaitsForWhatTheProxiesMustComeToHold(t *testing.T) {
	beside := &proxy{}
	c, _ := configured(t, beside)
	done := make(chan error)
	go func() { done <- c.Apply(t.Context(), permissive) }()
	for looks := beside.asked.Load() + 8; beside.asked.Load() < looks; {
		select {
		case err := <-done:
			t.Fatalf("it did not wait; error %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	beside.plain.Store(true)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConfigurationRefusesWhatIsNotTheRuns(t *testing.T) {
	c, server := configured(t, &proxy{})
	for name, test := range map[string]struct{ manifests, want string }{
		"another namespace":    {strings.Replace(permissive, "${shop_namespace}", "istio-system", 1), "PeerAuthentication istio-system/page is outside the run's own namespaces (shop)"},
		"an unknown parameter": {strings.Replace(permissive, "shop_", "bank_", 1), "the check's own manifests: ${bank_namespace} has no value"},
	} {
		if err := c.Apply(t.Context(), test.manifests); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
	}
	if got := server.Changes(); len(got) > 0 {
		t.Errorf("changes %v", got)
	}
}

// What was applied in part has to be taken back, too.
func TestConfigurationRestoresAfterAChangeThatFailed(t *testing.T) {
	c, server := configured(t, &proxy{})
	server.Applied = nil // so that the Deployment is never rolled out
	c.install.child.job.Options.Timeouts.Ready = 50 * time.Millisecond
	manifests := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\ndata: {host: changed.lab}\n---\n" +
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: page, namespace: shop}\nspec: {replicas: 1, selector: {matchLabels: {app: page}}, template: {metadata: {labels: {app: page, version: v2}}}}\n"
	if err := c.Apply(t.Context(), manifests); err == nil || !strings.Contains(err.Error(), "change what is installed: ") {
		t.Fatalf("error %v", err)
	}
	server.Forget()
	server.Applied = ready
	c.install.child.job.Options.Timeouts.Ready = time.Minute
	if err := c.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"apply ConfigMap shop/settings", "apply Deployment shop/page"}, server.Changes()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestObserve(t *testing.T) {
	server := apitest.New(t)
	service := func(status string) *unstructured.Unstructured {
		return decode(t, "apiVersion: v1\nkind: Service\nmetadata: {name: gateway, namespace: shop}\nstatus: {loadBalancer: {"+status+"}}\n")[0]
	}
	path := []string{"status", "loadBalancer", "ingress", "0", "ip"}
	server.Put(service(""))
	client := server.Client(t)
	whatever := func(string) bool { return true }
	if value, err := observe(t.Context(), client, service(""), [][]string{path}, "a value", 300*time.Millisecond, whatever); err == nil || value != "" || !strings.Contains(err.Error(), "services/gateway in shop to have a value as status.loadBalancer.ingress.0.ip") {
		t.Errorf("value %q, error %v", value, err)
	}
	go server.Put(service("ingress: [{ip: 10.0.0.7}]"))
	if value, err := observe(t.Context(), client, service(""), [][]string{path}, "a value", time.Minute, whatever); err != nil || value != "10.0.0.7" {
		t.Errorf("value %q, error %v", value, err)
	}
	another := func(seen string) bool { return seen == "10.0.0.8" }
	if value, err := observe(t.Context(), client, service(""), [][]string{path}, "10.0.0.8", 300*time.Millisecond, another); err == nil || value != "" || !strings.Contains(err.Error(), "it has 10.0.0.7") {
		t.Errorf("value %q, error %v", value, err)
	}
	go server.Put(service("ingress: [{ip: 10.0.0.8}]"))
	if value, err := observe(t.Context(), client, service(""), [][]string{path}, "10.0.0.8", time.Minute, another); err != nil || value != "10.0.0.8" {
		t.Errorf("value %q, error %v", value, err)
	}
	unknown := decode(t, "apiVersion: a.example/v1\nkind: Thing\nmetadata: {name: a}\n")[0]
	if _, err := observe(t.Context(), client, unknown, [][]string{path}, "a value", time.Minute, whatever); err == nil || !strings.Contains(err.Error(), "find kind a.example/v1, Kind=Thing") {
		t.Errorf("error %v", err)
	}
}
