package mesh

import (
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
)

func TestHarden(t *testing.T) {
	const settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\n"
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	added := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more, namespace: shop, annotations: {meshproof.dev/add: \"true\"}}\n"
	for name, test := range map[string]struct {
		files fstest.MapFS
		// data is what the settings hold, and objects are how many there are.
		data, err string
		objects   int
	}{
		"nothing":                         {fstest.MapFS{}, "plain", "", 1},
		"a patch":                         {fstest.MapFS{"a.yaml": file(settings + "data: {port: \"${port}\"}\n")}, "27018", "", 1},
		"later files come last":           {fstest.MapFS{"b.yaml": file(settings + "data: {port: second}\n"), "a.yaml": file(settings + "data: {port: first}\n")}, "second", "", 1},
		"an addition":                     {fstest.MapFS{"a.yaml": file(added)}, "plain", "", 2},
		"a later patch of an addition":    {fstest.MapFS{"a.yaml": file(added), "b.yaml": file(strings.Replace(added, ", annotations: {meshproof.dev/add: \"true\"}", "", 1) + "data: {x: y}\n")}, "plain", "", 2},
		"what is no YAML file is nothing": {fstest.MapFS{"README.md": file("words"), "more/a.yaml": file(settings + "data: {port: deep}\n")}, "plain", "", 1},
		"a patch of what is not there":    {fstest.MapFS{"a.yaml": file(strings.Replace(settings, "settings", "setings", 1))}, "", "the overlay hardened/a.yaml changes ConfigMap shop/setings, which the pattern does not have", 0},
		"an unknown parameter":            {fstest.MapFS{"a.yaml": file(settings + "data: {port: \"${prot}\"}\n")}, "", "hardened/a.yaml", 0},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := kube.Decode("test", []byte(settings+"data: {port: plain}\n"))
			if err != nil {
				t.Fatal(err)
			}
			objects, err = Harden(objects, test.files, map[string]string{"port": "27018"})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want one that says %s", err, test.err)
				}
				return
			}
			if err != nil || len(objects) != test.objects {
				t.Fatalf("%d objects, want %d; error %v", len(objects), test.objects, err)
			}
			for _, object := range objects {
				if got, _, _ := unstructured.NestedString(object.Object, "data", "port"); object.GetName() == "settings" && got != test.data {
					t.Errorf("port %q, want %q", got, test.data)
				}
			}
		})
	}
}
