package basicgateway_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/mesh"
	basicgateway "github.com/meshproof/meshproof/suites/basic-gateway"
)

var update = flag.Bool("update", false, "write the golden file instead of comparing with it")

const golden = "testdata/rendered.golden.yaml"

// TestRendered shows, in review, what a change of the manifests or of the rendering changes on a cluster.
func TestRendered(t *testing.T) {
	p := basicgateway.Pattern()
	values, err := p.Values(map[string]string{"route_hostname": "page.example.org"}, "7f3a", func(fixture string) string { return "registry.example.org/" + fixture + ":v1" })
	if err != nil {
		t.Fatal(err)
	}
	objects, err := mesh.Render(p.Manifests, values)
	if err != nil {
		t.Fatal(err)
	}
	if err := mesh.CheckNamespaces(objects, p.Namespaces(values)); err != nil {
		t.Error(err)
	}
	var got bytes.Buffer
	for _, object := range objects {
		data, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString("---\n")
		got.Write(data)
	}
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s is not what is rendered; look at the difference, and then write it with `go test ./suites/basic-gateway -update` (-want +got):\n%s", golden, diff)
	}
}
