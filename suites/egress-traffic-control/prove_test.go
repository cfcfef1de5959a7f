//go:build lab

package egresstrafficcontrol_test

import (
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
)

// TestSomeMutantsAreKilledByTheirIntendedChecks breaks the pattern in a few ways, on the lab; `make prove` tries them all, with
// all claims.
func TestSomeMutantsAreKilledByTheirIntendedChecks(t *testing.T) {
	const some, claims = "silver-limit-doubled,gold-in-any-case,equivalent-extra-label", "TC1,TC2,TC3,TC6,TC7"
	result := labtest.Run(t, "prove", "egress-traffic-control", "--mutant", some, "--claim", claims, "--suffix", "prove", "--results", t.TempDir())
	t.Log(result.Stdout)
	if result.Code != 0 {
		t.Errorf("exit %d\n%s", result.Code, result.Stderr)
	}
}
