//go:build lab

package suites_test

import (
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
)

// TestRulesExplainTheirMutants installs mutants, of requests and of connections, and wants the rule that each of them names to explain
// the check which it turns red. A proof with --diagnose does so with all of them.
func TestRulesExplainTheirMutants(t *testing.T) {
	for pattern, mutants := range map[string]string{
		"basic-gateway": "details-down,insecure-route,not-routed,other-destination,other-gateway,permissive,plain-text-to-ratings,prefixed-after-all",
		"mongo-ingress": "around-the-gateway,any-destination,no-plain-port,other-authority,other-name",
	} {
		t.Run(pattern, func(t *testing.T) {
			result := labtest.Run(t, "prove", pattern, "--diagnose", "--suffix", "rules", "--mutant", mutants, "--results", t.TempDir())
			t.Log(result.Stdout)
			if result.Code != 0 {
				t.Errorf("exit %d\n%s", result.Code, result.Stderr)
			}
		})
	}
}
