package mesh

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
)

// files makes a file system of pairs of name and content.
func files(pairs ...string) fs.FS {
	made := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		made[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return made
}

// decode reads objects from YAML.
func decode(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := kube.Decode("objects of the test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func describe(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, object := range objects {
		names = append(names, kube.Describe(object))
	}
	return names
}

// wantError fails the test unless err holds every one of the words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error = %v\nwant one with %q", err, word)
		}
	}
}

// configMap is a manifest of a ConfigMap in a namespace, with one more line.
func configMap(namespace, name, line string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: " + namespace + ", name: " + name + "}\n" + line + "\n"
}

func TestRenderKeepsTheOrderOfNames(t *testing.T) {
	objects, err := Render(files(
		"20-b.yaml", configMap("ns", "third", "")+"---\n"+configMap("ns", "fourth", ""),
		"10-a.yaml", configMap("ns", "second", ""),
		"more/00.yaml", configMap("ns", "fifth", ""),
		"00.yaml", configMap("ns", "first", ""),
		"README.md", "no manifest: ${nothing}",
		"values.yml", "no manifest either",
	), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ConfigMap ns/first", "ConfigMap ns/second", "ConfigMap ns/third", "ConfigMap ns/fourth", "ConfigMap ns/fifth"}
	if diff := cmp.Diff(want, describe(objects)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestRenderReplacesPlaceholders(t *testing.T) {
	objects, err := Render(files(
		"a.yaml", configMap("${a_namespace}", "x-${name}-${name}", `data: {plain: $name $(name) $1, nested: "${v2}"}`),
		"b.yaml", configMap("ns", "number", "data: {count: ${count}}"),
	), map[string]string{"a_namespace": "bookinfo", "name": "y", "v2": "${name}", "count": "3", "spare": "z"}, "spare")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ConfigMap bookinfo/x-y-y", "ConfigMap ns/number"}, describe(objects)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"plain": "$name $(name) $1", "nested": "${name}"}, objects[0].Object["data"]); diff != "" {
		t.Errorf("a value is not looked at again, and only ${name} is replaced (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"count": int64(3)}, objects[1].Object["data"]); diff != "" {
		t.Errorf("number (-want +got):\n%s", diff)
	}
}

func TestRenderRefuses(t *testing.T) {
	one := func(line string) fs.FS { return files("10-a.yaml", configMap("ns", "x", line)) }
	for name, row := range map[string]struct {
		manifests fs.FS
		values    map[string]string
		optional  []string
		want      []string
	}{
		"nothing":                       {manifests: files(), want: []string{"no manifest"}},
		"nothing of the right name":     {manifests: files("a.yml", configMap("ns", "x", "")), want: []string{"no manifest"}},
		"an unset parameter":            {manifests: one("data: {a: ${missing}}"), want: []string{"10-a.yaml", "${missing}", "no value"}},
		"an unset one in a comment":     {manifests: one("# ${missing}"), want: []string{"10-a.yaml", "${missing}"}},
		"an unset but optional one":     {manifests: one("data: {a: ${missing}}"), optional: []string{"missing"}, want: []string{"10-a.yaml", "${missing}"}},
		"an unused parameter":           {manifests: one(""), values: map[string]string{"idle": "1"}, want: []string{"idle", "no manifest"}},
		"a capital letter":              {manifests: one("data: {a: ${Name}}"), values: map[string]string{"Name": "x"}, want: []string{"10-a.yaml", "${Name}", "no placeholder"}},
		"a dash":                        {manifests: one("data: {a: ${a-b}}"), values: map[string]string{"a-b": "x"}, want: []string{"${a-b}", "no placeholder"}},
		"a leading digit":               {manifests: one("data: {a: ${1a}}"), values: map[string]string{"1a": "x"}, want: []string{"${1a}", "no placeholder"}},
		"spaces":                        {manifests: one("data: {a: ${ a }}"), values: map[string]string{"a": "x"}, want: []string{"${ a }", "no placeholder"}},
		"a default as in a shell":       {manifests: one("data: {a: ${a:-b}}"), values: map[string]string{"a": "x"}, want: []string{"${a:-b}", "no placeholder"}},
		"no name":                       {manifests: one("data: {a: ${}}"), values: map[string]string{"": "x"}, want: []string{"10-a.yaml", "no placeholder"}},
		"no closing brace":              {manifests: one("data:\n  a: ${a\n"), values: map[string]string{}, want: []string{"10-a.yaml", "${a", "no placeholder"}},
		"no closing brace on its line":  {manifests: one("data:\n  a: ${a\n  b: '}'\n"), values: map[string]string{"a": "x"}, want: []string{"10-a.yaml", "${a", "no placeholder"}},
		"a line feed in a value":        {manifests: one("data: {a: ${a}}"), values: map[string]string{"a": "x\ny: z"}, want: []string{"10-a.yaml", "${a}", "line break"}},
		"a carriage return in a value":  {manifests: one("data: {a: ${a}}"), values: map[string]string{"a": "x\ry: z"}, want: []string{"${a}", "line break"}},
		"a duplicate key":               {manifests: one("data: {a: b}\ndata: {c: d}"), want: []string{"10-a.yaml", "data"}},
		"no YAML":                       {manifests: one("data: {a: b"), want: []string{"10-a.yaml", "not valid YAML"}},
		"no kind":                       {manifests: files("10-a.yaml", "apiVersion: v1\nmetadata: {name: x}\n"), want: []string{"10-a.yaml", "kind"}},
		"no name in the metadata":       {manifests: files("10-a.yaml", "apiVersion: v1\nkind: ConfigMap\n"), want: []string{"10-a.yaml", "metadata.name"}},
		"a manifest with comments only": {manifests: files("10-a.yaml", configMap("ns", "x", ""), "20-b.yaml", "# later\n"), want: []string{"20-b.yaml", "no object"}},
		"an object twice":               {manifests: files("10-a.yaml", configMap("ns", "x", ""), "20-b.yaml", configMap("ns", "x", "data: {a: b}")), want: []string{"ConfigMap ns/x", "twice"}},
		"an object in two versions": {manifests: files("a.yaml", "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: ns}\n---\n"+
			"apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata: {name: g, namespace: ns}\n"), want: []string{"Gateway ns/g", "twice"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Render(row.manifests, row.values, row.optional...)
			wantError(t, err, row.want...)
		})
	}
}

// Objects of one name are not the same object when their group or namespace differs.
func TestRenderTellsObjectsApart(t *testing.T) {
	objects, err := Render(files("a.yaml", strings.Join([]string{
		"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: ns}\n",
		"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: ns}\n",
		"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: other}\n",
	}, "---\n")), nil)
	if err != nil || len(objects) != 3 {
		t.Errorf("%d objects, error %v; want 3", len(objects), err)
	}
}

// The same mistakes give the same error, whichever way a map is walked.
func TestRenderErrsTheSameWayEachTime(t *testing.T) {
	for range 20 {
		_, err := Render(files("a.yaml", configMap("ns", "x", "")), map[string]string{"c": "1", "a": "1", "b": "1"})
		wantError(t, err, "parameter a is")
	}
}

func TestMark(t *testing.T) {
	common := func(more ...string) map[string]string {
		labels := map[string]string{"meshproof.dev/run": "7f3a", "meshproof.dev/pattern": "basic-gateway", "app.kubernetes.io/managed-by": "meshproof"}
		for i := 0; i < len(more); i += 2 {
			labels[more[i]] = more[i+1]
		}
		return labels
	}
	const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns"
	pod := func(asks string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: ns, labels: {sidecar.istio.io/inject: '" + asks + "'}}\n"
	}
	for name, row := range map[string]struct {
		object, revision string
		want             map[string]string
	}{
		"an object without labels":             {configMap("ns", "x", ""), "1-27", common()},
		"an object's own labels stay":          {"apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: ns, labels: {app: page}}\n", "", common("app", "page")},
		"a false manager is corrected":         {"apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: ns, labels: {app.kubernetes.io/managed-by: helm}}\n", "", common()},
		"a member without revision":            {namespace + ", labels: {istio-injection: enabled}}\n", "", common("istio-injection", "enabled")},
		"a member of the default revision":     {namespace + ", labels: {istio-injection: enabled}}\n", "default", common("istio-injection", "enabled")},
		"a member of another revision":         {namespace + ", labels: {istio-injection: enabled, a: b}}\n", "1-27", common("istio.io/rev", "1-27", "a", "b")},
		"a namespace that wants none":          {namespace + ", labels: {istio-injection: disabled}}\n", "1-27", common("istio-injection", "disabled")},
		"a namespace outside the mesh":         {namespace + "}\n", "1-27", common()},
		"a pod that asks for a proxy":          {pod("true"), "1-27", common("sidecar.istio.io/inject", "true", "istio.io/rev", "1-27")},
		"a pod that asks for the default's":    {pod("true"), "default", common("sidecar.istio.io/inject", "true")},
		"a pod that wants none":                {pod("false"), "1-27", common("sidecar.istio.io/inject", "false")},
		"only namespaces change their members": {"apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: ns, labels: {istio-injection: enabled}}\n", "1-27", common("istio-injection", "enabled")},
	} {
		t.Run(name, func(t *testing.T) {
			objects := decode(t, row.object)
			Mark(objects, "7f3a", "basic-gateway", row.revision)
			if diff := cmp.Diff(row.want, objects[0].GetLabels()); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}

// Pods that ask for a proxy themselves get it from the run's revision, also where their namespace does not say it.
func TestMarkWorkloads(t *testing.T) {
	workload := func(labels string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: ns}\nspec: {template: {metadata: {labels: {app: d" + labels + "}}}}\n"
	}
	for name, row := range map[string]struct {
		labels, revision string
		want             map[string]string
	}{
		"asks":                         {", sidecar.istio.io/inject: 'true'", "1-27", map[string]string{"app": "d", "sidecar.istio.io/inject": "true", "istio.io/rev": "1-27"}},
		"asks, of the default":         {", sidecar.istio.io/inject: 'true'", "default", map[string]string{"app": "d", "sidecar.istio.io/inject": "true"}},
		"asks, without a revision":     {", sidecar.istio.io/inject: 'true'", "", map[string]string{"app": "d", "sidecar.istio.io/inject": "true"}},
		"wants none":                   {", sidecar.istio.io/inject: 'false'", "1-27", map[string]string{"app": "d", "sidecar.istio.io/inject": "false"}},
		"leaves it to its namespace":   {"", "1-27", map[string]string{"app": "d"}},
		"a revision of another's name": {", sidecar.istio.io/inject: 'true', istio.io/rev: canary", "1-27", map[string]string{"app": "d", "sidecar.istio.io/inject": "true", "istio.io/rev": "1-27"}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := decode(t, workload(row.labels))
			Mark(objects, "7f3a", "basic-gateway", row.revision)
			got, _, err := unstructured.NestedStringMap(objects[0].Object, "spec", "template", "metadata", "labels")
			if diff := cmp.Diff(row.want, got); err != nil || diff != "" {
				t.Errorf("error %v, the pods' labels (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestCheckNamespaces(t *testing.T) {
	const ours = "apiVersion: v1\nkind: Namespace\nmetadata: {name: ours}\n---\n"
	for name, row := range map[string]struct {
		objects string
		want    []string // none: accepted
	}{
		"own namespaces and what is in them": {ours + configMap("ours", "a", "") + "---\n" + configMap("too", "b", ""), nil},
		"another namespace":                  {ours + "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n", []string{"Namespace istio-system", "ours, too"}},
		"an object in another namespace":     {ours + configMap("istio-system", "mesh", ""), []string{"ConfigMap istio-system/mesh", "ours, too"}},
		"an object without namespace":        {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", []string{"ConfigMap a", "outside"}},
		"a cluster role":                     {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: ours}\n", []string{"ClusterRole ours", "outside"}},
		"a namespace of another group":       {"apiVersion: example.org/v1\nkind: Namespace\nmetadata: {name: ours}\n", []string{"Namespace ours", "outside"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckNamespaces(decode(t, row.objects), []string{"ours", "too"})
			if row.want == nil {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			wantError(t, err, row.want...)
		})
	}
}

func TestRenderText(t *testing.T) {
	values := map[string]string{"ns": "app", "idle": "1"}
	objects, err := RenderText("the check's own", configMap("${ns}", "a", "")+"---\n"+configMap("${ns}", "b", ""), values)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ConfigMap app/a", "ConfigMap app/b"}, describe(objects)); diff != "" {
		t.Errorf("objects, of which not every one must use every parameter (-want +got):\n%s", diff)
	}
	for name, row := range map[string]struct {
		text string
		want []string
	}{
		"an unset parameter": {configMap("${nowhere}", "a", ""), []string{"the check's own", "${nowhere}", "no value"}},
		"no placeholder":     {configMap("${NS}", "a", ""), []string{"the check's own", "${NS}", "no placeholder"}},
		"no YAML":            {"a: {", []string{"the check's own", "not valid YAML"}},
		"nothing":            {"# later\n", []string{"the check's own", "no object"}},
		"an object twice":    {configMap("${ns}", "a", "") + "---\n" + configMap("app", "a", ""), []string{"ConfigMap app/a", "twice"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := RenderText("the check's own", row.text, values)
			wantError(t, err, row.want...)
		})
	}
}
