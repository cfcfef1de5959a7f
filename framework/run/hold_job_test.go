package run

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	"github.com/meshproof/meshproof/internal/apitest"
)

// workload gives a pattern a Deployment.
func workload(p *pattern.Pattern) {
	p.Manifests = fstest.MapFS{"all.yaml": {Data: []byte(`
apiVersion: v1
kind: Namespace
metadata: {name: "${shop_namespace}"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: "${shop_namespace}", annotations: {host: "${hostname}"}}
spec: {template: {spec: {containers: [{name: shop, image: "${image}"}]}}}
`)}}
}

// A run's pull secret is one of its objects: it goes as they go, and is marked as they are.
func TestTheRunsPodsPullWithTheClustersSecret(t *testing.T) {
	p := example("shop", "SH", workload)
	job := jobOf(t, p, nil)
	job.Cluster = someCluster()
	plain, err := Objects(p, job)
	if err != nil {
		t.Fatal(err)
	}
	job.Cluster.PullSecret = []byte(`{"auths":{"r":{"password":"hunter22"}}}`)
	objects, err := Objects(p, job)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := described(objects), described(plain)+", Secret shop/meshproof-image-pull"; got != want {
		t.Errorf("objects %s, want %s", got, want)
	}
	if labels := objects[len(objects)-1].GetLabels(); labels["meshproof.dev/run"] != "r1" || labels["app.kubernetes.io/managed-by"] != "meshproof" {
		t.Errorf("the secret's labels are %v", labels)
	}
	stages, err := firstStage(p, job)
	if err != nil || described(stages.first) != described(objects) {
		t.Errorf("first stage %s, error %v", described(stages.first), err)
	}
	plan := &Plan{Options: Options{ResultsDir: t.TempDir()}, Jobs: []Job{job}, byName: map[string]pattern.Pattern{"shop": p}}
	r := &Runner{plan: plan}
	if err := r.openResults(); err != nil {
		t.Fatal(err)
	}
	if got := redactor.String("pulled with hunter22, that is aHVudGVyMjI"); strings.Contains(got, "hunter22") || strings.Contains(got, "aHVudGVyMjI") {
		t.Errorf("a report would say %q", got)
	}
}

// The rules name every kind that the plan installs, as the cluster serves it.
func TestRules(t *testing.T) {
	p := example("shop", "SH", workload)
	client := apitest.New(t).Client(t)
	plan, err := NewPlan([]pattern.Pattern{p}, &provider.Cluster{Images: map[string]string{"shop": "shop:1"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := Rules(plan, client)
	if err != nil {
		t.Fatal(err)
	}
	of := func(group string) rbacv1.PolicyRule {
		index := slices.IndexFunc(rules, func(rule rbacv1.PolicyRule) bool { return rule.APIGroups[0] == group })
		if index < 0 {
			t.Fatalf("no rule of group %q in %v", group, rules)
		}
		return rules[index]
	}
	if diff := cmp.Diff([]string{"deployments", "replicasets", "statefulsets"}, of("apps").Resources); diff != "" {
		t.Errorf("apps (-want +got):\n%s", diff)
	}
	for _, resource := range []string{"namespaces", "pods/log", "pods/portforward", "secrets"} {
		if !slices.Contains(of("").Resources, resource) {
			t.Errorf("%s is missing in %v", resource, of("").Resources)
		}
	}
	if verbs := of("coordination.k8s.io").Verbs; slices.Contains(verbs, "*") || !slices.Contains(verbs, "update") {
		t.Errorf("verbs %v", verbs)
	}
	// A kind that only the plan has.
	plan.byName["shop"] = example("shop", "SH", func(p *pattern.Pattern) {
		workload(p)
		p.Manifests.(fstest.MapFS)["more.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: \"${shop_namespace}\"}\n")}
	})
	if _, err := Rules(plan, client); err == nil || !strings.Contains(err.Error(), "Gateway") {
		t.Errorf("a kind that the cluster does not serve: error %v", err)
	}
	if rules, err = Rules(plan, apitest.New(t, "networking.istio.io/v1 Gateway gateways").Client(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"gateways"}, of("networking.istio.io").Resources); diff != "" {
		t.Errorf("networking.istio.io (-want +got):\n%s", diff)
	}
}
