//go:build lab

package run_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
)

// TestAReproducerShowsWhatItPromises breaks a pattern, runs the reproducer that the red check left, on its own and with nothing but
// the usual tools, and sees the failure. When the cause is mended on the cluster, the same script does not see it any more.
func TestAReproducerShowsWhatItPromises(t *testing.T) {
	for name, test := range map[string]struct {
		pattern, claim, mutant, promise string
		// namespace and mend are a patch that mends it.
		namespace, object, mend string
	}{
		"HTTP": {
			"basic-gateway", "BG1", "not-routed", "SEEN: the client gets status 404",
			"basic-gateway-bookinfo-reproduce", "virtualservice/bookinfo", `[{"op": "remove", "path": "/spec/http/0/match"}]`,
		},
		"MongoDB": {
			"mongo-ingress", "MI6", "no-plain-port", "SEEN: the client gets connection refused",
			"mongo-ingress-gateways-reproduce", "gateway/mongodb", `[{"op": "add", "path": "/spec/servers/-", "value": {"port": {"number": 27017, "name": "mongo", "protocol": "MONGO"}, "hosts": ["*"]}}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			results := t.TempDir()
			result := labtest.Run(t, "run", test.pattern, "--claim", test.claim, "--suffix", "reproduce", "--overlay", "../../suites/"+test.pattern+"/mutants/"+test.mutant+".yaml", "--results", results)
			if result.Code != 1 {
				t.Fatalf("exit %d\n%s\n%s", result.Code, result.Stdout, result.Stderr)
			}
			script := filepath.Join(results, "latest", test.pattern, test.claim, "reproduce", "reproduce.sh")
			in := func(args ...string) (string, error) {
				output, err := exec.Command(labtest.Program(t), append([]string{"lab", "exec", "--"}, args...)...).CombinedOutput()
				return string(output), err
			}
			t.Cleanup(func() {
				if output, err := in(script, "delete"); err != nil {
					t.Errorf("%v\n%s", err, output)
				}
			})
			output, err := in(script)
			if err != nil || !strings.Contains(output, "\n"+test.promise+"\n") {
				t.Fatalf("%v\n%s", err, output)
			}
			if output, err := in("kubectl", "-n", test.namespace, "patch", test.object, "--type", "json", "-p", test.mend); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			for range 5 { // the proxies may not hold it yet
				if output, err = in(script, "probe"); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(output, "\nNOT SEEN\n") {
				t.Errorf("what was mended is still seen: %v\n%s", err, output)
			}
		})
	}
}
