//go:build conformance

package egresstlsmongo_test

import (
	"testing"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/run"
	egresstlsmongo "github.com/meshproof/meshproof/suites/egress-tls-mongo"
)

// TestEgressTLSMongo proves the pattern on the cluster of KUBECONFIG: `ginkgo --tags conformance ./suites/egress-tls-mongo`.
func TestEgressTLSMongo(t *testing.T) {
	run.Suite(t, egresstlsmongo.Pattern(), build.FixtureImages())
}
