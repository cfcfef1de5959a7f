//go:build lab

package egresstlsmongo_test

import (
	"testing"

	"github.com/meshproof/meshproof/suites/internal/balancertest"
)

// TestLoadBalancers: behind one without a name the pattern does not settle, because its ServiceEntry has no endpoint whose name
// the sidecars could look up.
func TestLoadBalancers(t *testing.T) {
	balancertest.Prove(t, "egress-tls-mongo", map[string][]string{balancertest.TwoAddresses: nil})
}
