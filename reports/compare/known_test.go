package compare

import (
	"strings"
	"testing"
)

const aRule = `
differences:
- kind: clusters
  field: [typed_config, "**", new_default]
  since: "1.29"
  newer: true
  why: it is what Envoy did anyway
`

func TestKnownDifferences(t *testing.T) {
	rules, err := readRules([]byte(aRule))
	if err != nil {
		t.Fatal(err)
	}
	there := Difference{Kind: Clusters, Entry: "x", Field: []string{"typed_config", "a", "b", "new_default"}, B: true}
	change := func(change func(*Difference)) Difference {
		changed := there
		change(&changed)
		return changed
	}
	for name, test := range map[string]struct {
		a, b       string
		difference Difference
		known      bool
	}{
		"from an older version":       {"1.27.9", "1.31.0", there, true},
		"from an older version, back": {"1.31.0", "1.27.9", change(func(d *Difference) { d.A, d.B = d.B, d.A }), true},
		"to the version itself":       {"1.28.3", "1.29.0", there, true},
		"just below":                  {"1.27.9", "1.28.9", there, false},
		"of the same version":         {"1.31.0", "1.31.0", there, false},
		"of two newer versions":       {"1.29.0", "1.31.0", there, false},
		"of an unknown version":       {"", "1.31.0", there, false},
		"the wrong way round":         {"1.27.9", "1.31.0", change(func(d *Difference) { d.A, d.B = d.B, d.A }), false},
		"another value":               {"1.27.9", "1.31.0", change(func(d *Difference) { d.B = false }), false},
		"another value before":        {"1.27.9", "1.31.0", change(func(d *Difference) { d.A = false }), false},
		"another kind":                {"1.27.9", "1.31.0", change(func(d *Difference) { d.Kind = TLS }), false},
		"another field":               {"1.27.9", "1.31.0", change(func(d *Difference) { d.Field = []string{"a", "new_default"} }), false},
		"a field below it":            {"1.27.9", "1.31.0", change(func(d *Difference) { d.Field = append(d.Field, "more") }), false},
		"nothing between":             {"1.27.9", "1.31.0", change(func(d *Difference) { d.Field = []string{"typed_config", "new_default"} }), true},
	} {
		t.Run(name, func(t *testing.T) {
			left, explained := rules.between(test.a, test.b).explain([]Difference{test.difference})
			if (len(left) == 0) != test.known || (len(explained) == 1) != test.known {
				t.Errorf("left %v, explained %v", left, explained)
			}
		})
	}
}

func TestRulesThatCannotBeRead(t *testing.T) {
	for name, test := range map[string]struct{ old, new string }{
		"no reason":        {"why: it is what Envoy did anyway", ""},
		"no version":       {`since: "1.29"`, ""},
		"no such version":  {`since: "1.29"`, "since: new"},
		"no kind":          {"kind: clusters", "kind: ''"},
		"nothing expected": {"newer: true", ""},
		"an unknown word":  {"newer: true", "newest: true"},
		"no field":         {`[typed_config, "**", new_default]`, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(aRule, test.old, test.new, 1)
			if changed == aRule {
				t.Fatal("the test changes nothing")
			}
			if _, err := readRules([]byte(changed)); err == nil {
				t.Error("it was read")
			}
		})
	}
}

// A rule without a single reason to be there would hide a difference that nobody has looked at.
func TestEveryKnownDifferenceIsWhole(t *testing.T) {
	read, err := readRules(knownYAML)
	if err != nil || len(read) == 0 {
		t.Fatalf("%d rules, error %v", len(read), err)
	}
	for _, r := range read {
		if last := r.Field[len(r.Field)-1]; last == "*" || last == "**" {
			t.Errorf("%s %v explains differences in any field", r.Kind, r.Field)
		}
	}
}
