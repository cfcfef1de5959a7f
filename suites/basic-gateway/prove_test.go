//go:build lab

package basicgateway_test

import (
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
)

// TestEveryMutantIsKilledByItsIntendedCheck breaks the pattern in one way at a time, on the lab.
func TestEveryMutantIsKilledByItsIntendedCheck(t *testing.T) {
	result := labtest.Run(t, "prove", "basic-gateway", "--suffix", "prove", "--results", t.TempDir())
	t.Log(result.Stdout)
	if result.Code != 0 {
		t.Errorf("exit %d\n%s", result.Code, result.Stderr)
	}
}
