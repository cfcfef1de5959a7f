package mongoingress_test

import (
	"testing"

	"github.com/meshproof/meshproof/suites/internal/mutants"
	mongoingress "github.com/meshproof/meshproof/suites/mongo-ingress"
)

func TestEveryClaimHasAMutant(t *testing.T) { mutants.Check(t, mongoingress.Pattern(), 12, 3) }
