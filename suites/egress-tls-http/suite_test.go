//go:build conformance

package egresstlshttp_test

import (
	"testing"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/run"
	egresstlshttp "github.com/meshproof/meshproof/suites/egress-tls-http"
)

// TestEgressTLSHTTP proves the pattern on the cluster of KUBECONFIG: `ginkgo --tags conformance ./suites/egress-tls-http`.
func TestEgressTLSHTTP(t *testing.T) {
	run.Suite(t, egresstlshttp.Pattern(), build.FixtureImages())
}
