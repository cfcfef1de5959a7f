//go:build lab

package mongoegress_test

import (
	"testing"

	"github.com/meshproof/meshproof/suites/internal/balancertest"
)

// TestLoadBalancers: where there is no name, its address cannot change under those who use it, and of several addresses none
// can be asked for alone.
func TestLoadBalancers(t *testing.T) {
	balancertest.Prove(t, "mongo-egress", map[string][]string{balancertest.Nameless: {"ME8"}, balancertest.TwoAddresses: {"ME8"}})
}
