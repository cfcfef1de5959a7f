package egresstrafficcontrol_test

import (
	"testing"

	egresstrafficcontrol "github.com/meshproof/meshproof/suites/egress-traffic-control"
	"github.com/meshproof/meshproof/suites/internal/mutants"
)

func TestEveryClaimHasAMutant(t *testing.T) {
	mutants.Check(t, egresstrafficcontrol.Pattern(), 12, 4)
}
