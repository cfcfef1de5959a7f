//go:build conformance

package egresstrafficcontrol_test

import (
	"testing"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/run"
	egresstrafficcontrol "github.com/meshproof/meshproof/suites/egress-traffic-control"
)

// TestEgressTrafficControl proves the pattern on the cluster of KUBECONFIG.
func TestEgressTrafficControl(t *testing.T) {
	run.Suite(t, egresstrafficcontrol.Pattern(), build.FixtureImages())
}
