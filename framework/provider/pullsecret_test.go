package provider

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/internal/apitest"
)

// wantUsage wants bad input that is told by these words, and shows nothing of what it holds.
func wantUsage(t *testing.T, err error, words ...string) {
	t.Helper()
	var input *UsageError
	if !errors.As(err, &input) {
		t.Fatalf("error %v, want one of the input", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "hunter22") {
		t.Errorf("error %q shows the secret", err)
	}
}

func TestPullSecretFromFile(t *testing.T) {
	for name, row := range map[string]struct{ text, want string }{
		"a config.json":           {`{"auths":{"registry.example.com":{"auth":"bWU6aHVudGVyMjI="}},"HttpHeaders":{}}`, ""},
		"a token":                 {`{"auths":{"registry.example.com":{"identitytoken":"hunter22"}}}`, ""},
		"what is no JSON":         {`password: hunter22`, "it is no docker config.json"},
		"a field of another type": {`{"auths":"hunter22"}`, "it is no docker config.json"},
		"a credential helper's":   {`{"auths":{"registry.example.com":{}},"credsStore":"pass"}`, "it holds no credentials"},
		"an empty object":         {`{}`, "it holds no credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := PullSecretFromFile(path)
			if row.want != "" {
				wantUsage(t, err, row.want, path)
				return
			}
			if string(got) != row.text || err != nil {
				t.Errorf("%s, error %v", got, err)
			}
		})
	}
	_, err := PullSecretFromFile(filepath.Join(t.TempDir(), "missing"))
	wantUsage(t, err, "missing")
}

func TestPullSecretFromCluster(t *testing.T) {
	const head = "apiVersion: v1\nkind: Secret\nmetadata: {name: pull, namespace: mine}\n"
	for name, row := range map[string]struct{ there, want, refused string }{
		"of the usual type":  {head + "type: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: eyJhdXRocyI6eyJyIjp7ImF1dGgiOiJ4In19fQ==}\n", `{"auths":{"r":{"auth":"x"}}}`, ""},
		"of the old type":    {head + "type: kubernetes.io/dockercfg\ndata: {.dockercfg: eyJyIjp7ImF1dGgiOiJ4In19}\n", `{"auths":{"r":{"auth":"x"}}}`, ""},
		"of another type":    {head + "type: Opaque\ndata: {a: aHVudGVyMjI=}\n", "", "the Secret mine/pull is of type Opaque"},
		"without content":    {head + "type: kubernetes.io/dockerconfigjson\ndata: {}\n", "", "it is no docker config.json"},
		"damaged":            {head + "type: kubernetes.io/dockercfg\ndata: {.dockercfg: aHVudGVyMjI=}\n", "", "the pull secret mine/pull"},
		"one that is not so": {strings.Replace(head, "pull", "push", 1), "", "there is no pull secret mine/pull on the cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			server := apitest.New(t, "v1 Secret secrets")
			objects, err := kube.Decode("test", []byte(row.there))
			if err != nil {
				t.Fatal(err)
			}
			server.Put(objects...)
			got, err := PullSecretFromCluster(t.Context(), server.Client(t), "mine", "pull")
			if row.refused != "" {
				wantUsage(t, err, row.refused)
				return
			}
			if string(got) != row.want || err != nil {
				t.Errorf("%s, error %v; want %s", got, err, row.want)
			}
		})
	}
	server := apitest.New(t)
	server.RefuseAll(http.MethodGet, "not yours")
	if _, err := PullSecretFromCluster(t.Context(), server.Client(t), "mine", "pull"); err == nil || !strings.Contains(err.Error(), "read the pull secret mine/pull: not yours") {
		t.Errorf("error %v", err)
	}
}

// A report may show a registry and a user's name, and nothing with which one could pull.
func TestSecretsOfACluster(t *testing.T) {
	const config = `{"auths":{"r":{"username":"me","password":"hunter22","auth":"bWU6aHVudGVyMjI="},"s":{"password":"abc","registrytoken":"token-of-s"}}}`
	got := (&Cluster{PullSecret: []byte(config)}).Secrets()
	want := map[string]bool{config: true, "hunter22": true, "bWU6aHVudGVyMjI=": true, "token-of-s": true}
	found := map[string]bool{}
	for _, secret := range got {
		found[secret] = true
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if got := (*Cluster)(nil).Secrets(); got != nil {
		t.Errorf("of no cluster: %v", got)
	}
}

// In a pod the cluster around it is found; elsewhere it is bad input to ask for it.
func TestFromInside(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := FromInside(nil)
	wantUsage(t, err, "--in-cluster is for a pod with a service account")
	_, err = (&Cluster{Provider: InCluster}).RESTConfig(true)
	wantUsage(t, err, "use the service account of this pod")
}
