package kube

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Decode reads the objects of a YAML stream. Duplicate keys, a document without kind, apiVersion or name, and a stream
// without any object are errors; source names the stream in them. Unknown fields are the API server's to refuse, which
// knows the kinds that this program does not.
func Decode(source string, data []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for index := 1; ; index++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: read document %d: %w", source, index, err)
		}
		asJSON, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, fmt.Errorf("%s: document %d is not valid YAML: %w", source, index, err)
		}
		content := map[string]any{}
		// Kubernetes' own decoder keeps whole numbers whole, which the accessors of unstructured objects rely on.
		if err := utiljson.Unmarshal(asJSON, &content); err != nil {
			return nil, fmt.Errorf("%s: document %d is not an object: %w", source, index, err)
		}
		if len(content) == 0 {
			continue // only comments
		}
		object := &unstructured.Unstructured{Object: content}
		if object.GetKind() == "" || object.GetAPIVersion() == "" || object.GetName() == "" {
			return nil, fmt.Errorf("%s: document %d is not a Kubernetes object: it needs apiVersion, kind and metadata.name", source, index)
		}
		objects = append(objects, object)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("%s: holds no object", source)
	}
	return objects, nil
}
