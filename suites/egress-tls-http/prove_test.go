//go:build lab

package egresstlshttp_test

import (
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
)

// TestSomeMutantsAreKilledByTheirIntendedChecks breaks the pattern in a few ways, on the lab; `make prove` tries them all.
func TestSomeMutantsAreKilledByTheirIntendedChecks(t *testing.T) {
	const some = "other-name-to-the-gateway,origination-exported,equivalent-extra-label"
	result := labtest.Run(t, "prove", "egress-tls-http", "--mutant", some, "--suffix", "prove", "--results", t.TempDir())
	t.Log(result.Stdout)
	if result.Code != 0 {
		t.Errorf("exit %d\n%s", result.Code, result.Stderr)
	}
}
