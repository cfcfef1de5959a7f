package reproduce

import (
	"encoding/base64"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/certificate"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/traffic"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// secret values of a run.
const (
	password = "SWORDFISHSWORDFISHSWORDFISH"
	foreign  = "of-somebody-else-entirely"
	header   = "0123456789abcdef"
)

// credentialsOf a run: an authority, a server's key and certificate, and one that has expired.
func credentialsOf(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	must := func(text string, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	now := time.Now()
	authorityKey, key := must(certificate.NewKey()), must(certificate.NewKey())
	authority := must(certificate.Authority(authorityKey, certificate.Subject{Name: "the authority", From: now.Add(-time.Hour), To: now.Add(7 * 24 * time.Hour)}))
	server := certificate.Subject{Name: "192-0-2-7.lab", Names: []string{"shop.lab", "192.0.2.7"}, From: now.Add(-time.Hour), To: now.Add(7 * 24 * time.Hour)}
	expired := server
	expired.From, expired.To = now.Add(-48*time.Hour), now.Add(-24*time.Hour)
	for name, text := range map[string]string{
		"authority_key": authorityKey, "server_key": key, "authority": authority,
		"server_certificate": must(certificate.Server(key, server, authority, authorityKey)), "old_certificate": must(certificate.Server(key, expired, authority, authorityKey)),
	} {
		values[name] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return values
}

func objectsOf(t *testing.T, credentials map[string]string) []*unstructured.Unstructured {
	t.Helper()
	pem, err := base64.StdEncoding.DecodeString(credentials["server_key"])
	if err != nil {
		t.Fatal(err)
	}
	text := `
apiVersion: apps/v1
kind: Deployment
metadata: {name: page, namespace: shop, labels: {app: page, meshproof.dev/run: 7f3a}}
spec: {template: {spec: {hostAliases: [{ip: 192.0.2.7, hostnames: [shop.lab]}], containers: [{name: page, env: [{name: URL, value: "redis://page:` + password + `@192.0.2.7:6379/0"}, {name: NEAR, value: 192.0.2.70}]}]}}}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop, managedFields: [{manager: x}]}
data: {tls.key: ` + credentials["server_key"] + `, tls.crt: ` + credentials["server_certificate"] + `, old.crt: ` + credentials["old_certificate"] + `, other: ` + base64.StdEncoding.EncodeToString([]byte(foreign)) + `}
stringData: {url: "mongodb://page:` + password + `@192.0.2.7:27017/shop", wrong: "mongodb://page:` + foreign + `@192.0.2.7:27017/shop", token: ` + foreign + `}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {meshproof.dev/run: 7f3a, istio-injection: enabled}, annotations: {meshproof.dev/add: "true"}}
---
apiVersion: v1
kind: Service
metadata: {name: page, namespace: shop}
spec: {type: LoadBalancer, loadBalancerIP: 192.0.2.7, ports: [{port: 80}]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.7}]}}
`
	objects, err := kube.Decode("objects of the test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	route := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": map[string]any{"name": "page", "namespace": "shop"}, "spec": map[string]any{"key": string(pem)},
	}}
	return append(objects, route)
}

func caseOf(t *testing.T) (Case, map[string]string) {
	t.Helper()
	credentials := credentialsOf(t)
	redactor, err := v1.NewRedactor(password, credentials["authority_key"], credentials["server_key"])
	if err != nil {
		t.Fatal(err)
	}
	c := Case{
		Pattern: "shop", Alias: "SH1", Text: "the shop is open", Saw: "got status 503", Objects: objectsOf(t, credentials), Namespaces: []string{"shop"}, Redactor: redactor,
		Parameters: []Parameter{
			{Name: "password", Value: password, Secret: true},
			{Name: "authority_key", Value: credentials["authority_key"], Secret: true}, {Name: "server_key", Value: credentials["server_key"], Secret: true},
			{Name: "authority", Value: credentials["authority"], Certificate: true}, {Name: "server_certificate", Value: credentials["server_certificate"], Certificate: true},
			{Name: "old_certificate", Value: credentials["old_certificate"], Certificate: true},
			{Name: "shop_ip", Value: "192.0.2.7", Observed: &Observed{Resource: "service", Namespace: "shop", Name: "page", Paths: []string{"{.status.loadBalancer.ingress[0].ip}"}, Address: true}},
		},
		Probe: traffic.Probe{ID: "mp-SH1-1", Request: traffic.Request{
			URL: "https://192.0.2.7/page/{number}?a=b", Host: "shop.lab", Header: map[string]string{"Plan-Type": "gold", "Authorization": header, "Cookie": "session=" + header}, RootCAs: pemOf(t, credentials["authority"]),
		}},
		Hops:    []Hop{{Name: "page", Namespace: "shop", Selector: "app=page", Container: "istio-proxy", ByProbe: true}},
		Promise: Promise{Status: 503},
	}
	return c, credentials
}

func pemOf(t *testing.T, text string) string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// written writes the case, and returns the contents of its files by name.
func written(t *testing.T, c Case) map[string]string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "reproduce")
	if err := Write(folder, c); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(data)
	}
	return files
}

