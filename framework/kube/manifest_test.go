package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func decode(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := Decode("objects of the test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// head is the beginning of a ConfigMap.
const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\n"

func TestDecodeKeepsTypes(t *testing.T) {
	object := decode(t, head+`data: {whole: 80, negative: -1, big: 9007199254740993, part: 0.5, text: "80", word: "true", truth: true, none: null, list: [1, {a: 2}]}`)[0]
	want := map[string]any{
		"whole": int64(80), "negative": int64(-1), "big": int64(9007199254740993), "part": 0.5, "text": "80", "word": "true", "truth": true, "none": nil,
		"list": []any{int64(1), map[string]any{"a": int64(2)}},
	}
	if diff := cmp.Diff(want, object.Object["data"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeReadsEveryDocument(t *testing.T) {
	second := strings.Replace(head, "name: a", "name: b", 1)
	for name, text := range map[string]string{
		"two":                         head + "---\n" + second,
		"a separator at the start":    "---\n" + head + "---\n" + second,
		"a separator at the end":      head + "---\n" + second + "---\n",
		"empty ones between":          head + "---\n---\n\n---\n" + second,
		"comments only, in between":   "# first\n---\n" + head + "---\n# nothing here\n---\n# second\n" + second + "---\n# last\n",
		"no line end":                 head + "---\n" + strings.TrimSpace(second),
		"carriage returns":            strings.ReplaceAll(head+"---\n"+second, "\n", "\r\n"),
		"a separator in a value":      head + "data:\n  text: |\n    a\n    ---\n    b\n---\n" + second,
		"JSON":                        `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}}` + "\n---\n" + second,
		"empty labels":                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: ns\n  labels:\n  annotations: {}\n---\n" + second,
		"an anchor of the document's": "x: &it a\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: *it, namespace: ns}\n---\n" + second,
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, object := range decode(t, text) {
				got = append(got, Describe(object))
			}
			if diff := cmp.Diff([]string{"ConfigMap ns/a", "ConfigMap ns/b"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, row := range map[string]struct{ text, want string }{
		"nothing":                 {"", "holds no object"},
		"comments only":           {"# a\n---\n# b\n", "holds no object"},
		"a key twice":             {head + "data: {a: b}\ndata: {c: d}\n", `document 1 is not valid YAML`},
		"a key twice, deep down":  {head + "data: {a: {b: c, b: d}}\n", `"b" already set`},
		"broken YAML":             {head + "---\na: [\n", "document 2 is not valid YAML"},
		"a tab":                   {"a:\n\tb: c\n", "document 1 is not valid YAML"},
		"a list":                  {"- " + strings.ReplaceAll(head, "\n", "\n  "), "document 1 is not an object"},
		"a word":                  {"hello\n", "document 1 is not an object"},
		"no kind":                 {"apiVersion: v1\nmetadata: {name: a}\n", "document 1 is not a Kubernetes object"},
		"no apiVersion":           {"kind: ConfigMap\nmetadata: {name: a}\n", "document 1 is not a Kubernetes object"},
		"no name":                 {head + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n", "document 2 is not a Kubernetes object"},
		"a separator with a word": {head + "--- oops\n" + head, "oops"},
		"a name that is a number": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1}\n", "metadata.name"},
		// YAML takes n, y, on and off for truth values.
		"a namespace that is no text": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: n}\n", "metadata.namespace"},
		"a label that is no text":     {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {app: page, version: 1}}\n", "metadata.labels"},
		"an annotation that is none":  {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {sidecar.istio.io/inject: false}}\n", "metadata.annotations"},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := Decode("manifests/10-a.yaml", []byte(row.text))
			if err == nil || !strings.HasPrefix(err.Error(), "manifests/10-a.yaml: ") || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%d objects, error %v\nwant an error of manifests/10-a.yaml with %q", len(objects), err, row.want)
			}
		})
	}
}
