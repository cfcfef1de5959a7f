//go:build lab

package egresstlsmongo_test

import (
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
)

// TestSomeMutantsAreKilledByTheirIntendedChecks breaks the pattern in a few ways, on the lab; `make prove` tries them all.
func TestSomeMutantsAreKilledByTheirIntendedChecks(t *testing.T) {
	const some = "mutual-tls-to-the-gateway,no-redirect,equivalent-extra-label"
	result := labtest.Run(t, "prove", "egress-tls-mongo", "--mutant", some, "--suffix", "prove", "--results", t.TempDir())
	t.Log(result.Stdout)
	if result.Code != 0 {
		t.Errorf("exit %d\n%s", result.Code, result.Stderr)
	}
}
