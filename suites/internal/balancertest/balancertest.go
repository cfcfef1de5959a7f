// Package balancertest runs a MongoDB pattern behind load balancers as different clouds have them.
package balancertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Overlay is a file that changes the Service by which a pattern publishes its database; fields go on with its metadata.
func Overlay(t *testing.T, fields string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "balancer.yaml")
	text := "apiVersion: v1\nkind: Service\nmetadata: {name: mongo-ingressgateway, namespace: \"${control_plane_namespace}\"" + fields + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Kinds of load balancers: a cloud's may have an address and no name, or a name with several addresses.
const (
	Nameless     = "an address without a name"
	TwoAddresses = "two addresses of one name"
)

// annotations are how the lab's is asked for each kind.
var annotations = map[string]string{
	Nameless:     `lab.meshproof.dev/load-balancer-without-name: "true"`,
	TwoAddresses: `lab.meshproof.dev/load-balancer-addresses: "2"`,
}

// Prove runs a pattern behind a load balancer of each of these kinds. Every claim must be proven, or, where the kind names it,
// inconclusive because the cluster does not allow to judge it.
func Prove(t *testing.T, pattern string, kinds map[string][]string) {
	for name, inconclusive := range kinds {
		t.Run(name, func(t *testing.T) {
			results := t.TempDir()
			result := labtest.Run(t, "run", pattern, "--suffix", "balancer", "--results", results, "--overlay", Overlay(t, ", annotations: {"+annotations[name]+"}}"))
			report := labtest.Report(t, results)
			var others []string
			for _, claim := range report.Patterns[0].Claims {
				if claim.Verdict == v1.Inconclusive && claim.Cause == "environment" {
					others = append(others, claim.Alias)
				} else if claim.Verdict != v1.Passed {
					t.Errorf("%s %s", claim.Alias, claim.Verdict)
				}
			}
			if !slices.Equal(others, inconclusive) || (len(others) == 0) != (result.Code == v1.ExitPassed) {
				t.Errorf("exit %d, and the cluster does not allow to judge %s; want %s", result.Code, strings.Join(others, ", "), strings.Join(inconclusive, ", "))
			}
			if t.Failed() {
				t.Logf("%s%s", labtest.Unproven(report), result.Stderr)
			}
		})
	}
}
