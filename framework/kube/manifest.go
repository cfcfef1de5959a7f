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
		if err := checkMetadata(content); err != nil {
			return nil, fmt.Errorf("%s: document %d: %w", source, index, err)
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

// checkMetadata refuses what the accessors of unstructured objects would take for absent, and a change of the labels would
// drop: YAML takes n and on for truth values, and 1 for a number.
func checkMetadata(content map[string]any) error {
	metadata, _, _ := unstructured.NestedMap(content, "metadata")
	for _, field := range []string{"name", "namespace"} {
		if value := metadata[field]; value != nil {
			if _, ok := value.(string); !ok {
				return fmt.Errorf("metadata.%s is %v, which is no text: put it in quotes", field, value)
			}
		}
	}
	for _, field := range []string{"labels", "annotations"} {
		if metadata[field] == nil {
			continue
		}
		if _, _, err := unstructured.NestedStringMap(metadata, field); err != nil {
			return fmt.Errorf("metadata.%s holds what is no text, and may need quotes: %w", field, err)
		}
	}
	return nil
}
