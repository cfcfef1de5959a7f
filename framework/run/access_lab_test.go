//go:build lab

package run_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// accountNamespace is where the test's service account lives.
const accountNamespace = "access-test"

// account makes a service account with the roles that the command prints, all of them bound, and returns a kubeconfig of it and
// its token.
func account(t *testing.T, printed string) (kubeconfig, token string) {
	t.Helper()
	labtest.Apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+accountNamespace+"}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: prover, namespace: "+accountNamespace+"}\n")
	labtest.Apply(t, printed)
	client := labtest.Client(t)
	for _, name := range []string{"meshproof-preflight", "meshproof-install", "meshproof-run"} {
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "prover", Namespace: accountNamespace}},
		}
		if _, err := client.Typed.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := client.Typed.RbacV1().ClusterRoleBindings().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	hour := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}
	answer, err := client.Typed.CoreV1().ServiceAccounts(accountNamespace).CreateToken(t.Context(), "prover", request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	admin := strings.TrimSpace(labtest.MustRun(t, "lab", "kubeconfig").Stdout)
	config, err := clientcmd.LoadFromFile(admin)
	if err != nil {
		t.Fatal(err)
	}
	config.AuthInfos = map[string]*clientcmdapi.AuthInfo{"prover": {Token: answer.Status.Token}}
	config.Contexts[config.CurrentContext].AuthInfo = "prover"
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	return kubeconfig, answer.Status.Token
}

// TestLeastAccess runs all patterns as a service account with exactly the roles that preflight prints. Each request that they do not
// cover is refused by the API server, and makes a claim red or a phase fail.
func TestLeastAccess(t *testing.T) {
	labtest.BringFixtures(t)
	kubeconfig, token := account(t, labtest.MustRun(t, "preflight", "--rbac", "all", "--allow-load").Stdout)
	args := []string{"--kubeconfig", kubeconfig, "--image-registry", build.Registry, "--allow-load"}
	if result := labtest.Run(t, append([]string{"preflight"}, args...)...); result.Code != 0 {
		t.Fatalf("preflight: exit %d\n%s\n%s", result.Code, result.Stdout, result.Stderr)
	}
	results := t.TempDir()
	result := labtest.Run(t, append([]string{"run", "--jobs", "2", "--client", "pod", "--results", results}, args...)...)
	report := labtest.Report(t, results)
	if counts := v1.Summary(report); result.Code != 0 || counts.Passed != counts.Selected {
		t.Errorf("exit %d, %+v\n%s\n%s\n%s", result.Code, counts, labtest.Unproven(report), result.Stdout, result.Stderr)
	}
	if strings.Contains(result.Stdout+result.Stderr, "is forbidden") {
		t.Errorf("something was refused:\n%s\n%s", result.Stdout, result.Stderr)
	}
	if names := labtest.Left(t); len(names) > 0 {
		t.Errorf("namespaces are left: %v", names)
	}
	err := filepath.Walk(results, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		switch {
		case err != nil:
			return err
		case strings.Contains(string(content), token):
			t.Errorf("the account's token is in %s", path)
		case strings.Contains(string(content), "is forbidden"):
			t.Errorf("%s tells of a refused request", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMissingVerb takes one verb away: preflight and run name it, before anything is touched, and preflight prints a role that gives
// it.
func TestMissingVerb(t *testing.T) {
	printed := labtest.MustRun(t, "preflight", "basic-gateway", "--rbac", "all").Stdout
	const rule = "  resources:\n  - pods/portforward\n  verbs:\n  - create\n"
	if strings.Count(printed, rule) != 1 {
		t.Fatalf("the roles have no rule for forwarded ports alone:\n%s", printed)
	}
	kubeconfig, _ := account(t, strings.Replace(printed, rule, "  resources:\n  - pods/portforward\n  verbs:\n  - get\n", 1))
	args := []string{"basic-gateway", "--kubeconfig", kubeconfig, "--image-registry", build.Registry}
	asked := labtest.Run(t, append([]string{"preflight"}, args...)...)
	if asked.Code != 4 || !strings.Contains(asked.Stdout, "you may not create pods/portforward") || strings.Contains(asked.Stdout, "you may not get") || !strings.Contains(asked.Stdout, rule) {
		t.Errorf("preflight: exit %d\n%s\n%s", asked.Code, asked.Stdout, asked.Stderr)
	}
	started := time.Now()
	refused := labtest.Run(t, append([]string{"run", "--results", t.TempDir()}, args...)...)
	if refused.Code != 4 || !strings.Contains(refused.Stderr, "you may not create pods/portforward in namespaces ") || len(labtest.Left(t)) > 0 {
		t.Errorf("run: exit %d, left %v\n%s\n%s", refused.Code, labtest.Left(t), refused.Stdout, refused.Stderr)
	}
	t.Logf("refused after %s", time.Since(started))
}
