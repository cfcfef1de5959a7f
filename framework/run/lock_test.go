package run

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
)

// clusterOf is a cluster in memory with these objects. Its namespaces go at once when they are deleted: the dynamic client,
// by which that is waited for, never sees any.
func clusterOf(t *testing.T, objects ...runtime.Object) (*kube.Client, *fake.Clientset) {
	t.Helper()
	typed := fake.NewClientset(objects...)
	dynamic := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{kube.Namespaces: "NamespaceList"})
	// Like an older API server it refuses a watch that is to begin with what is there, so that clients list first.
	dynamic.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		if action.(clienttesting.WatchActionImpl).ListOptions.SendInitialEvents != nil {
			return true, nil, apierrors.NewInvalid(schema.GroupKind{}, "sendInitialEvents", nil)
		}
		return false, nil, nil
	})
	return &kube.Client{Typed: typed, Dynamic: dynamic}, typed
}

// runNamespace is a namespace that a run has made.
func runNamespace(name, runID string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{mesh.ManagedByLabel: kube.FieldManager, mesh.RunLabel: runID}}}
}

// lease is a run's Lease in a namespace, renewed that long ago.
func lease(namespace, identity string, ago time.Duration) *coordinationv1.Lease {
	renewed, seconds := metav1.NewMicroTime(time.Now().Add(-ago)), int32(leaseDuration/time.Second)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: leaseName},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &identity, RenewTime: &renewed, LeaseDurationSeconds: &seconds},
	}
}

func identityOf(t *testing.T, h holder) string {
	t.Helper()
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// elsewhere is a holder on another machine, of which nobody knows whether it lives.
func elsewhere(runID string) holder {
	return holder{Run: runID, Machine: "0123456789ab", PID: 4711, Started: "1"}
}

// names are the namespaces of the cluster.
func names(t *testing.T, typed *fake.Clientset) []string {
	t.Helper()
	list, err := typed.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, namespace := range list.Items {
		names = append(names, namespace.Name)
	}
	return names
}

var errRefused = errors.New("the API server refuses")

// refuse makes the cluster refuse a verb of a resource, for the object of this name or for all.
func refuse(typed *fake.Clientset, verb, resource, name string) {
	typed.PrependReactor(verb, resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		if named, ok := action.(interface{ GetName() string }); ok && name != "" && named.GetName() != name {
			return false, nil, nil
		}
		return true, nil, errRefused
	})
}

func TestHeldBy(t *testing.T) {
	without := func(change func(*coordinationv1.LeaseSpec)) *coordinationv1.Lease {
		l := lease("shop", identityOf(t, elsewhere("r1")), 0)
		change(&l.Spec)
		return l
	}
	for name, test := range map[string]struct {
		lease *coordinationv1.Lease
		held  bool
		err   string
	}{
		"no Lease":                           {nil, false, ""},
		"this process":                       {lease("shop", identityOf(t, self("r1")), 0), true, ""},
		"this process, long ago":             {lease("shop", identityOf(t, self("r1")), time.Hour), true, ""},
		"a process of another machine":       {lease("shop", identityOf(t, elsewhere("r1")), 0), true, ""},
		"one that has just missed a renewal": {lease("shop", identityOf(t, elsewhere("r1")), leaseDuration-time.Second), true, ""},
		"one that is gone":                   {lease("shop", identityOf(t, elsewhere("r1")), leaseDuration+time.Second), false, ""},
		"nobody":                             {lease("shop", "", 0), false, ""},
		"no holder":                          {without(func(s *coordinationv1.LeaseSpec) { s.HolderIdentity = nil }), false, ""},
		"no time":                            {without(func(s *coordinationv1.LeaseSpec) { s.RenewTime = nil }), false, ""},
		"no duration":                        {without(func(s *coordinationv1.LeaseSpec) { s.LeaseDurationSeconds = nil }), false, ""},
		"somebody else":                      {lease("shop", "istiod-7f3a", 0), false, `the Lease shop/meshproof-run is held by somebody else ("istiod-7f3a")`},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []runtime.Object
			if test.lease != nil {
				objects = append(objects, test.lease)
			}
			client, _ := clusterOf(t, objects...)
			who, held, err := heldBy(t.Context(), client, "shop")
			if held != test.held || errorText(err) != test.err || (held && who.Run != "r1") {
				t.Errorf("held %t by run %q, error %v; want %t, %q", held, who.Run, err, test.held, test.err)
			}
		})
	}
}

