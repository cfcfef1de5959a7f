// Package prove shows that checks can fail: it breaks a pattern in one way at a time, by mutants, and sees whether the
// intended check goes red, for the intended cause, and no other does without being named.
package prove

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/diagnose/rules"
	"github.com/meshproof/meshproof/framework/pattern"
)

// MutantKind is the kind of the first document of a mutant's file.
const MutantKind = "Mutant"

// Mutant is one way to change a pattern: a file whose first document says what should come of it, and whose other
// documents are patches and additions as an overlay has them.
type Mutant struct {
	// Name is that of the file, without its ending.
	Name string `json:"-"`
	// Says is what it changes, in a sentence.
	Says string `json:"says"`
	// Killed is the check that must go red. An equivalent mutant, which changes nothing that a claim promises, has none.
	Killed Death `json:"killed,omitzero"`
	// Equivalent says that every check must stay green.
	Equivalent bool `json:"equivalent,omitempty"`
	// Also are the causes of other checks that rightly go red, by alias.
	Also map[string]pattern.Cause `json:"also,omitempty"`
	// Diagnosis is the rule by which the likely cause of the check that must go red is named; empty when that is not asked.
	Diagnosis string `json:"diagnosis,omitempty"`
	// Requires names a requirement of the pattern without which the mutant cannot be.
	Requires string `json:"requires,omitempty"`
	// Shows is a URL whose answer the mutant changes, for one that changes a router and no proxy of the mesh.
	Shows string `json:"shows,omitempty"`
	// Patches are the other documents.
	Patches []byte `json:"-"`
}

// Death is how a mutant must be found.
type Death struct {
	// By is the claim's alias.
	By    string        `json:"by"`
	Cause pattern.Cause `json:"cause"`
}

// Load reads the mutants of a pattern, in the order of their names.
func Load(p pattern.Pattern) ([]Mutant, error) {
	if p.Mutants == nil {
		return nil, fmt.Errorf("pattern %s has no mutants", p.Name)
	}
	files, err := fs.Glob(p.Mutants, "*.yaml")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("pattern %s has no mutants (*.yaml)", p.Name)
	}
	var mutants []Mutant
	for _, file := range files {
		data, err := fs.ReadFile(p.Mutants, file)
		if err != nil {
			return nil, fmt.Errorf("read mutant %s: %w", file, err)
		}
		mutant, err := parse(p, data)
		if err != nil {
			return nil, fmt.Errorf("mutant %s of pattern %s: %w", file, p.Name, err)
		}
		mutant.Name = strings.TrimSuffix(path.Base(file), ".yaml")
		mutants = append(mutants, mutant)
	}
	return mutants, nil
}

// separator stands between two documents.
var separator = []byte("\n---\n")

func parse(p pattern.Pattern, data []byte) (Mutant, error) {
	head, patches, found := bytes.Cut(data, separator)
	var content any
	for found && yaml.Unmarshal(head, &content) == nil && content == nil { // only comments
		head, patches, found = bytes.Cut(patches, separator)
	}
	if !found || len(bytes.TrimSpace(patches)) == 0 {
		return Mutant{}, fmt.Errorf("it has no second document: what does it change?")
	}
	var file struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Mutant     `json:",inline"`
	}
	if err := yaml.UnmarshalStrict(head, &file); err != nil {
		return Mutant{}, err
	}
	mutant := file.Mutant
	mutant.Patches = patches
	if file.Kind != MutantKind || file.APIVersion != "meshproof.dev/v1" {
		return mutant, fmt.Errorf("its first document is %s %s, not meshproof.dev/v1 %s", file.APIVersion, file.Kind, MutantKind)
	}
	return mutant, mutant.check(p)
}

func (m Mutant) check(p pattern.Pattern) error {
	switch {
	case m.Says == "":
		return fmt.Errorf("it does not say what it changes")
	case m.Equivalent && (m.Killed != Death{} || len(m.Also) > 0):
		return fmt.Errorf("it is equivalent, so no check may go red")
	case m.Equivalent && m.Diagnosis != "":
		return fmt.Errorf("it is equivalent, so there is nothing to diagnose")
	case m.Diagnosis != "" && !slices.ContainsFunc(rules.BuiltIn(), func(r rules.Rule) bool { return r.ID == m.Diagnosis }):
		return fmt.Errorf("there is no rule of diagnosis %q", m.Diagnosis)
	case !m.Equivalent && m.Killed.By == "":
		return fmt.Errorf("it names no check that must go red, and is not equivalent")
	}
	if _, twice := m.Also[m.Killed.By]; twice {
		return fmt.Errorf("it names %s twice: as the check that must go red, and as another that does", m.Killed.By)
	}
	causes := m.wanted()
	for _, alias := range slices.Sorted(maps.Keys(causes)) {
		cause := causes[alias]
		if claim, found := p.Claim(alias); !found || claim.Alias != alias {
			return fmt.Errorf("there is no claim %q", alias)
		}
		if !slices.Contains(pattern.Causes(), cause) {
			return fmt.Errorf("%q is no cause (of %s)", cause, alias)
		}
	}
	if _, found := p.Requirement(m.Requires); m.Requires != "" && !found {
		return fmt.Errorf("it requires %q, which the pattern does not declare", m.Requires)
	}
	return nil
}

// wanted are the causes of all checks that must go red, by alias.
func (m Mutant) wanted() map[string]pattern.Cause {
	causes := map[string]pattern.Cause{}
	maps.Copy(causes, m.Also)
	if !m.Equivalent {
		causes[m.Killed.By] = m.Killed.Cause
	}
	return causes
}
