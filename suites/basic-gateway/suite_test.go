//go:build conformance

package basicgateway_test

import (
	"testing"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/run"
	basicgateway "github.com/meshproof/meshproof/suites/basic-gateway"
)

// TestBasicGateway proves the pattern on the cluster of KUBECONFIG: `ginkgo --tags conformance ./suites/basic-gateway`.
func TestBasicGateway(t *testing.T) {
	run.Suite(t, basicgateway.Pattern(), build.FixtureImages())
}