func TestNoSecretGetsIntoAReproducer(t *testing.T) {
	c, credentials := caseOf(t)
	for name, content := range written(t, c) {
		for _, canary := range []string{password, foreign, header, credentials["server_key"], credentials["authority_key"], pemOf(t, credentials["server_key"])} {
			for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), url.QueryEscape(canary), strings.ReplaceAll(canary, "\n", `\n`)} {
				if strings.Contains(content, form) {
					t.Errorf("%s has %q", name, form)
				}
			}
		}
		if strings.Contains(content, "PRIVATE KEY") {
			t.Errorf("%s has a private key", name)
		}
	}
}

func TestManifestsHaveVariablesForWhatTheScriptMakes(t *testing.T) {
	c, _ := caseOf(t)
	files := written(t, c)
	for _, want := range []string{
		"tls.key: ${server_key}", "tls.crt: ${server_certificate}", "old.crt: ${old_certificate}", "key: ${server_key_pem}", "other: ${secret_shop_keys_other}",
		"url: mongodb://page:${password}@${shop_ip}:27017/shop", "wrong: mongodb://page:[redacted]@${shop_ip}:27017/shop", "token: ${secret_shop_keys_token}",
		"value: redis://page:${password}@${shop_ip}:6379/0", "value: 192.0.2.70", "ip: ${shop_ip}", "istio-injection: enabled",
	} {
		if !strings.Contains(files[Manifests], want) {
			t.Errorf("there is no %q in\n%s", want, files[Manifests])
		}
	}
	for _, no := range []string{"meshproof.dev", "managedFields", "status:"} {
		if strings.Contains(files[Manifests], no) {
			t.Errorf("there is %q in\n%s", no, files[Manifests])
		}
	}
	if !strings.HasPrefix(files[Manifests], "---\napiVersion: v1\nkind: Namespace") || !strings.Contains(files[Manifests][strings.LastIndex(files[Manifests], "---"):], "kind: Deployment") {
		t.Errorf("namespaces are not first, or workloads not last:\n%s", files[Manifests])
	}
	if first := files[First]; !strings.Contains(first, "kind: Service") || strings.Contains(first, "loadBalancerIP") || strings.Contains(first, "Deployment") {
		t.Errorf("first:\n%s", first)
	}
}

