package basicgateway_test

import (
	"slices"
	"testing"

	"github.com/meshproof/meshproof/framework/prove"
	basicgateway "github.com/meshproof/meshproof/suites/basic-gateway"
)

// TestEveryClaimHasAMutant keeps a claim from being promised whose check nobody has seen fail.
func TestEveryClaimHasAMutant(t *testing.T) {
	p := basicgateway.Pattern()
	mutants, err := prove.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	equivalent := 0
	for _, m := range mutants {
		if m.Equivalent {
			equivalent++
		}
	}
	for _, claim := range p.Claims {
		if !slices.ContainsFunc(mutants, func(m prove.Mutant) bool { return m.Killed.By == claim.Alias }) {
			t.Errorf("no mutant is to be killed by %s", claim.Alias)
		}
	}
	if equivalent < 5 {
		t.Errorf("%d equivalent mutants, want 5 at least", equivalent)
	}
}
