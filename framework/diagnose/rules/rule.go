// Package rules names the most likely cause of a check that is not proven. What points to which cause is data (rules.yaml); the
// facts that the rules ask for are what the cluster, its proxies and the probes' evidence show when the check ends, and nothing
// else: no rule knows what was installed, or was meant to be.
package rules

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/pattern"
)

// Rule is one cause that is known, and what points to it.
type Rule struct {
	// ID never changes, for example "no-access-log".
	ID string `json:"id"`
	// Causes are those of verdicts that it may explain.
	Causes []pattern.Cause `json:"causes"`
	// When are the facts that must all be there.
	When []Condition `json:"when"`
	// Text is the sentence that names the cause, Remedy what to do about it; ${name.field} is a field of the fact that the
	// condition of this name has found, or of the check.
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
	// Look are the files of the diagnosis that show it.
	Look []string `json:"look"`
	// Mutants are those that produce it, as pattern/name.
	Mutants []string `json:"mutants"`
}

// Condition asks for a fact.
type Condition struct {
	// Fact is its kind, As the name by which others refer to it; empty means its kind.
	Fact string `json:"fact"`
	As   string `json:"as,omitempty"`
	// Where says what its fields must be.
	Where map[string]Pattern `json:"where,omitempty"`
}

func (c Condition) name() string {
	if c.As != "" {
		return c.As
	}
	return c.Fact
}

// Pattern is what a field must be: one of these texts, each of which may refer to other facts by ${name.field}. One that begins
// with "~" is a regular expression that must match somewhere, in which what is referred to stands for itself; one that begins with "!" is what it must not be.
type Pattern []string

// UnmarshalJSON takes a single text for a list of one.
func (p *Pattern) UnmarshalJSON(data []byte) error {
	var one string
	if err := json.Unmarshal(data, &one); err == nil {
		*p = Pattern{one}
		return nil
	}
	var several []string
	if err := json.Unmarshal(data, &several); err != nil {
		return err
	}
	*p = several
	return nil
}

//go:embed rules.yaml
var builtIn []byte

// BuiltIn returns the rules that meshproof has, in the order in which they are tried. Its own tests read them, so that a mistake
// in the file is a panic.
var BuiltIn = sync.OnceValue(func() []Rule {
	rules, err := Parse(builtIn)
	if err != nil {
		panic(err)
	}
	return rules
})

// Parse reads rules, strictly: an unknown field, cause, kind of fact or field of a fact, and a reference to what no condition
// before it finds, are errors.
func Parse(data []byte) ([]Rule, error) {
	var file struct {
		Rules []Rule `json:"rules"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		return nil, fmt.Errorf("read the rules of diagnosis: %w", err)
	}
	if len(file.Rules) == 0 {
		return nil, fmt.Errorf("read the rules of diagnosis: there are none")
	}
	seen := map[string]bool{}
	for _, rule := range file.Rules {
		if err := rule.check(); err != nil {
			return nil, fmt.Errorf("rule %q of diagnosis: %w", rule.ID, err)
		}
		if seen[rule.ID] {
			return nil, fmt.Errorf("rule %q of diagnosis is there twice", rule.ID)
		}
		seen[rule.ID] = true
	}
	return file.Rules, nil
}

// reference is ${name.field} in a text.
var reference = regexp.MustCompile(`\$\{([a-z-]+)\.([a-z-]+)\}`)

func (r Rule) check() error {
	if r.ID == "" || r.Text == "" || r.Remedy == "" || len(r.Causes) == 0 || len(r.When) == 0 || len(r.Look) == 0 || len(r.Mutants) == 0 {
		return fmt.Errorf("it needs id, causes, when, text, remedy, look and mutants")
	}
	for _, cause := range r.Causes {
		if !slices.Contains(pattern.Causes(), cause) {
			return fmt.Errorf("%q is no cause", cause)
		}
	}
	known := map[string]string{checkName: checkName}
	for _, condition := range r.When {
		kind, found := kinds[condition.Fact]
		if !found && condition.Fact != checkName {
			return fmt.Errorf("%q is no kind of fact; the kinds: %s", condition.Fact, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
		}
		fields := kind.fields
		if condition.Fact == checkName {
			fields = checkFields
		}
		for _, field := range slices.Sorted(maps.Keys(condition.Where)) {
			if !slices.Contains(fields, field) {
				return fmt.Errorf("fact %s has no field %q; its fields: %s", condition.Fact, field, strings.Join(fields, ", "))
			}
			for _, text := range condition.Where[field] {
				if err := references(text, known); err != nil {
					return err
				}
				if err := compiles(text); err != nil {
					return err
				}
			}
		}
		if _, twice := known[condition.name()]; twice && condition.Fact != checkName {
			return fmt.Errorf("two of its facts have the name %q: give one another by `as`", condition.name())
		}
		known[condition.name()] = condition.Fact
	}
	for _, text := range append([]string{r.Text, r.Remedy}, r.Look...) {
		if err := references(text, known); err != nil {
			return err
		}
	}
	return nil
}

func compiles(text string) error {
	expression, isExpression := strings.CutPrefix(text, "~")
	if !isExpression {
		return nil
	}
	_, err := regexp.Compile(reference.ReplaceAllLiteralString(expression, "x"))
	return err
}

// references checks what a text refers to; known are the kinds of the facts by their names.
func references(text string, known map[string]string) error {
	for _, found := range reference.FindAllStringSubmatch(text, -1) {
		kind, bound := known[found[1]]
		if !bound {
			return fmt.Errorf("%s refers to no fact that a condition before it finds", found[0])
		}
		fields := checkFields
		if kind != checkName {
			fields = kinds[kind].fields
		}
		if !slices.Contains(fields, found[2]) {
			return fmt.Errorf("%s: fact %s has no such field; its fields: %s", found[0], kind, strings.Join(fields, ", "))
		}
	}
	if rest := reference.ReplaceAllLiteralString(text, ""); strings.Contains(rest, "${") {
		return fmt.Errorf("%q has a ${ that is no reference to a field of a fact", text)
	}
	return nil
}