func TestLeftovers(t *testing.T) {
	foreign := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{mesh.ManagedByLabel: "Helm"}}}
	for name, test := range map[string]struct {
		objects  []runtime.Object
		want     []string
		conflict string
	}{
		"nothing is there":      {nil, nil, ""},
		"one that nobody holds": {[]runtime.Object{runNamespace("shop", "r0"), runNamespace("other", "r0")}, []string{"shop"}, ""},
		"both":                  {[]runtime.Object{runNamespace("shop", "r0"), runNamespace("ingress", "r0")}, []string{"shop", "ingress"}, ""},
		"one that is not meshproof's": {[]runtime.Object{foreign, runNamespace("ingress", "r0")}, nil,
			"namespace shop is there and is not meshproof's: choose other names with --suffix or --set"},
		"one that a run holds": {[]runtime.Object{runNamespace("shop", "r0"), lease("shop", identityOf(t, elsewhere("r0")), 0)}, nil,
			"run r0 (process 4711) is using namespace shop: wait for it, or use --suffix to keep two runs apart"},
		"one whose holder is gone": {[]runtime.Object{runNamespace("shop", "r0"), lease("shop", identityOf(t, elsewhere("r0")), time.Hour)}, []string{"shop"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := clusterOf(t, test.objects...)
			left, err := leftovers(t.Context(), client, []string{"shop", "ingress"})
			if diff := cmp.Diff(test.want, left); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			var conflict *ConflictError
			if errors.As(err, &conflict) != (test.conflict != "") || errorText(err) != test.conflict {
				t.Errorf("error %v, want %q", err, test.conflict)
			}
		})
	}
}

