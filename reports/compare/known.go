package compare

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"
)

//go:embed known.yaml
var knownYAML []byte

// known are the differences between versions of Istio that change nothing on the wire.
var known = mustRead(knownYAML)

// rule is one of them.
type rule struct {
	// Kind is that of the difference; Field leads to it, where "*" stands for one part and "**" for any number.
	Kind  string   `json:"kind"`
	Field []string `json:"field"`
	// Since is the version that first had it.
	Since string `json:"since"`
	// Older and Newer are what stands there before that version and from it on; nothing means that the field is not there.
	Older *any `json:"older,omitempty"`
	Newer *any `json:"newer,omitempty"`
	// Why says why it is harmless.
	Why string `json:"why"`
}

type rules []rule

func mustRead(data []byte) rules {
	read, err := readRules(data)
	if err != nil {
		panic(err) // the file is embedded, and a test reads it
	}
	return read
}

func readRules(data []byte) (rules, error) {
	var file struct {
		Differences rules `json:"differences"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		return nil, err
	}
	for index, r := range file.Differences {
		if _, err := version.ParseGeneric(r.Since); err != nil || r.Kind == "" || len(r.Field) == 0 || r.Why == "" || r.Older == nil && r.Newer == nil {
			return nil, fmt.Errorf("known difference %d needs kind, field, since, why, and older or newer", index+1)
		}
	}
	return file.Differences, nil
}

// between returns the rules for a comparison of two versions, turned round when the second is the older.
func (r rules) between(a, b string) rules {
	older, errA := version.ParseGeneric(a)
	newer, errB := version.ParseGeneric(b)
	if errA != nil || errB != nil {
		return nil
	}
	turned := newer.LessThan(older)
	if turned {
		older, newer = newer, older
	}
	var chosen rules
	for _, one := range r {
		if since := version.MustParseGeneric(one.Since); !older.LessThan(since) || newer.LessThan(since) {
			continue
		}
		if turned {
			one.Older, one.Newer = one.Newer, one.Older
		}
		chosen = append(chosen, one)
	}
	return chosen
}

// explain takes out the differences that a rule explains.
func (r rules) explain(all []Difference) (unexplained []Difference, explained []KnownDifference) {
	counts := make([]int, len(r))
	for _, difference := range all {
		found := false
		for index, one := range r {
			if found = one.matches(difference); found {
				counts[index]++
				break
			}
		}
		if !found {
			unexplained = append(unexplained, difference)
		}
	}
	for index, count := range counts {
		if count > 0 {
			explained = append(explained, KnownDifference{Why: r[index].Why, Since: r[index].Since, Differences: count})
		}
	}
	return unexplained, explained
}

func (r rule) matches(d Difference) bool {
	return r.Kind == d.Kind && leads(r.Field, d.Field) && same(r.Older, d.A) && same(r.Newer, d.B)
}

// leads tells whether a rule's field leads to the difference's.
func leads(pattern, field []string) bool {
	switch {
	case len(pattern) == 0:
		return len(field) == 0
	case pattern[0] == "**":
		return leads(pattern[1:], field) || len(field) > 0 && leads(pattern, field[1:])
	case len(field) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == field[0]) && leads(pattern[1:], field[1:])
}

func same(wanted *any, value any) bool {
	if wanted == nil {
		return value == nil
	}
	return reflect.DeepEqual(plain(*wanted), plain(value))
}

// plain is the value as it is when it was read from JSON.
func plain(value any) any {
	data, err := json.Marshal(value)
	if err != nil {
		return value
	}
	var read any
	if json.Unmarshal(data, &read) != nil {
		return value
	}
	return read
}
