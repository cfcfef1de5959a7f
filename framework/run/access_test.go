package run

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/pattern"
)

// guarded lets its clients do what a list of rules grants, by namespace, and notes what it was asked.
type guarded struct {
	mu    sync.Mutex
	asked []authorizationv1.ResourceAttributes
	rules map[string][]rbacv1.PolicyRule // those of a Role by its namespace, of a ClusterRole by ""
}

func guard(t *testing.T, rules map[string][]rbacv1.PolicyRule) *kube.Client {
	t.Helper()
	client, typed := clusterOf(t)
	g := &guarded{rules: rules}
	typed.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
		asked := *review.Spec.ResourceAttributes
		g.mu.Lock()
		defer g.mu.Unlock()
		g.asked = append(g.asked, asked)
		review.Status.Allowed = g.allows("", asked) || asked.Namespace != "" && g.allows(asked.Namespace, asked)
		return true, review, nil
	})
	return client
}

func (g *guarded) allows(namespace string, asked authorizationv1.ResourceAttributes) bool {
	resource := asked.Resource
	if asked.Subresource != "" {
		resource += "/" + asked.Subresource
	}
	return slices.ContainsFunc(g.rules[namespace], func(rule rbacv1.PolicyRule) bool {
		return slices.Contains(rule.APIGroups, asked.Group) && slices.Contains(rule.Resources, resource) && slices.Contains(rule.Verbs, asked.Verb) &&
			(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, asked.Name))
	})
}

// needed are the permissions of the example, which has two namespaces, a Deployment, and a Role that reads Secrets.
func needed(t *testing.T, options Options) []Permission {
	t.Helper()
	p := example("shop", "SH", func(p *pattern.Pattern) {
		manifests := p.Manifests.(fstest.MapFS)
		manifests["more.yaml"] = &fstest.MapFile{Data: []byte(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: page, namespace: "${back_namespace}"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: page, namespace: "${back_namespace}"}
rules: [{apiGroups: [""], resources: [secrets], verbs: [watch]}]
`)}
		p.Parameters = append(p.Parameters, pattern.Parameter{Name: "back_namespace", Default: "back", Namespace: true})
	})
	plan, err := NewPlan([]pattern.Pattern{p}, someCluster(), options)
	if err != nil {
		t.Fatal(err)
	}
	list, err := plan.Permissions(nil, Phases...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// grant are the rules that the printed roles have.
func grant(permissions []Permission, adopted bool) map[string][]rbacv1.PolicyRule {
	by := map[string][]Permission{}
	for _, one := range permissions {
		where := ""
		if adopted {
			where = one.Namespace
		}
		by[where] = append(by[where], one)
	}
	rules := map[string][]rbacv1.PolicyRule{}
	for where, list := range by {
		rules[where] = rulesFor(list)
	}
	return rules
}

// What is printed is exactly what is asked for: with it nothing is missing, and without any one of it, that is named.
func TestPrintedRolesAreWhatIsAskedFor(t *testing.T) {
	for name, options := range map[string]Options{"own namespaces": {}, "adopted namespaces": {Adopt: true}} {
		t.Run(name, func(t *testing.T) {
			all := needed(t, options)
			client := guard(t, grant(all, options.Adopt))
			if missing, err := denied(t.Context(), client, all); err != nil || len(missing) > 0 {
				t.Fatalf("missing %v, error %v", missing, err)
			}
			for _, taken := range all {
				same := func(p Permission) bool { p.Phase = taken.Phase; return p == taken }
				rest := slices.DeleteFunc(slices.Clone(all), same)
				client := guard(t, grant(rest, options.Adopt))
				missing, err := denied(t.Context(), client, all)
				if err != nil {
					t.Fatal(err)
				}
				// A rule for any name, or for all namespaces, can include what was taken away.
				for _, one := range missing {
					if !same(one) {
						t.Errorf("without %s, %s is missing", taken, one)
					}
				}
				included := slices.ContainsFunc(rest, func(p Permission) bool {
					return p.Group == taken.Group && p.Resource == taken.Resource && p.Verb == taken.Verb && (p.Name == "" || p.Name == taken.Name) && (!options.Adopt || p.Namespace == taken.Namespace || p.Namespace == "")
				})
				if len(missing) == 0 && !included {
					t.Errorf("nothing is missing without %s", taken)
				}
			}
		})
	}
}

func TestAdoptedNamespacesNeedNoPowerOverNamespaces(t *testing.T) {
	for _, one := range needed(t, Options{Adopt: true}) {
		if one.Resource == "namespaces" && one.Verb != "get" {
			t.Errorf("it needs to %s", one)
		}
		cluster := one.Namespace == ""
		known := one.Resource == "namespaces" || one.Resource == "deployments" || one.Resource == "selfsubjectaccessreviews"
		if cluster && (one.Phase != PreflightPhase || !known) {
			t.Errorf("it needs to %s on the whole cluster", one)
		}
	}
}

// Nobody can give a workload what they have not.
func TestARolesOwnRulesAreNeeded(t *testing.T) {
	want := Permission{Phase: InstallPhase, Resource: "secrets", Verb: "watch", Namespace: "back"}
	if !slices.Contains(needed(t, Options{}), want) {
		t.Errorf("%s is not among what is needed", want)
	}
}

func TestNothingExecs(t *testing.T) {
	for _, one := range needed(t, Options{}) {
		if strings.HasSuffix(one.Resource, "/exec") || strings.HasSuffix(one.Resource, "/attach") {
			t.Errorf("it needs to %s", one)
		}
	}
}

func TestAccessErrorNamesTheVerb(t *testing.T) {
	var err error = &AccessError{[]Permission{
		{Resource: "pods/portforward", Verb: "create", Namespace: "back"}, {Resource: "pods/portforward", Verb: "create", Namespace: "shop"},
		{Resource: "namespaces", Verb: "create"},
	}}
	want := "you may not create pods/portforward in namespaces back, shop, create namespaces; nothing was touched; `meshproof preflight` prints what is missing as YAML"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestDeniedTellsWhenItCannotAsk(t *testing.T) {
	client, typed := clusterOf(t)
	refuse(typed, "create", "selfsubjectaccessreviews", "")
	if _, err := denied(t.Context(), client, needed(t, Options{})); !errors.Is(err, errRefused) {
		t.Errorf("error %v", err)
	}
}

// What roles are printed for without a cluster has the names that a cluster serves.
func TestResourceByCustom(t *testing.T) {
	for kind, want := range map[string]string{
		"Gateway": "gateways", "ServiceEntry": "serviceentries", "Telemetry": "telemetries", "DestinationRule": "destinationrules", "Service": "services",
		"Ingress": "ingresses", "NetworkPolicy": "networkpolicies", "PeerAuthentication": "peerauthentications", "Route": "routes", "Sidecar": "sidecars",
	} {
		if got := resourceByCustom(schema.GroupVersionKind{Version: "v1", Kind: kind}).Resource; got != want {
			t.Errorf("%s of kind %s, want %s", got, kind, want)
		}
	}
}
