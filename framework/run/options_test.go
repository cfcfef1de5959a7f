package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// example is a pattern with two claims, <ALIAS>1 and <ALIAS>2, whose objects live in the namespace <name>.
func example(name, alias string, change ...func(*pattern.Pattern)) pattern.Pattern {
	p := pattern.Pattern{
		Name: name, Title: "the " + name,
		Manifests: fstest.MapFS{"all.yaml": {Data: []byte(`
apiVersion: v1
kind: Namespace
metadata: {name: "${` + name + `_namespace}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: "${` + name + `_namespace}"}
data: {host: "${hostname}", image: "${image}"}
`)}},
		Parameters: []pattern.Parameter{
			{Name: name + "_namespace", Default: name, Namespace: true}, {Name: "hostname", Default: name + ".lab"}, {Name: "image", Fixture: "shop"},
		},
		Specs: func(*pattern.Env) {},
		Claims: []pattern.Claim{
			{Alias: alias + "1", Slug: "is-open", Text: "it answers", Ends: []string{"client", "gateway"}},
			{Alias: alias + "2", Slug: "is-safe", Text: "it wants a certificate", Ends: []string{"client", "gateway"}},
		},
		Deviations: []string{"it is an example"},
	}
	for _, apply := range change {
		apply(&p)
	}
	return p
}

func someCluster() *provider.Cluster {
	return &provider.Cluster{Provider: "kubeconfig", Images: map[string]string{"shop": "registry.lab/shop:1"}}
}

