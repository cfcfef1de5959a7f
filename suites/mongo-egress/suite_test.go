//go:build conformance

package mongoegress_test

import (
	"testing"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/run"
	mongoegress "github.com/meshproof/meshproof/suites/mongo-egress"
)

// TestMongoEgress proves the pattern on the cluster of KUBECONFIG: `ginkgo --tags conformance ./suites/mongo-egress`.
func TestMongoEgress(t *testing.T) {
	run.Suite(t, mongoegress.Pattern(), build.FixtureImages())
}
