package run

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/internal/apitest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// opened is a session whose pattern is installed, and whose proxy shows the host of ConfigMap settings in its routes.
func opened(t *testing.T) (*Session, *apitest.Server, *proxy) {
	t.Helper()
	beside := &proxy{}
	server, job, objects := installed(t, beside)
	server.Applied = func(object *unstructured.Unstructured) {
		ready(object)
		if host, found, _ := unstructured.NestedString(object.Object, "data", "host"); found && object.GetName() == "settings" {
			beside.route.Store(&host)
		}
	}
	host := "shop.lab"
	beside.route.Store(&host)
	return &Session{
		plan: &Plan{Options: job.Options, Jobs: []Job{job}}, pattern: meshed(), client: server.Client(t), proxies: map[string]*mesh.Proxy{},
		life: t.Context(), end: func() {}, release: func() {}, base: objects, now: objects,
	}, server, beside
}

const (
	otherHost  = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\ndata: {host: mutant.lab}\n"
	another    = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: another, namespace: shop, annotations: {meshproof.dev/add: 'true'}}\n"
	newVersion = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: page, namespace: shop}\nspec: {template: {metadata: {labels: {version: v2}}}}\n"
	notThere   = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nowhere, namespace: shop}\n"
	effect     = "shop/page-1: routes"
)

// briefly is a context in which what has no effect does not take its full time.
func briefly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func wantChanges(t *testing.T, server *apitest.Server, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, server.Changes()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	server.Forget()
}

func TestSessionMutatesAndRestores(t *testing.T) {
	s, server, _ := opened(t)
	if got, err := s.Mutate(t.Context(), write(t, otherHost), ""); err != nil || got != effect {
		t.Fatalf("effect %q, error %v", got, err)
	}
	wantChanges(t, server, "apply ConfigMap shop/settings")
	if err := s.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, server, "apply ConfigMap shop/settings")
	if err := s.Restore(t.Context()); err != nil || len(server.Changes()) > 0 {
		t.Errorf("what is restored already: error %v, changes %v", err, server.Changes())
	}
}

func TestSessionWaitsUntilTheProxiesHaveComeToRest(t *testing.T) {
	s, _, beside := opened(t)
	beside.restless.Store(3)
	if got, err := s.Mutate(t.Context(), write(t, otherHost), ""); err != nil || got != effect || beside.restless.Load() > 0 {
		t.Errorf("effect %q, error %v, %d more changes to come", got, err, beside.restless.Load())
	}
}

func TestSessionTellsNoEffectAndTakesTheChangeBackAllTheSame(t *testing.T) {
	t.Parallel() // it waits
	s, server, _ := opened(t)
	if got, err := s.Mutate(briefly(t), write(t, another), ""); err != nil || got != "" {
		t.Fatalf("effect %q, error %v", got, err)
	}
	wantChanges(t, server, "apply ConfigMap shop/another")
	if err := s.Restore(briefly(t)); err != nil {
		t.Error(err)
	}
	wantChanges(t, server, "delete ConfigMap shop/another")
}

func TestSessionTellsThatAnEffectStays(t *testing.T) {
	t.Parallel() // it waits
	s, server, _ := opened(t)
	if _, err := s.Mutate(t.Context(), write(t, otherHost), ""); err != nil {
		t.Fatal(err)
	}
	server.Applied = ready // so that the proxy sees nothing more
	if err := s.Restore(briefly(t)); err == nil || !strings.Contains(err.Error(), "no proxy shows within 20s that the change was taken back") {
		t.Errorf("error %v", err)
	}
}

// Of a change that was broken off nobody knows what was done, so all of it is taken back.
func TestSessionRestoresAfterAChangeThatFailed(t *testing.T) {
	s, server, _ := opened(t)
	controllers := server.Applied
	server.Applied = func(object *unstructured.Unstructured) {
		if object.GetKind() != "Deployment" { // which is never rolled out
			controllers(object)
		}
	}
	s.plan.Jobs[0].Options.Timeouts.Ready = 50 * time.Millisecond
	if _, err := s.Mutate(t.Context(), write(t, otherHost+"---\n"+another+"---\n"+newVersion), ""); err == nil || !strings.Contains(err.Error(), "change what is installed: ") {
		t.Fatalf("error %v", err)
	}
	server.Forget()
	server.Applied = controllers
	s.plan.Jobs[0].Options.Timeouts.Ready = time.Minute
	if err := s.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, server, "apply ConfigMap shop/settings", "apply Deployment shop/page", "delete ConfigMap shop/another")
}