func TestLeftoversTellsWhatTheAPIServerRefuses(t *testing.T) {
	for resource, want := range map[string]string{"namespaces": "look at namespace shop: ", "leases": "look at the Lease of namespace shop: "} {
		client, typed := clusterOf(t, runNamespace("shop", "r0"))
		refuse(typed, "get", resource, "")
		_, err := leftovers(t.Context(), client, []string{"shop"})
		var conflict *ConflictError
		if !errors.Is(err, errRefused) || errors.As(err, &conflict) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestClaimNamesMakesTheNamespacesTheRunsOwn(t *testing.T) {
	client, typed := clusterOf(t, runNamespace("other", "r0"))
	release, detail, err := claimNames(t.Context(), client, "r1", "shop", []string{"shop", "ingress"}, mesh.Timeouts{Gone: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if diff := cmp.Diff([]string{"ingress", "other", "shop"}, names(t, typed)); diff != "" || detail != "" {
		t.Errorf("detail %q, namespaces (-want +got):\n%s", detail, diff)
	}
	for _, name := range []string{"shop", "ingress"} {
		namespace, err := typed.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{mesh.RunLabel: "r1", mesh.PatternLabel: "shop", mesh.ManagedByLabel: kube.FieldManager}
		if diff := cmp.Diff(want, namespace.Labels); diff != "" {
			t.Errorf("labels of %s (-want +got):\n%s", name, diff)
		}
	}
	if who, held, err := heldBy(t.Context(), client, "shop"); err != nil || !held || who.Run != "r1" || who.PID != os.Getpid() {
		t.Errorf("held %t by %+v, error %v", held, who, err)
	}
	// A second run is told, and changes nothing.
	var conflict *ConflictError
	if _, _, err := claimNames(t.Context(), client, "r2", "shop", []string{"shop"}, mesh.Timeouts{Gone: time.Minute}); !errors.As(err, &conflict) || !strings.Contains(err.Error(), "run r1") {
		t.Errorf("error %v, want a conflict with run r1", err)
	}
}

func TestClaimNamesRemovesWhatAnEarlierRunLeft(t *testing.T) {
	client, typed := clusterOf(t, runNamespace("shop", "r0"), runNamespace("ingress", "r0"), runNamespace("other", "r0"))
	release, detail, err := claimNames(t.Context(), client, "r1", "shop", []string{"shop", "ingress"}, mesh.Timeouts{Gone: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if detail != "removed what an earlier run left in shop, ingress" {
		t.Errorf("detail %q", detail)
	}
	namespace, err := typed.CoreV1().Namespaces().Get(t.Context(), "ingress", metav1.GetOptions{})
	if err != nil || namespace.Labels[mesh.RunLabel] != "r1" {
		t.Errorf("the namespace is that of run %s, error %v", namespace.Labels[mesh.RunLabel], err)
	}
}

func TestClaimNamesTellsWhoWasFaster(t *testing.T) {
	client, typed := clusterOf(t)
	typed.PrependReactor("create", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "namespaces"}, "shop")
	})
	_, _, err := claimNames(t.Context(), client, "r1", "shop", []string{"shop"}, mesh.Timeouts{})
	var conflict *ConflictError
	if !errors.As(err, &conflict) || err.Error() != "another run has just made namespace shop: use --suffix to keep two runs apart" {
		t.Errorf("error %v", err)
	}
}

func TestClaimNamesTellsWhatTheAPIServerRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		verb, want string
		objects    []runtime.Object
	}{
		"to make a namespace":    {"create", "make namespace shop: ", nil},
		"to remove what is left": {"delete", "remove what an earlier run left: ", []runtime.Object{runNamespace("shop", "r0")}},
	} {
		t.Run(name, func(t *testing.T) {
			client, typed := clusterOf(t, test.objects...)
			refuse(typed, test.verb, "namespaces", "")
			_, _, err := claimNames(t.Context(), client, "r1", "shop", []string{"shop"}, mesh.Timeouts{Gone: time.Minute})
			if !errors.Is(err, errRefused) || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

// A run that is interrupted, or refused, between two of its namespaces leaves none.
func TestClaimNamesRemovesWhatItMadeWhenItFails(t *testing.T) {
	for name, refusal := range map[string]error{"refused": errRefused, "somebody was faster": apierrors.NewAlreadyExists(schema.GroupResource{Resource: "namespaces"}, "ingress")} {
		t.Run(name, func(t *testing.T) {
			client, typed := clusterOf(t, runNamespace("other", "r0"))
			typed.PrependReactor("create", "namespaces", func(action clienttesting.Action) (bool, runtime.Object, error) {
				made := action.(clienttesting.CreateAction).GetObject().(*corev1.Namespace)
				return made.Name == "ingress", nil, refusal
			})
			if _, _, err := claimNames(t.Context(), client, "r1", "shop", []string{"shop", "ingress"}, mesh.Timeouts{Gone: time.Minute}); err == nil {
				t.Error("no error")
			}
			if diff := cmp.Diff([]string{"other"}, names(t, typed)); diff != "" {
				t.Errorf("namespaces (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClean(t *testing.T) {
	foreign := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: map[string]string{mesh.RunLabel: "r1"}}}
	objects := []runtime.Object{
		foreign, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "helm", Labels: map[string]string{mesh.ManagedByLabel: kube.FieldManager}}},
		runNamespace("left", "r1"), runNamespace("left-ingress", "r1"), runNamespace("older", "r0"),
		// Only the first namespace of a run has the Lease.
		runNamespace("used", "r2"), runNamespace("used-ingress", "r2"), lease("used", identityOf(t, elsewhere("r2")), 0),
		lease("older", identityOf(t, elsewhere("r0")), time.Hour),
	}
	for name, test := range map[string]struct {
		run                 string
		removed, held, stay []string
	}{
		"all runs":              {"", []string{"left", "left-ingress", "older"}, []string{"used", "used-ingress"}, []string{"default", "helm", "used", "used-ingress"}},
		"one run":               {"r1", []string{"left", "left-ingress"}, nil, []string{"default", "helm", "older", "used", "used-ingress"}},
		"one that is in use":    {"r2", nil, []string{"used", "used-ingress"}, []string{"default", "helm", "left", "left-ingress", "older", "used", "used-ingress"}},
		"one that left nothing": {"r9", nil, nil, []string{"default", "helm", "left", "left-ingress", "older", "used", "used-ingress"}},
	} {
		t.Run(name, func(t *testing.T) {
			client, typed := clusterOf(t, objects...)
			removed, held, err := Clean(t.Context(), client, test.run, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]string{test.removed, test.held, test.stay}, [][]string{removed, held, names(t, typed)}); diff != "" {
				t.Errorf("removed, held and staying (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCleanTellsWhatTheAPIServerRefuses(t *testing.T) {
	for name, test := range map[string]struct{ verb, resource, object, want string }{
		"to list":                 {"list", "namespaces", "", "look for what runs have left: "},
		"to show a Lease":         {"get", "leases", "", "look at the Lease of namespace "},
		"to delete one namespace": {"delete", "namespaces", "ingress", "delete namespace ingress: "},
	} {
		t.Run(name, func(t *testing.T) {
			client, typed := clusterOf(t, runNamespace("shop", "r1"), runNamespace("ingress", "r1"), runNamespace("more", "r1"))
			refuse(typed, test.verb, test.resource, test.object)
			removed, _, err := Clean(t.Context(), client, "", time.Minute)
			if !errors.Is(err, errRefused) || !strings.HasPrefix(err.Error(), test.want) || len(removed) > 0 {
				t.Errorf("removed %v, error %v, want %s", removed, err, test.want)
			}
		})
	}
}

func TestCleanRemovesTheOthersWhenOneCannotBeRemoved(t *testing.T) {
	client, typed := clusterOf(t, runNamespace("shop", "r1"), runNamespace("ingress", "r1"), runNamespace("more", "r1"))
	refuse(typed, "delete", "namespaces", "ingress")
	if _, _, err := Clean(t.Context(), client, "", time.Minute); !errors.Is(err, errRefused) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"ingress"}, names(t, typed)); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
}

// The clean-up at the end of a pattern tells what is left, and nothing else.
func TestRemoveTellsWhatIsLeft(t *testing.T) {
	client, typed := clusterOf(t, runNamespace("shop", "r1"), runNamespace("ingress", "r1"))
	refuse(typed, "delete", "namespaces", "ingress")
	p := example("shop", "SH", func(p *pattern.Pattern) {
		p.Parameters = append(p.Parameters, pattern.Parameter{Name: "ingress_namespace", Namespace: true})
	})
	job := Job{Values: pattern.Values{"shop_namespace": "shop", "ingress_namespace": "ingress"}, Options: Options{Timeouts: mesh.DefaultTimeouts}}
	i := &installation{client: client, child: &child{pattern: p, job: job}}
	left, err := i.remove(t.Context())
	if diff := cmp.Diff([]string{"Namespace ingress"}, left); diff != "" || !errors.Is(err, errRefused) {
		t.Errorf("error %v, left (-want +got):\n%s", err, diff)
	}
}

func TestCleanTimeout(t *testing.T) {
	if got := CleanTimeout(Options{}); got != mesh.DefaultTimeouts.Gone {
		t.Errorf("default %s", got)
	}
	if got := CleanTimeout(Options{Timeouts: mesh.Timeouts{Gone: time.Second}}); got != time.Second {
		t.Errorf("%s, want what is given", got)
	}
}
