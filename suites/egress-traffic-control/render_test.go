package egresstrafficcontrol_test

import (
	"testing"

	egresstrafficcontrol "github.com/meshproof/meshproof/suites/egress-traffic-control"
	"github.com/meshproof/meshproof/suites/internal/golden"
)

func TestRendered(t *testing.T) { golden.Check(t, egresstrafficcontrol.Pattern()) }
