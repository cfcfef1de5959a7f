package basicgateway_test

import (
	"testing"

	basicgateway "github.com/meshproof/meshproof/suites/basic-gateway"
	"github.com/meshproof/meshproof/suites/internal/mutants"
)

func TestEveryClaimHasAMutant(t *testing.T) { mutants.Check(t, basicgateway.Pattern(), 8, 5) }
