//go:build lab

package egresstlsmongo_test

import (
	"testing"

	"github.com/meshproof/meshproof/suites/internal/balancertest"
)

func TestLoadBalancers(t *testing.T) {
	balancertest.Prove(t, "egress-tls-mongo", map[string][]string{balancertest.Nameless: nil, balancertest.TwoAddresses: nil})
}
