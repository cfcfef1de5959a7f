//go:build lab

package run_test

import (
	"encoding/base64"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/meshproof/meshproof/framework/certificate"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// planted are objects with secrets of every kind, and a change that turns MI3 red.
const planted = `
apiVersion: v1
kind: Secret
metadata: {name: canary, namespace: "${bookinfo_namespace}", annotations: {meshproof.dev/add: "true"}}
stringData: {word: "canary/in+a secret&object=1"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: canary, namespace: "${bookinfo_namespace}", annotations: {meshproof.dev/add: "true"}}
data:
  cache: redis://cache:canary-in-a-url@cache.example.org:6379/0
  api_key: canary-by-the-name-of-its-field
  key.pem: |
KEY
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: "${bookinfo_namespace}"}
spec:
  http:
  - headers:
      request: {set: {authorization: "Bearer canary-in-a-bearer-token", cookie: "session=canary-in-a-cookie", x-api-key: canary-in-an-api-key}}
    route: [{destination: {host: reviews, subset: v3}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: details-v1, namespace: "${bookinfo_namespace}"}
spec:
  template:
    spec:
      containers: [{name: details, env: [{name: CANARY_PASSWORD, value: canary-in-a-variable}]}]
`

// TestCanariesAreInNoArtifact plants secrets of every kind in a run with a red check, and finds none of them in any file of its
// results, in no form in which files may have them.
func TestCanariesAreInNoArtifact(t *testing.T) {
	key, err := certificate.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	labtest.BringFixtures(t)
	path, token := tokenKubeconfig(t)
	mutant, err := os.ReadFile("../../suites/mongo-ingress/mutants/plain-port.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, patches, _ := strings.Cut(string(mutant), "\n---\n")
	overlay := filepath.Join(t.TempDir(), "overlay.yaml")
	indented := "    " + strings.ReplaceAll(strings.TrimSpace(key), "\n", "\n    ")
	if err := os.WriteFile(overlay, []byte(patches+"\n---\n"+strings.Replace(planted, "KEY", indented, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	results := t.TempDir()
	result := labtest.Finish(t, labtest.StartWith(t, []string{"KUBECONFIG=" + path}, "run", "mongo-ingress", "--claim", "MI2,MI3", "--suffix", "canary", "--overlay", overlay, "--results", results,
		"--set", "bookinfo_password=CANARYOFTHEUSERBOOKINFO", "--set", "admin_password=CANARYOFTHEADMINISTRATOR", "--image-registry", build.Registry, "--client", "pod"))
	report := labtest.Report(t, results)
	red := 0
	for _, claim := range report.Patterns[0].Claims {
		if claim.Verdict != v1.Passed && claim.Diagnosis != nil {
			red++
		}
	}
	if result.Code != 1 || red == 0 {
		t.Fatalf("exit %d, and %d red checks with a diagnosis: nothing could have leaked\n%s\n%s", result.Code, red, result.Stdout, result.Stderr)
	}
	block := strings.Split(strings.TrimSpace(key), "\n")
	canaries := map[string]string{
		"the token of the kubeconfig": token, "the application's password": "CANARYOFTHEUSERBOOKINFO", "the administrator's": "CANARYOFTHEADMINISTRATOR",
		"a Secret": "canary/in+a secret&object=1", "a URL": "canary-in-a-url", "a field": "canary-by-the-name-of-its-field", "a key": block[1],
		"a bearer token": "canary-in-a-bearer-token", "a cookie": "canary-in-a-cookie", "an API key": "canary-in-an-api-key", "a variable": "canary-in-a-variable",
	}
	files := 0
	err = filepath.WalkDir(results, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		data, err := os.ReadFile(file)
		for what, canary := range canaries {
			for _, form := range formsOf(canary) {
				if strings.Contains(string(data), form) {
					t.Errorf("%s has the canary of %s, as %q", strings.TrimPrefix(file, results), what, form)
				}
			}
			if strings.Contains(result.Stdout+result.Stderr, canary) {
				t.Errorf("the output has the canary of %s", what)
			}
		}
		if strings.Contains(string(data), "PRIVATE KEY-----\n") {
			t.Errorf("%s has a private key", strings.TrimPrefix(file, results))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"diagnosis/objects.yaml", "diagnosis/certificates.yaml", "reproduce/manifests.yaml", "reproduce/reproduce.sh"} {
		if _, err := os.Stat(filepath.Join(results, "latest", "mongo-ingress", "MI3", file)); err != nil {
			t.Errorf("there was nothing to look through: %v", err)
		}
	}
	t.Logf("looked through %d files", files)
}

// formsOf are the forms in which a file may have a text: as it is, as a URL has it, and as base64 of it, or of what it is a part of.
func formsOf(text string) []string {
	forms := []string{text, url.QueryEscape(text), url.PathEscape(text)}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			encoded := encoding.EncodeToString([]byte(strings.Repeat("x", shift) + text))
			// The first and last characters are also of what stands before and behind.
			forms = append(forms, encoded[4:len(encoded)-3])
		}
	}
	return forms
}

// tokenKubeconfig writes a kubeconfig of an administrator who is known by a token.
func tokenKubeconfig(t *testing.T) (path, token string) {
	t.Helper()
	labtest.Apply(t, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: canary, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: canary}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: canary, namespace: kube-system}]
`)
	made, err := labtest.Client(t).Typed.CoreV1().ServiceAccounts("kube-system").CreateToken(t.Context(), "canary", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(labtest.Lab(t).Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: made.Status.Token}
	}
	path = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path, made.Status.Token
}