func TestSessionRefusesAMutantThatCannotBe(t *testing.T) {
	s, server, _ := opened(t)
	for name, test := range map[string]struct{ patches, shows, want string }{
		"a patch of nothing":   {notThere, "", "changes ConfigMap shop/nowhere, which the pattern does not have"},
		"an unknown parameter": {otherHost, "http://${nowhere}/", "the URL that shows the effect: ${nowhere} has no value"},
	} {
		if _, err := s.Mutate(t.Context(), write(t, test.patches), test.shows); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
		if err := s.Restore(t.Context()); err != nil || len(server.Changes()) > 0 {
			t.Errorf("%s: restored with error %v, changes %v", name, err, server.Changes())
		}
	}
}

func TestSessionTellsThatTheProxiesCannotBeAsked(t *testing.T) {
	t.Parallel() // it waits
	s, server, beside := opened(t)
	applied := server.Applied
	server.Applied = func(object *unstructured.Unstructured) {
		applied(object)
		beside.silent.Store(true)
	}
	if got, err := s.Mutate(briefly(t), write(t, otherHost), ""); err == nil || !strings.Contains(err.Error(), "could not be asked") || !strings.Contains(err.Error(), "shop/page-1") {
		t.Errorf("effect %q, error %v", got, err)
	}
	if _, err := s.Mutate(t.Context(), write(t, otherHost), ""); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("error %v, of proxies that cannot be asked beforehand", err)
	}
}

