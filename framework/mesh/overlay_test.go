package mesh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// base is what overlays change: a kind that Kubernetes knows, two that it does not, values that look like other types, and
// an order of kinds that is not kustomize's own.
const base = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: page-v1, namespace: app}
spec:
  replicas: 1
  template:
    metadata:
      annotations: {sidecar.istio.io/inject: "true", port: "15020"}
    spec:
      containers:
      - {name: page, image: "page:1", imagePullPolicy: IfNotPresent}
      - {name: agent, image: "agent:1"}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: default, namespace: ingress}
spec:
  selector: {istio: ingress}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [api.lab]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: default, namespace: other}
spec:
  selector: {istio: other}
---
apiVersion: v1
kind: Namespace
metadata:
  name: app
  annotations: {x-a: "on", x-b: "12:30:45", x-c: "0o7", x-d: "1e3", x-e: "1_000", x-f: "2020-01-01", x-g: "", x-h: "~", x-i: "a: b #c", x-j: "one\ntwo\n", x-k: " x ", x-l: "007", x-m: "=", x-n: "<<"}
`

// overlayOf writes the pairs of name and content into a folder and returns it.
func overlayOf(t *testing.T, pairs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		path := filepath.Join(dir, pairs[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(pairs[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	scaled = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: page-v1, namespace: app}\nspec: {replicas: 3}\n"
	added  = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new, namespace: app, annotations: {meshproof.dev/add: \"true\"}}\ndata: {a: b}\n"
)

var values = map[string]string{"hostname": "page.lab", "namespace": "app", "tag": "2"}

// The objects that an overlay says nothing about stay exactly as they are, and everything stays in its order.
func TestOverlayChangesNothingElse(t *testing.T) {
	for name, path := range map[string]string{
		"file":   filepath.Join(overlayOf(t, "o.yaml", scaled), "o.yaml"),
		"folder": overlayOf(t, "kustomization.yaml", "patches: [{path: o.yaml}]\n", "o.yaml", scaled),
	} {
		t.Run(name, func(t *testing.T) {
			before := decode(t, base)
			got, err := Overlay(before, path, values)
			if err != nil {
				t.Fatal(err)
			}
			want := decode(t, base)
			if diff := cmp.Diff(want, before); diff != "" {
				t.Errorf("the given objects were changed (-want +got):\n%s", diff)
			}
			want[0].Object["spec"].(map[string]any)["replicas"] = int64(3)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOverlay(t *testing.T) {
	containers := func(objects []*unstructured.Unstructured) any {
		list, _, _ := unstructured.NestedSlice(objects[0].Object, "spec", "template", "spec", "containers")
		return list
	}
	gateway := func(objects []*unstructured.Unstructured) any { return objects[1].Object["spec"] }
	names := func(objects []*unstructured.Unstructured) any { return describe(objects) }
	baseNames := []string{"Deployment app/page-v1", "Gateway ingress/default", "Gateway other/default", "Namespace app"}
	for name, row := range map[string]struct {
		files []string // of a file overlay there is one
		look  func([]*unstructured.Unstructured) any
		want  any
	}{
		"a list of a known kind is merged by name": {
			[]string{"o.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: page-v1, namespace: app}\n" +
				"spec: {template: {spec: {containers: [{name: page, image: 'page:${tag}'}]}}}\n"},
			containers,
			[]any{map[string]any{"name": "page", "image": "page:2", "imagePullPolicy": "IfNotPresent"}, map[string]any{"name": "agent", "image": "agent:1"}},
		},
		"a list of another kind is replaced": {
			[]string{"o.yaml", "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: default, namespace: ingress}\n" +
				"spec: {servers: [{port: {number: 8080}, hosts: ['${hostname}']}]}\n"},
			gateway,
			map[string]any{"selector": map[string]any{"istio": "ingress"}, "servers": []any{
				map[string]any{"port": map[string]any{"number": int64(8080)}, "hosts": []any{"page.lab"}},
			}},
		},
		"a patch can delete": {
			[]string{"o.yaml", "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: default, namespace: other}\n$patch: delete\n"},
			names, []string{baseNames[0], baseNames[1], baseNames[3]},
		},
		"an annotated object is added":   {[]string{"o.yaml", added}, names, append(baseNames[:4:4], "ConfigMap app/new")},
		"a file may change and add":      {[]string{"o.yaml", added + "---\n" + scaled}, names, append(baseNames[:4:4], "ConfigMap app/new")},
		"a folder may add":               {[]string{"kustomization.yaml", "resources: [n.yaml]\n", "n.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new, namespace: '${namespace}'}\n"}, names, append(baseNames[:4:4], "ConfigMap app/new")},
		"kustomization.yml is known":     {[]string{"kustomization.yml", "resources: [n.yaml]\n", "n.yaml", added}, names, append(baseNames[:4:4], "ConfigMap app/new")},
		"Kustomization is known":         {[]string{"Kustomization", "resources: [n.yaml]\n", "n.yaml", added}, names, append(baseNames[:4:4], "ConfigMap app/new")},
		"a kustomization may hold names": {[]string{"kustomization.yaml", "images: [{name: page, newTag: '${tag}'}]\n"}, containers, []any{map[string]any{"name": "page", "image": "page:2", "imagePullPolicy": "IfNotPresent"}, map[string]any{"name": "agent", "image": "agent:1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			path := overlayOf(t, row.files...)
			if row.files[0] == "o.yaml" {
				path = filepath.Join(path, "o.yaml")
			}
			got, err := Overlay(decode(t, base), path, values)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, row.look(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOverlayRefuses(t *testing.T) {
	patchOf := func(apiVersion, kind, metadata string) string {
		return "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {" + metadata + "}\nspec: {replicas: 2}\n"
	}
	const nobody = "the pattern does not have"
	for name, row := range map[string]struct {
		files []string
		want  []string
	}{
		"a mistyped name":                 {[]string{"o.yaml", patchOf("apps/v1", "Deployment", "name: page-v2, namespace: app")}, []string{"o.yaml", "Deployment app/page-v2", nobody, AddAnnotation}},
		"another namespace":               {[]string{"o.yaml", patchOf("apps/v1", "Deployment", "name: page-v1, namespace: ingress")}, []string{"Deployment ingress/page-v1", nobody}},
		"no namespace":                    {[]string{"o.yaml", patchOf("apps/v1", "Deployment", "name: page-v1")}, []string{"Deployment page-v1", nobody}},
		"another kind":                    {[]string{"o.yaml", patchOf("apps/v1", "StatefulSet", "name: page-v1, namespace: app")}, []string{"StatefulSet app/page-v1", nobody}},
		"another group":                   {[]string{"o.yaml", patchOf("gateway.networking.k8s.io/v1", "Gateway", "name: default, namespace: ingress")}, []string{"Gateway ingress/default", nobody}},
		"another version":                 {[]string{"o.yaml", patchOf("networking.istio.io/v1beta1", "Gateway", "name: default, namespace: ingress")}, []string{"o.yaml", "default"}},
		"one that is wrong among others":  {[]string{"o.yaml", scaled + "---\n" + patchOf("apps/v1", "Deployment", "name: page-v2, namespace: app")}, []string{"Deployment app/page-v2", nobody}},
		"a file that is no YAML":          {[]string{"o.yaml", "spec: {"}, []string{"o.yaml", "not valid YAML"}},
		"a file without objects":          {[]string{"o.yaml", "# later\n"}, []string{"o.yaml", "no object"}},
		"an unknown placeholder":          {[]string{"o.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: app, labels: {a: '${unknown}'}}\n"}, []string{"o.yaml", "${unknown}"}},
		"a folder without kustomization":  {[]string{"patch.yaml", scaled}, []string{"holds no kustomization.yaml"}},
		"a kustomization below":           {[]string{"sub/kustomization.yaml", "patches: []\n"}, []string{"holds no kustomization.yaml"}},
		"a field that kustomize has not":  {[]string{"kustomization.yaml", "patchs: []\n"}, []string{"kustomization.yaml", "patchs"}},
		"an unknown placeholder in there": {[]string{"kustomization.yaml", "namePrefix: ${unknown}\n"}, []string{"kustomization.yaml", "${unknown}"}},
		"a placeholder in a named file":   {[]string{"kustomization.yaml", "patches: [{path: p.yaml}]\n", "p.yaml", "a: ${unknown}\n"}, []string{"p.yaml", "${unknown}"}},
		"a file that is not there":        {[]string{"kustomization.yaml", "patches: [{path: p.yaml}]\n"}, []string{"p.yaml"}},
		"a folder's patch without target": {[]string{"kustomization.yaml", "patches: [{path: p.yaml}]\n", "p.yaml", patchOf("apps/v1", "Deployment", "name: page-v2, namespace: app")}, []string{"page-v2"}},
		"what is there already, again":    {[]string{"kustomization.yaml", "resources: [n.yaml]\n", "n.yaml", scaled}, []string{"page-v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := overlayOf(t, row.files...)
			if row.files[0] == "o.yaml" {
				path = filepath.Join(path, "o.yaml")
			}
			_, err := Overlay(decode(t, base), path, values)
			wantError(t, err, row.want...)
		})
	}
	t.Run("a path that is not there", func(t *testing.T) {
		missing := filepath.Join(t.TempDir(), "missing.yaml")
		_, err := Overlay(decode(t, base), missing, values)
		wantError(t, err, "overlay", missing)
	})
}

// A text is to an overlay what a file is.
func TestOverlayText(t *testing.T) {
	const removal = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: default, namespace: other}\n$patch: delete\n"
	for name, text := range map[string]string{
		"a patch":     scaled,
		"a removal":   removal,
		"all at once": scaled + "---\n" + removal + "---\n" + added,
	} {
		t.Run(name, func(t *testing.T) {
			want, err := Overlay(decode(t, base), filepath.Join(overlayOf(t, "o.yaml", text), "o.yaml"), values)
			if err != nil {
				t.Fatal(err)
			}
			got, err := OverlayText(decode(t, base), "the patches", text, values)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
	_, err := OverlayText(decode(t, base), "the patches", strings.Replace(scaled, "page-v1", "page-v2", 1), values)
	wantError(t, err, "the patches", "Deployment app/page-v2", "the pattern does not have")
	_, err = OverlayText(decode(t, base), "the patches", "a: ${unknown}\n", values)
	wantError(t, err, "the patches", "${unknown}")
}
