//go:build lab

package mongoingress_test

import (
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
)

// TestSomeMutantsAreKilledByTheirIntendedChecks breaks the pattern in a few ways, on the lab; `make prove` tries them all.
func TestSomeMutantsAreKilledByTheirIntendedChecks(t *testing.T) {
	const some = "any-server-name,sidecar-adds-tls,equivalent-extra-label"
	result := labtest.Run(t, "prove", "mongo-ingress", "--mutant", some, "--suffix", "prove", "--results", t.TempDir())
	t.Log(result.Stdout)
	if result.Code != 0 {
		t.Errorf("exit %d\n%s", result.Code, result.Stderr)
	}
}
