// Package mutants keeps a claim from being promised whose check nobody has seen fail.
package mutants

import (
	"slices"
	"testing"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/prove"
)

// Check fails the test unless every claim of the pattern has a mutant that its check must kill, and the pattern has so many
// mutants, and so many equivalent ones, at least.
func Check(t *testing.T, p pattern.Pattern, fewest, fewestEquivalent int) {
	t.Helper()
	all, err := prove.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	equivalent := 0
	for _, m := range all {
		if m.Equivalent {
			equivalent++
		}
	}
	for _, claim := range p.Claims {
		if !slices.ContainsFunc(all, func(m prove.Mutant) bool { return m.Killed.By == claim.Alias }) {
			t.Errorf("no mutant is to be killed by %s", claim.Alias)
		}
	}
	if others := len(all) - equivalent; others < fewest || equivalent < fewestEquivalent {
		t.Errorf("%d mutants and %d equivalent ones, want %d and %d at least", others, equivalent, fewest, fewestEquivalent)
	}
}