func TestTheScriptIsOneThatBashReads(t *testing.T) {
	for name, change := range map[string]func(*Case){
		"a request by curl": func(*Case) {},
		"a request by an agent": func(c *Case) {
			c.From, c.Promise = &Agent{"shop", "app=outside", 8700}, Promise{Text: "outbound|80||192.0.2.7"}
		},
		"a question of an agent": func(c *Case) {
			c.From, c.Promise = &Agent{"shop", "app=outside", 8700}, Promise{Answer: "refused"}
			c.Probe.Request = traffic.Request{Database: &wire.DatabaseRequest{Address: "192.0.2.7:27017", Username: "page", Password: password}}
		},
		"a question by python": func(c *Case) {
			c.Promise = Promise{Absent: true}
			c.Probe.Request = traffic.Request{Database: &wire.DatabaseRequest{Address: "192.0.2.7:27017", Password: password, TLS: &wire.DatabaseTLS{ServerName: "shop.lab"}}}
		},
		"nothing that has to be made": func(c *Case) { c.Objects, c.Parameters, c.Probe.Request.RootCAs = c.Objects[:1], nil, "" },
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := caseOf(t)
			change(&c)
			script := written(t, c)[Script]
			path := filepath.Join(t.TempDir(), Script)
			if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			if output, err := exec.Command("bash", "-n", path).CombinedOutput(); err != nil {
				t.Errorf("%v: %s\n%s", err, output, script)
			}
			if strings.Contains(script, password) || strings.Contains(script, "<no value>") {
				t.Errorf("script:\n%s", script)
			}
		})
	}
}

func TestTheScriptSendsTheProbe(t *testing.T) {
	c, _ := caseOf(t)
	script := written(t, c)[Script]
	for _, want := range []string{
		`-H "Host: shop.lab"`, `-H "Plan-Type: gold"`, `-H "User-Agent: meshproof/${id}"`, `--cacert "$work/authority.pem"`, `"https://${shop_ip}/page/${number}?a=b&meshproof=${id}"`, `cat "$work/authority.pem"`,
		`if [ "$status" = 503 ]`,
	} {
		if !strings.Contains(script, want) {
			t.Errorf("there is no %s in\n%s", want, script)
		}
	}
}

// TestWhatTheScriptMakes runs its part that makes values, and fills the manifests with them: what comes of it has keys that fit their
// certificates, the names that are asked for, and is YAML.
func TestWhatTheScriptMakes(t *testing.T) {
	for _, tool := range []string{"bash", "openssl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	c, _ := caseOf(t)
	folder := t.TempDir()
	if err := Write(folder, c); err != nil {
		t.Fatal(err)
	}
	// A kubectl that knows the address, and says what it was given.
	bin := t.TempDir()
	const kubectl = "#!/usr/bin/env bash\ncase \"$*\" in 'get namespace'*) exit 1;; *apply*) cat;; *jsonpath*) echo 198.51.100.4;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(kubectl), 0o755); err != nil {
		t.Fatal(err)
	}
	install := exec.Command("bash", "-c", `source <(sed '/^case ${1:-all}/,$d' reproduce.sh); install; openssl x509 -in "$work/server_certificate.pem" -noout -ext subjectAltName -checkend 0; openssl verify -CAfile "$work/authority.pem" "$work/server_certificate.pem"; openssl x509 -in "$work/old_certificate.pem" -noout -checkend 0 || echo it has expired`)
	install.Dir = folder
	install.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "TMPDIR="+t.TempDir())
	output, err := install.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, output)
	}
	for _, want := range []string{"DNS:shop.lab, IP Address:198.51.100.4", "server_certificate.pem: OK", "it has expired", "ip: 198.51.100.4"} {
		if !strings.Contains(string(output), want) {
			t.Errorf("there is no %q in\n%s", want, output)
		}
	}
	manifests, _, _ := strings.Cut(string(output), "X509v3")
	for _, document := range strings.Split(manifests, "\n---\n") {
		var content struct {
			Kind string
			Spec struct{ Key string }
		}
		if err := yaml.Unmarshal([]byte(document), &content); err != nil {
			t.Errorf("%v:\n%s", err, document)
		}
		if content.Kind == "Route" && !strings.HasPrefix(content.Spec.Key, "-----BEGIN PRIVATE KEY-----\n") {
			t.Errorf("the Route's key is %q", content.Spec.Key)
		}
	}
}
