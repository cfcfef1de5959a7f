package mesh

import (
	"fmt"
	"io/fs"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Harden applies the *.yaml files of a pattern's hardened variant to its objects, in the order of their names, each as a
// file overlay is.
func Harden(objects []*unstructured.Unstructured, files fs.FS, values map[string]string) ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read %s of the hardened variant: %w", name, err)
		}
		if objects, err = OverlayText(objects, "hardened/"+name, string(data), values); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
