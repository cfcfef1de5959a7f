package mongoegress_test

import (
	"testing"

	"github.com/meshproof/meshproof/suites/internal/mutants"
	mongoegress "github.com/meshproof/meshproof/suites/mongo-egress"
)

func TestEveryClaimHasAMutant(t *testing.T) { mutants.Check(t, mongoegress.Pattern(), 12, 3) }
