// Package golden shows, in review, what a change of a pattern's manifests or of their rendering changes on a cluster.
package golden

import (
	"bytes"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/internal/golden"
)

// Check compares what a pattern renders with testdata/rendered.golden.yaml, and its hardened variant, when it has one, with
// testdata/hardened.golden.yaml. What is random, or signed, is replaced by the name of its parameter.
func Check(t *testing.T, p pattern.Pattern) {
	t.Helper()
	set := map[string]string{}
	p.Parameters = slices.Clone(p.Parameters)
	for index, parameter := range p.Parameters {
		if parameter.Name == "route_hostname" {
			set[parameter.Name] = "page.example.org"
		}
		if parameter.Generate != nil || parameter.Compute != nil {
			set[parameter.Name] = parameter.Name
			p.Parameters[index].Parse = nil // a name is no key and no certificate
		}
	}
	values, err := p.Values(set, "7f3a", func(fixture string) string { return "registry.example.org/" + fixture + ":v1" })
	if err != nil {
		t.Fatal(err)
	}
	if values, err = p.Computed(values, set); err != nil {
		t.Fatal(err)
	}
	objects, err := mesh.Render(p.Manifests, values, p.Unrendered()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := mesh.CheckNamespaces(objects, p.Namespaces(values)); err != nil {
		t.Error(err)
	}
	golden.Compare(t, "testdata/rendered.golden.yaml", text(t, objects))
	if p.Hardened == nil {
		return
	}
	if objects, err = mesh.Harden(objects, p.Hardened, values); err != nil {
		t.Fatal(err)
	}
	if err := mesh.CheckNamespaces(objects, p.Namespaces(values)); err != nil {
		t.Error(err)
	}
	golden.Compare(t, "testdata/hardened.golden.yaml", text(t, objects))
}

func text[O interface{ UnstructuredContent() map[string]any }](t *testing.T, objects []O) string {
	t.Helper()
	var written bytes.Buffer
	for _, object := range objects {
		data, err := yaml.Marshal(object.UnstructuredContent())
		if err != nil {
			t.Fatal(err)
		}
		written.WriteString("---\n")
		written.Write(data)
	}
	return written.String()
}
