package rules

import (
	"slices"
	"strings"
	"testing"
)

// The file of the rules is read whole, so that no mistake in it waits for the red check that would need it.
func TestTheBuiltInRulesCanBeRead(t *testing.T) {
	all, err := Parse(builtIn)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Errorf("%d rules", len(all))
	}
}

// A kind of fact that no rule asks for is one that nobody has seen.
func TestEveryKindOfFactIsAskedFor(t *testing.T) {
	for name := range kinds {
		if !slices.ContainsFunc(BuiltIn(), func(r Rule) bool {
			return slices.ContainsFunc(r.When, func(c Condition) bool { return c.Fact == name })
		}) {
			t.Errorf("no rule asks for %q", name)
		}
	}
}

// rule is the text of a file with one rule, of which one line is another.
func rule(replace, by string) string {
	const text = `rules:
- id: closed
  causes: [not-answered]
  when:
  - {fact: down, where: {ready: "0"}}
  text: "${down.workload} is down"
  remedy: start it
  look: [events.txt]
  mutants: [shop/closed]
`
	return strings.Replace(text, replace, by, 1)
}

func TestParseTellsEveryMistake(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no YAML":                  {"rules: [", "read the rules of diagnosis: "},
		"no rules":                 {"rules: []", "there are none"},
		"an unknown field":         {rule("remedy:", "cure:"), `unknown field "cure"`},
		"no remedy":                {rule("  remedy: start it\n", ""), "it needs id, causes, when, text, remedy, look and mutants"},
		"no mutant":                {rule("[shop/closed]", "[]"), "it needs id, causes, when, text, remedy, look and mutants"},
		"nothing to look at":       {rule("[events.txt]", "[]"), "it needs id, causes, when, text, remedy, look and mutants"},
		"an unknown cause":         {rule("not-answered", "shut"), `"shut" is no cause`},
		"an unknown kind of fact":  {rule("fact: down", "fact: asleep"), `"asleep" is no kind of fact; the kinds: account, `},
		"an unknown field of it":   {rule(`ready: "0"`, `tired: "0"`), `fact down has no field "tired"; its fields: workload, `},
		"no regular expression":    {rule(`ready: "0"`, `ready: "~("`), "missing closing )"},
		"a reference to nothing":   {rule("${down.workload}", "${up.workload}"), "${up.workload} refers to no fact that a condition before it finds"},
		"a reference to no field":  {rule("${down.workload}", "${down.age}"), "${down.age}: fact down has no such field"},
		"a reference that is none": {rule("${down.workload}", "${down}"), "has a ${ that is no reference"},
		"a name twice":             {rule("  text:", "  - {fact: down}\n  text:"), "two of its facts have the name \"down\""},
		"a rule twice":             {rule("", "") + strings.TrimPrefix(rule("", ""), "rules:\n"), `rule "closed" of diagnosis is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v\nwant %s", err, test.want)
			}
		})
	}
	if _, err := Parse([]byte(rule("", ""))); err != nil {
		t.Error(err)
	}
}
