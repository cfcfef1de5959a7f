package suites_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/framework/diagnose/rules"
	"github.com/meshproof/meshproof/framework/prove"
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