func TestNewPlan(t *testing.T) {
	shop, bank := example("shop", "SH"), example("bank", "BA")
	values := func(name string) pattern.Values {
		return pattern.Values{name + "_namespace": name, "hostname": name + ".lab", "image": "registry.lab/shop:1"}
	}
	type job struct {
		Claims []string
		Values pattern.Values
	}
	for name, test := range map[string]struct {
		options Options
		want    map[string]job
	}{
		"everything":                               {Options{}, map[string]job{"shop": {[]string{"SH1", "SH2"}, values("shop")}, "bank": {[]string{"BA1", "BA2"}, values("bank")}}},
		"one claim by its alias":                   {Options{Claims: []string{"SH2"}}, map[string]job{"shop": {[]string{"SH2"}, values("shop")}}},
		"one claim by its ID":                      {Options{Claims: []string{"bank/is-open"}}, map[string]job{"bank": {[]string{"BA1"}, values("bank")}}},
		"claims by their slug":                     {Options{Claims: []string{"is-safe"}}, map[string]job{"shop": {[]string{"SH2"}, values("shop")}, "bank": {[]string{"BA2"}, values("bank")}}},
		"claims in the pattern's order, once each": {Options{Claims: []string{"sh2", "SH1", "SH2"}}, map[string]job{"shop": {[]string{"SH1", "SH2"}, values("shop")}}},
		"a parameter that one pattern has": {Options{Set: map[string]string{"bank_namespace": "vault"}, Claims: []string{"SH1", "BA1"}}, map[string]job{
			"shop": {[]string{"SH1"}, values("shop")},
			"bank": {[]string{"BA1"}, pattern.Values{"bank_namespace": "vault", "hostname": "bank.lab", "image": "registry.lab/shop:1"}},
		}},
		"a suffix": {Options{Suffix: "b", Claims: []string{"SH1"}}, map[string]job{
			"shop": {[]string{"SH1"}, pattern.Values{"shop_namespace": "shop-b", "hostname": "shop.lab", "image": "registry.lab/shop:1"}},
		}},
		"a focus on a text":                 {Options{Focus: "certificate$"}, map[string]job{"shop": {[]string{"SH2"}, values("shop")}, "bank": {[]string{"BA2"}, values("bank")}}},
		"a focus on an alias":               {Options{Focus: "^SH[12]$"}, map[string]job{"shop": {[]string{"SH1", "SH2"}, values("shop")}}},
		"a focus on an ID":                  {Options{Focus: "bank/is-o"}, map[string]job{"bank": {[]string{"BA1"}, values("bank")}}},
		"a focus on some of the claims":     {Options{Focus: "bank|SH1", Claims: []string{"SH1", "SH2"}}, map[string]job{"shop": {[]string{"SH1"}, values("shop")}}},
		"a required claim, and all of them": {Options{Require: []string{"sh1", "bank/is-open", "ALL"}, Claims: []string{"SH1"}}, map[string]job{"shop": {[]string{"SH1"}, values("shop")}}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := NewPlan([]pattern.Pattern{shop, bank}, someCluster(), test.options)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]job{}
			for _, j := range plan.Jobs {
				got[j.Pattern] = job{j.Claims, j.Values}
				if j.Options.Timeouts != mesh.DefaultTimeouts || j.Cluster == nil {
					t.Errorf("job %s: timeouts %v, cluster %v", j.Pattern, j.Options.Timeouts, j.Cluster)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("jobs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewPlanKeepsTimeoutsThatAreGiven(t *testing.T) {
	timeouts := mesh.Timeouts{Ready: time.Second}
	plan, err := NewPlan([]pattern.Pattern{example("shop", "SH")}, someCluster(), Options{Timeouts: timeouts})
	if err != nil {
		t.Fatal(err)
	}
	if plan.Jobs[0].Options.Timeouts != timeouts || plan.Options.Timeouts != timeouts {
		t.Errorf("timeouts %v", plan.Jobs[0].Options.Timeouts)
	}
}

// What a pattern of which nothing is selected would be like is nobody's concern.
func TestNewPlanLooksOnlyAtWhatIsSelected(t *testing.T) {
	shop, bank := example("shop", "SH"), example("bank", "BA")
	overlay := write(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\ndata: {more: \"1\"}\n")
	for name, options := range map[string]Options{
		"an overlay of the selected pattern":         {Claims: []string{"SH1"}, Overlay: overlay},
		"a namespace that the other would also have": {Claims: []string{"SH1"}, Set: map[string]string{"shop_namespace": "bank"}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := NewPlan([]pattern.Pattern{shop, bank}, someCluster(), options)
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Jobs) != 1 {
				t.Errorf("%d jobs, want 1", len(plan.Jobs))
			}
		})
	}
}

func TestNewPlanTellsBadInput(t *testing.T) {
	shop, bank := example("shop", "SH"), example("bank", "BA")
	both := []pattern.Pattern{shop, bank}
	unused := example("shop", "SH", func(p *pattern.Pattern) {
		p.Parameters = append(p.Parameters, pattern.Parameter{Name: "colour", Default: "red"})
	})
	astray := example("shop", "SH", func(p *pattern.Pattern) {
		p.Hardened = fstest.MapFS{"a.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: setings, namespace: shop}\n")}}
	})
	for name, test := range map[string]struct {
		patterns []pattern.Pattern
		options  Options
		want     string
	}{
		"an unknown parameter":                      {both, Options{Set: map[string]string{"hostnam": "x"}}, "no selected pattern has a parameter \"hostnam\"; `meshproof list -o json` shows them"},
		"an unknown claim":                          {both, Options{Claims: []string{"SH1", "SH3"}}, `no selected pattern has a claim "SH3"; the claims: SH1, SH2, BA1, BA2`},
		"a claim of a pattern that is not selected": {both[:1], Options{Claims: []string{"BA1"}}, `no selected pattern has a claim "BA1"; the claims: SH1, SH2`},
		"an unknown required claim":                 {both, Options{Require: []string{"all", "SH3"}}, `--require names no claim of the selected patterns: "SH3"; the claims: SH1, SH2, BA1, BA2`},
		"a focus that is no regular expression":     {both, Options{Focus: "("}, "--focus is no regular expression: error parsing regexp: missing closing ): `(`"},
		"a focus on nothing":                        {both, Options{Focus: "answrs"}, "--focus \"answrs\" matches no selected claim, by its ID, its alias or its text; `meshproof list` shows them"},
		"a focus on none of the claims":             {both, Options{Focus: "bank", Claims: []string{"SH1"}}, `--focus "bank" matches no selected claim`},
		"a scale that would wait for ever":          {both, Options{TimeoutScale: 1000}, "--timeout-scale: 1000 is no factor from 0.1 to 100"},
		"nothing is selected":                       {nil, Options{}, "nothing is selected"},
		"one namespace of two patterns":             {both, Options{Set: map[string]string{"shop_namespace": "both", "bank_namespace": "both"}}, "patterns shop and bank would use the same namespace both"},
		"a namespace with capital letters":          {both, Options{Suffix: "B"}, `pattern shop: "shop-B" is no name for a namespace: a lowercase RFC 1123 label must consist of`},
		"a namespace that ends in a dash":           {both, Options{Suffix: "b-"}, `pattern shop: "shop-b-" is no name for a namespace: `},
		"a namespace that is too long":              {both, Options{Suffix: strings.Repeat("b", 60)}, "must be no more than 63 characters"},
		"a pattern with a mistake":                  {[]pattern.Pattern{example("shop", "SH", func(p *pattern.Pattern) { p.Title = "" })}, Options{}, `pattern "shop": it needs Name, Title`},
		"a parameter that no manifest uses":         {[]pattern.Pattern{unused}, Options{}, "parameter colour is used by no manifest"},
		"a hardened variant that there is not":      {both, Options{Hardened: true}, "pattern shop has no hardened variant"},
		"a hardened variant of something else":      {[]pattern.Pattern{astray}, Options{Hardened: true}, "ConfigMap shop/setings, which the pattern does not have"},
		"an overlay that is missing":                {both, Options{Overlay: "nowhere.yaml"}, "read the overlay: stat nowhere.yaml: no such file"},
		"an overlay that changes what is not there": {both[:1], Options{Overlay: write(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: setings, namespace: shop}\n")},
			"changes ConfigMap shop/setings, which the pattern does not have"},
		"an overlay that adds to another namespace": {both[:1], Options{Overlay: write(t,
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default, annotations: {meshproof.dev/add: \"true\"}}\n")},
			"ConfigMap default/x is outside the run's own namespaces (shop)"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewPlan(test.patterns, someCluster(), test.options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v\nwant one that says %s", err, test.want)
			}
		})
	}
}

func TestNewPlanTellsAMissingImage(t *testing.T) {
	_, err := NewPlan([]pattern.Pattern{example("shop", "SH")}, &provider.Cluster{}, Options{})
	if err == nil || !strings.Contains(err.Error(), "parameter image has no value") {
		t.Errorf("error %v", err)
	}
}

// write makes an overlay file and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestObjectsAreMarkedAndChangedByTheOverlay(t *testing.T) {
	p := example("shop", "SH")
	values := pattern.Values{"shop_namespace": "shop", "hostname": "shop.lab", "image": "shop:1"}
	overlay := write(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: \"${shop_namespace}\"}\ndata: {host: other.lab}\n")
	objects, err := Objects(p, Job{RunID: "r1", Values: values, Options: Options{Overlay: overlay}})
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]any{"app.kubernetes.io/managed-by": "meshproof", "meshproof.dev/pattern": "shop", "meshproof.dev/run": "r1"}
	want := []map[string]any{
		{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop", "labels": labels}},
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings", "namespace": "shop", "labels": labels},
			"data": map[string]any{"host": "other.lab", "image": "shop:1"}},
	}
	var got []map[string]any
	for _, object := range objects {
		got = append(got, object.Object)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestSeedHoldsTheSelectedClaimsWithoutVerdicts(t *testing.T) {
	p := example("shop", "SH")
	values := pattern.Values{"shop_namespace": "shop-b"}
	want := v1.Pattern{
		Name: "shop", Title: "the shop", Parameters: values, Namespaces: []string{"shop-b"}, Deviations: []string{"it is an example"},
		Claims: []v1.Claim{{ID: "shop/is-safe", Alias: "SH2", Text: "it wants a certificate", Ends: []string{"client", "gateway"}}},
	}
	if diff := cmp.Diff(want, seed(p, Job{Claims: []string{"SH2"}, Values: values})); diff != "" {
		t.Errorf("seed (-want +got):\n%s", diff)
	}
}

func TestNewRunIDSortsByTime(t *testing.T) {
	at := time.Date(2026, 11, 22, 16, 4, 5, 0, time.FixedZone("CET", 3600))
	if got := newRunID(at, "7f3a"); got != "20261122-150405-7f3a" {
		t.Errorf("ID %s", got)
	}
	if earlier, later := newRunID(at, "ffff"), newRunID(at.Add(time.Second), "0000"); earlier >= later {
		t.Errorf("%s does not come before %s", earlier, later)
	}
}
