package egresstlsmongo_test

import (
	"testing"

	egresstlsmongo "github.com/meshproof/meshproof/suites/egress-tls-mongo"
	"github.com/meshproof/meshproof/suites/internal/mutants"
)

func TestEveryClaimHasAMutant(t *testing.T) { mutants.Check(t, egresstlsmongo.Pattern(), 12, 3) }
