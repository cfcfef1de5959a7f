package rules

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Likely names the most likely cause: that of the first rule whose facts are all there. When none fits, the diagnosis has no rule
// and says so, with the first hop where what was claimed and what was recorded part. The error is of facts that could not be
// found out; rules that need them are passed over.
func Likely(ctx context.Context, rules []Rule, scene *Scene) (v1.Diagnosis, error) {
	finder := &finder{ctx: ctx, scene: scene, found: map[string][]Fact{}, failed: map[string]error{}}
	for _, rule := range rules {
		if !slices.Contains(causesOf(rule), scene.Judgement.Cause) {
			continue
		}
		if bound, fits := finder.fits(rule.When, map[string]Fact{checkName: scene.check()}); fits {
			diagnosis := v1.Diagnosis{Rule: rule.ID, Text: fill(rule.Text, bound), Remedy: fill(rule.Remedy, bound)}
			for _, file := range rule.Look {
				diagnosis.Look = append(diagnosis.Look, fill(file, bound))
			}
			return diagnosis, finder.err()
		}
	}
	return scene.unknown(), finder.err()
}

func causesOf(rule Rule) []string {
	var causes []string
	for _, cause := range rule.Causes {
		causes = append(causes, string(cause))
	}
	return causes
}

// finder finds facts out when a rule asks for them, each kind once.
type finder struct {
	ctx    context.Context
	scene  *Scene
	found  map[string][]Fact
	failed map[string]error
	order  []string
}

func (f *finder) facts(name string) []Fact {
	if facts, known := f.found[name]; known {
		return facts
	}
	facts, err := kinds[name].look(f.ctx, f.scene)
	if err != nil {
		f.failed[name] = fmt.Errorf("find out %s: %w", name, err)
		f.order = append(f.order, name)
	}
	// What concerns the hop that the verdict is about comes first.
	slices.SortStableFunc(facts, func(a, b Fact) int { return f.scene.distance(a) - f.scene.distance(b) })
	f.found[name] = facts
	return facts
}

func (f *finder) err() error {
	if len(f.order) == 0 {
		return nil
	}
	var texts []string
	for _, name := range f.order {
		texts = append(texts, f.failed[name].Error())
	}
	return fmt.Errorf("not all facts could be found out: %s", strings.Join(texts, "; "))
}

// fits finds facts for all conditions, of which later ones may refer to earlier ones.
func (f *finder) fits(when []Condition, bound map[string]Fact) (map[string]Fact, bool) {
	if len(when) == 0 {
		return bound, true
	}
	condition := when[0]
	candidates := []Fact{bound[checkName]}
	if condition.Fact != checkName {
		candidates = f.facts(condition.Fact)
	}
	for _, fact := range candidates {
		if !holds(condition, fact, bound) {
			continue
		}
		with := map[string]Fact{condition.name(): fact}
		for name, other := range bound {
			if name != condition.name() {
				with[name] = other
			}
		}
		if result, fits := f.fits(when[1:], with); fits {
			return result, true
		}
	}
	return nil, false
}

func holds(condition Condition, fact Fact, bound map[string]Fact) bool {
	for field, pattern := range condition.Where {
		if !pattern.takes(fact[field], bound) {
			return false
		}
	}
	return true
}

func (p Pattern) takes(value string, bound map[string]Fact) bool {
	return slices.ContainsFunc(p, func(text string) bool {
		if expression, isExpression := strings.CutPrefix(text, "~"); isExpression {
			// It was compiled when it was read; what is filled in is quoted.
			return regexp.MustCompile(fillWith(expression, bound, regexp.QuoteMeta)).MatchString(value)
		}
		if other, negated := strings.CutPrefix(text, "!"); negated {
			return fill(other, bound) != value
		}
		return fill(text, bound) == value
	})
}

func fill(text string, bound map[string]Fact) string {
	return fillWith(text, bound, func(value string) string { return value })
}

func fillWith(text string, bound map[string]Fact, form func(string) string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		parts := reference.FindStringSubmatch(found)
		return form(bound[parts[1]][parts[2]])
	})
}
