//go:build lab

package mongoingress_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
	"github.com/meshproof/meshproof/suites/internal/balancertest"
)

// written is a file with this text.
func written(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestBadInput: one clear error each, and nothing is left.
func TestBadInput(t *testing.T) {
	noCertificate := written(t, "tls.crt", "no certificate\n")
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an image that nobody has": {[]string{"--mongodb-image", "registry.example.org/mongo:none"}, v1.ExitInconclusive, "see whether the nodes can pull its image"},
		"another password than the database's": {[]string{"--overlay", written(t, "password.yaml", `apiVersion: v1
kind: Secret
metadata: {name: mongodb, namespace: "${mongodb_namespace}"}
stringData: {admin-password: another}
`)}, v1.ExitInconclusive, "the database does not know user admin by the password of the run (parameter admin_password)"},
		"a file that is no certificate": {[]string{"--set-file", "mongo_proxy_certificate=" + noCertificate}, v1.ExitUsage, "this is no certificate in PEM"},
		"a file that is not there":      {[]string{"--set-file", "mongo_proxy_certificate=" + noCertificate + ".not"}, v1.ExitUsage, "no such file"},
		"a load balancer that never gets an address": {[]string{"--overlay", balancertest.Overlay(t, "}\nspec: {loadBalancerClass: example.org/nobody}")}, v1.ExitInconclusive,
			"find out mongodb_ip (address of the load balancer of mongo-ingressgateway (LBIP)): "},
	} {
		t.Run(name, func(t *testing.T) {
			result := labtest.Run(t, append([]string{"run", "mongo-ingress", "--suffix", "input", "--claim", "MI1", "--results", t.TempDir()}, test.args...)...)
			told := strings.Join(strings.Fields(result.Stdout+result.Stderr), " ")
			if result.Code != test.code || !strings.Contains(told, test.want) {
				t.Errorf("exit %d, want %d and %q:\n%s\n%s", result.Code, test.code, test.want, result.Stdout, result.Stderr)
			}
			if left := labtest.Left(t); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestLoadBalancers(t *testing.T) {
	balancertest.Prove(t, "mongo-ingress", map[string][]string{balancertest.Nameless: nil, balancertest.TwoAddresses: nil})
}