func TestSessionEndsWithItsContext(t *testing.T) {
	s, _, _ := opened(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	time.AfterFunc(200*time.Millisecond, func() { cancel(interrupted) })
	if _, err := s.Mutate(ctx, write(t, another), ""); !errors.Is(err, interrupted) {
		t.Errorf("error %v", err)
	}
}

// A pod that leaves is no longer a proxy's, and a new one's is an effect.
func TestSessionLooksAtTheProxiesThatAreThere(t *testing.T) {
	s, server, beside := opened(t)
	leaving := decode(t, strings.Replace(pod("page-0"), "uid:", "deletionTimestamp: '2026-11-22T16:04:05Z', uid:", 1))[0]
	server.Put(leaving)
	server.Play(t, "shop", "page-2", beside)
	server.Applied = func(*unstructured.Unstructured) { go server.Put(decode(t, pod("page-2"))...) }
	if got, err := s.Mutate(t.Context(), write(t, another), ""); err != nil || got != "shop/page-2 is new" {
		t.Errorf("effect %q, error %v", got, err)
	}
}

// redirecting is a vantage point for which a URL is redirected as soon as it is told to.
type redirecting struct{ to *proxy }

func (redirecting) Name() string { return "redirecting" }

func (r redirecting) Do(_ context.Context, probe traffic.Probe) (traffic.Result, error) {
	if probe.Request.URL != "http://shop.lab/page" {
		return traffic.Result{}, fmt.Errorf("it was asked for %s", probe.Request.URL)
	}
	if *r.to.route.Load() == "shop.lab" {
		return traffic.Result{Status: 200}, nil
	}
	return traffic.Result{Status: 302, Header: http.Header{"Location": {"https://shop.lab/page"}}}, nil
}

func TestSessionLooksAtTheAnswerThatShowsTheEffect(t *testing.T) {
	s, _, beside := opened(t)
	s.pattern.Hops, s.agent = nil, redirecting{beside}
	if got, err := s.Mutate(t.Context(), write(t, otherHost), "http://${hostname}/page"); err != nil || got != "the answer to http://shop.lab/page: status" {
		t.Errorf("effect %q, error %v", got, err)
	}
	if err := s.Restore(t.Context()); err != nil {
		t.Error(err)
	}
	s.agent = nil
	if _, err := s.Mutate(t.Context(), write(t, otherHost), "http://shop.lab"); err == nil || !strings.Contains(err.Error(), "pattern shop has no agent that could ask for http://shop.lab") {
		t.Errorf("error %v", err)
	}
}

func TestSessionHoldsItsNamesUntilItIsClosed(t *testing.T) {
	client, typed := clusterOf(t)
	results := t.TempDir()
	plan := func() *Plan {
		plan, err := NewPlan([]pattern.Pattern{example("shop", "SH")}, someCluster(), Options{ResultsDir: results})
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	s, err := OpenSession(t.Context(), plan(), client, v1.Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	if latest, err := os.Readlink(filepath.Join(results, "latest")); err != nil || latest != filepath.Base(s.Folder) {
		t.Errorf("latest leads to %q, error %v, and the results are in %s", latest, err, s.Folder)
	}
	var conflict *ConflictError
	if _, err := OpenSession(t.Context(), plan(), client, v1.Cluster{}); !errors.As(err, &conflict) {
		t.Errorf("a second session: error %v, want a conflict", err)
	}
	if err := s.Close(t.Context()); err != nil || len(names(t, typed)) > 0 {
		t.Errorf("closed with error %v, namespaces %v", err, names(t, typed))
	}
}

func TestSessionTellsWhatItLeavesBehind(t *testing.T) {
	client, typed := clusterOf(t)
	plan, err := NewPlan([]pattern.Pattern{example("shop", "SH")}, someCluster(), Options{ResultsDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	refuse(typed, "delete", "namespaces", "shop")
	s, err := OpenSession(t.Context(), plan, client, v1.Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "left behind: Namespace shop") {
		t.Errorf("error %v", err)
	}
}

func TestASessionIsOfOnePattern(t *testing.T) {
	_, err := OpenSession(t.Context(), &Plan{Jobs: make([]Job, 2)}, nil, v1.Cluster{})
	if errorText(err) != "a session is of one pattern, not of 2" {
		t.Errorf("error %v", err)
	}
}

// deaf is told of everything, and keeps nothing.
type deaf struct{}

func (deaf) Event(v1.Event) {}

func TestSessionJudgesWhatIsInstalled(t *testing.T) {
	client, _ := clusterOf(t)
	cluster := someCluster()
	cluster.Command = func(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, program, args...), nil
	}
	p := example("shop", "SH")
	p.Parameters[1].Observed = &pattern.Observed{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop_namespace", Name: "settings", Paths: [][]string{{"data", "host"}}}
	plan, err := NewPlan([]pattern.Pattern{p}, cluster, Options{ResultsDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenSession(t.Context(), plan, client, v1.Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for _, judging := range []struct{ name, mutation, want string }{
		{"baseline", "", "attached false, host shop.lab, mutation ."},
		{"mutants/one", "one.yaml", "attached true, host told.lab, mutation one.yaml"},
		{"mutants/two", "", "attached true, host told.lab, mutation ."},
	} {
		judged, err := s.Judge(t.Context(), Judging{Name: judging.name, Mutation: judging.mutation}, deaf{})
		if err != nil {
			t.Fatal(err)
		}
		for _, claim := range judged.Claims {
			if claim.Verdict != v1.Passed || claim.Summary != judging.want {
				t.Errorf("%s: %s is %s: %s\nwant %s", judging.name, claim.Alias, claim.Verdict, claim.Summary, judging.want)
			}
		}
		report, err := v1.Load(filepath.Join(s.Folder, judging.name))
		if err != nil || len(report.Patterns) != 1 || len(report.Patterns[0].Claims) != 2 {
			t.Errorf("%s: report %+v, error %v", judging.name, report.Patterns, err)
		}
	}
	// What is to be restored is what the cluster has told, not what was planned.
	if host, _, _ := unstructured.NestedString(find(t, s.base, "ConfigMap shop/settings"), "data", "host"); host != "told.lab" {
		t.Errorf("the installed host is %q", host)
	}
	for _, object := range s.base {
		if object.GetLabels()[mesh.RunLabel] != s.runID {
			t.Errorf("%s is of run %s", kube.Describe(object), object.GetLabels()[mesh.RunLabel])
		}
	}
}
