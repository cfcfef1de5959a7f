//go:build conformance

package mongoingress_test

import (
	"testing"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/run"
	mongoingress "github.com/meshproof/meshproof/suites/mongo-ingress"
)

// TestMongoIngress proves the pattern on the cluster of KUBECONFIG: `ginkgo --tags conformance ./suites/mongo-ingress`.
func TestMongoIngress(t *testing.T) {
	run.Suite(t, mongoingress.Pattern(), build.FixtureImages())
}
