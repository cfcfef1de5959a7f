package command

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/meshproof/meshproof/framework/pattern"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"meshproof": func() { Main(basicGateway(), mongoEgress()) }})
}

// TestScripts runs testdata/script. A script's KUBECONFIG names no file, so that a command which gets past the check of its
// input by mistake finds no cluster, and starts no lab.
func TestScripts(t *testing.T) {
	const dir = "testdata/script"
	if found, err := filepath.Glob(filepath.Join(dir, "*.txtar")); err != nil || len(found) == 0 {
		t.Fatalf("there is no script in %s (error %v)", dir, err)
	}
	servers := map[string]string{"dead": "https://127.0.0.1:1"} // nothing listens on port 1
	for name, handler := range map[string]http.Handler{"forbidden": http.HandlerFunc(forbid), "bare": cluster(), "meshed": cluster("default", "canary")} {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close) // scripts run when this function has returned
		servers[name] = server.URL
	}
	testscript.Run(t, testscript.Params{
		Dir: dir, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(env *testscript.Env) error {
			env.Setenv("KUBECONFIG", filepath.Join(env.WorkDir, "no-such-kubeconfig"))
			bin, _, _ := strings.Cut(env.Getenv("PATH"), string(filepath.ListSeparator)) // which testscript has put there
			env.Setenv("BIN", bin)
			env.Setenv("MESHPROOF_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("MESHPROOF_CACHE_DIR", filepath.Join(env.WorkDir, "cache"))
			for name, server := range servers {
				content := strings.ReplaceAll(kubeconfig, "SERVER", server)
				if err := os.WriteFile(filepath.Join(env.WorkDir, name+".kubeconfig"), []byte(content), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
	})
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: "SERVER"}}]
users: [{name: u, user: {}}]
contexts: [{name: here, context: {cluster: c, user: u}}, {name: there, context: {cluster: c, user: u}}]
`

func forbid(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"not yours","reason":"Forbidden","code":403}`)
}

// cluster is an API server with control planes of these revisions, and no other namespace than kube-system.
func cluster(revisions ...string) http.Handler {
	var deployments []string
	for _, revision := range revisions {
		deployments = append(deployments, `{"metadata":{"name":"istiod-`+revision+`","labels":{"istio.io/rev":"`+revision+`"}}}`)
	}
	answers := map[string]string{
		"/version":                       `{"gitVersion":"v1.36.3"}`,
		"/api/v1/namespaces":             `{"kind":"NamespaceList","apiVersion":"v1","items":[]}`,
		"/api/v1/namespaces/kube-system": `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"5c1e"}}`,
		"/apis/apps/v1/deployments":      `{"kind":"DeploymentList","apiVersion":"apps/v1","items":[` + strings.Join(deployments, ",") + `]}`,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if answer, found := answers[r.URL.Path]; found {
			fmt.Fprint(w, answer)
			return
		}
		forbid(w, r)
	})
}

// exits runs a command that must end with this code, and, unless that is 0, say why in one line and nothing else.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	wanted, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if code != wanted {
		ts.Fatalf("exit code %d, want %d; it said: %s%s", code, wanted, stdout, stderr)
	}
	switch {
	case wanted == exitOK && stderr != "":
		ts.Fatalf("standard error, which is for what goes wrong: %s", stderr)
	case wanted != exitOK && (stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") || !strings.HasPrefix(stderr, "meshproof: ")):
		ts.Fatalf("standard error is not the one line `meshproof: ...`, or standard output not empty:\n%s%s", stdout, stderr)
	}
}

// basicGateway has the names of the pattern that it stands for: the framework imports no suite.
func basicGateway() pattern.Pattern {
	return pattern.Pattern{
		Name: "basic-gateway", Title: "a page through a gateway", Path: "client --> gateway --> page",
		Manifests: fstest.MapFS{"10-page.yaml": {Data: []byte(`# the page
apiVersion: v1
kind: Namespace
metadata:
  name: ${bookinfo_namespace}
  labels: {istio-injection: enabled}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: page, namespace: "${bookinfo_namespace}"}
data: {host: "${route_hostname}", image: "${bookinfo_image}"}
`)}},
		Parameters: []pattern.Parameter{
			{Name: "bookinfo_namespace", Default: "basic-gateway", Namespace: true, Description: "namespace of the application"},
			{Name: "route_hostname", Default: "api.mesh.lab", Description: "host name of the page"},
			{Name: "bookinfo_image", Fixture: "bookinfo", Description: "image of the page"},
		},
		Claims: []pattern.Claim{
			{Alias: "BG1", Slug: "serves-the-page", Text: "the page comes through the gateway", Ends: []string{"client", "gateway log"}},
			{Alias: "BG2", Slug: "only-through-the-gateway", Text: "the page comes from nowhere else", Ends: []string{"gateway log", "certificate"}},
		},
		Mutants: fstest.MapFS{"other-host.yaml": {Data: []byte(`apiVersion: meshproof.dev/v1
kind: Mutant
says: the page has another host
killed: {by: BG1, cause: wrong-status}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: page, namespace: "${bookinfo_namespace}"}
data: {host: other.lab}
`)}},
		Deviations: []string{"it is an example"},
		Specs:      func(*pattern.Env) {},
	}
}

func mongoEgress() pattern.Pattern {
	return pattern.Pattern{
		Name: "mongo-egress", Title: "a database outside the mesh",
		Manifests:  fstest.MapFS{"10.yaml": {Data: []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: \"${mongodb_namespace}\"}\n")}},
		Parameters: []pattern.Parameter{{Name: "mongodb_namespace", Default: "mongo-egress", Namespace: true, Description: "namespace of the database"}},
		Claims:     []pattern.Claim{{Alias: "ME1", Slug: "leaves-through-the-gateway", Text: "it leaves through the gateway", Ends: []string{"gateway log", "server"}}},
		Specs:      func(*pattern.Env) {},
	}
}
