package suites_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/diagnose/rules"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/envoy"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/prove"
	"github.com/meshproof/meshproof/framework/run"
	v1 "github.com/meshproof/meshproof/reports/v1"
	"github.com/meshproof/meshproof/suites"
)

// Every rule of diagnosis names mutants that there are, which name it themselves: so `meshproof prove` sees each rule at work, and
// a rule without a mutant would be one that nobody has seen apply.
func TestEveryRuleAndItsMutantsNameEachOther(t *testing.T) {
	byMutant := map[string]string{}
	for _, rule := range rules.BuiltIn() {
		for _, name := range rule.Mutants {
			if other := byMutant[name]; other != "" {
				t.Errorf("mutant %s is named by two rules: %s and %s", name, other, rule.ID)
			}
			byMutant[name] = rule.ID
		}
	}
	patterns := map[string]int{}
	for _, p := range suites.All() {
		mutants, err := prove.Load(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mutants {
			name := p.Name + "/" + m.Name
			if m.Diagnosis != byMutant[name] {
				t.Errorf("mutant %s says that rule %q explains it, and the rules that %q does", name, m.Diagnosis, byMutant[name])
			}
			if m.Diagnosis != "" {
				patterns[p.Name]++
				if rule := ruleOf(m.Diagnosis); !slices.Contains(rule.Causes, m.Killed.Cause) {
					t.Errorf("mutant %s turns %s red for %s, which rule %s does not explain", name, m.Killed.By, m.Killed.Cause, rule.ID)
				}
			}
			delete(byMutant, name)
		}
	}
	if left := slices.Sorted(maps.Keys(byMutant)); len(left) > 0 {
		t.Errorf("rules name mutants that there are not: %s", strings.Join(left, ", "))
	}
	for _, p := range suites.All() {
		if patterns[p.Name] < 6 {
			t.Errorf("only %d mutants of %s are explained by a rule", patterns[p.Name], p.Name)
		}
	}
}

func ruleOf(id string) rules.Rule {
	all := rules.BuiltIn()
	return all[slices.IndexFunc(all, func(r rules.Rule) bool { return r.ID == id })]
}

// objectsOf renders what a pattern installs, with a mutant or without.
func objectsOf(t *testing.T, p pattern.Pattern, patches []byte) []*unstructured.Unstructured {
	t.Helper()
	values, err := p.Values(nil, "", func(fixture string) string { return "registry.example.org/" + fixture })
	if err != nil {
		t.Fatal(err)
	}
	job := run.Job{Pattern: p.Name, Values: values, RunID: "test"}
	if patches != nil {
		job.Mutation = filepath.Join(t.TempDir(), "patches.yaml")
		if err := os.WriteFile(job.Mutation, patches, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := run.Objects(p, job)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects { // as if all that is wanted were ready
		if replicas, found, _ := unstructured.NestedInt64(object.Object, "spec", "replicas"); object.GetKind() == "Deployment" && (!found || replicas > 0) {
			_ = unstructured.SetNestedField(object.Object, int64(1), "status", "readyReplicas")
		}
	}
	return objects
}

// byObjects is what rules say of a check that went red for this cause, by the objects alone: without anything that was recorded.
func byObjects(t *testing.T, p pattern.Pattern, cause pattern.Cause, objects []*unstructured.Unstructured) v1.Diagnosis {
	t.Helper()
	values, err := p.Values(nil, "", func(fixture string) string { return "registry.example.org/" + fixture })
	if err != nil {
		t.Fatal(err)
	}
	scene := &rules.Scene{
		Judgement:  evidence.Judgement{Cause: string(cause), Detail: "at that time took one from 192.0.2.1 that is of no known probe"},
		Objects:    func(context.Context) ([]*unstructured.Unstructured, error) { return objects, nil },
		Dump:       func(context.Context, string, string) ([]byte, error) { return nil, nil },
		Statistics: func(context.Context, string) (envoy.Stats, error) { return envoy.Stats{}, nil },
		Log:        func(context.Context, string) (string, error) { return "", nil },
	}
	for _, hop := range p.Hops {
		scene.Hops = append(scene.Hops, rules.Hop{
			Name: hop.Name, Namespace: values[hop.Namespace], Selector: hop.Selector, Container: hop.Container, Gateway: hop.Kind == pattern.Gateway, Proxy: hop.Kind != pattern.Plain,
		})
	}
	diagnosis, err := rules.Likely(t.Context(), rules.BuiltIn(), scene)
	if err != nil {
		t.Fatal(err)
	}
	return diagnosis
}

// causesOf are those for which the checks of a pattern go red.
func causesOf(mutants []prove.Mutant) []pattern.Cause {
	causes := map[pattern.Cause]bool{}
	for _, m := range mutants {
		causes[m.Killed.Cause] = true
		for _, cause := range m.Also {
			causes[cause] = true
		}
	}
	return slices.Sorted(maps.Keys(causes))
}

// ofLimits are rules that name the limit behind a verdict about limits: which of them is wrong, only the verdict tells.
var ofLimits = []string{"limit-of-connections", "connections-are-kept", "connections-are-not-kept"}

// alsoTrue are rules that explain a mutant by its objects, where what was recorded leads to a more particular one before.
var alsoTrue = map[string]string{"egress-tls-http/sidecar-begins-tls": "redirect-leads-astray"}

// Rules that ask for objects only are tried on those of every pattern: as it is, none of them may explain anything, for whatever cause a
// check of it goes red, and with a mutant no other than the one that it names.
func TestRulesFindInTheObjectsOfMutantsWhatTheyName(t *testing.T) {
	explained := 0
	for _, p := range suites.All() {
		mutants, err := prove.Load(p)
		if err != nil {
			t.Fatal(err)
		}
		unbroken := objectsOf(t, p, nil)
		for _, cause := range causesOf(mutants) {
			if got := byObjects(t, p, cause, unbroken); got.Rule != "" && !slices.Contains(ofLimits, got.Rule) {
				t.Errorf("%s as it is: rule %s would explain a check that is red for %s: %s", p.Name, got.Rule, cause, got.Text)
			}
		}
		for _, m := range mutants {
			if m.Diagnosis == "" {
				continue
			}
			name := p.Name + "/" + m.Name
			switch got := byObjects(t, p, m.Killed.Cause, objectsOf(t, p, m.Patches)); got.Rule {
			case m.Diagnosis:
				explained++
			case "", alsoTrue[name]:
			default:
				t.Errorf("mutant %s: rule %s explains it, and not %s: %s", name, got.Rule, m.Diagnosis, got.Text)
			}
		}
	}
	if explained < 25 {
		t.Errorf("only %d mutants are explained by their objects", explained)
	}
}
