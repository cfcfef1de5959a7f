package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshproof/meshproof/framework/run"
)

// settingsFile is read, where it is there, when no other is named.
const settingsFile = "meshproof.yaml"

// fileSettings are what a file says of settings, by key.
type fileSettings struct {
	path   string
	values map[string]*yaml.Node
}

// readSettings reads the file of settings, which may have the known keys and no other. Without a path it is settingsFile in the
// working folder, which need not be there.
func readSettings(path string, known []string) (fileSettings, error) {
	file := fileSettings{path: path, values: map[string]*yaml.Node{}}
	if path == "" {
		file.path = settingsFile
	}
	data, err := os.ReadFile(file.path)
	if path == "" && errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, usageError("read the settings: %w", err)
	}
	document, err := decodeOne(data)
	if err != nil {
		return file, usageError("%s: %w", file.path, err)
	}
	if document == nil {
		return file, nil
	}
	pairs, err := pairsOf(document)
	if err != nil {
		return file, usageError("%s line %d: %w", file.path, document.Line, err)
	}
	for _, pair := range pairs {
		if !slices.Contains(known, pair.key) {
			return file, usageError("%s line %d: %w", file.path, pair.line, unknownSetting(pair.key, known))
		}
		file.values[pair.key] = pair.value
	}
	return file, nil
}

// decodeOne returns the content of the only document; nil for an empty one.
func decodeOne(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document")
	}
	if len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
		return nil, nil
	}
	return document.Content[0], nil
}

// pair is a key with its value, and the line of the key.
type pair struct {
	key   string
	line  int
	value *yaml.Node
}

// pairsOf are those of a mapping; a key that is there twice is an error.
func pairsOf(node *yaml.Node) ([]pair, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return nil, errors.New("it is no mapping of names to values")
	}
	var pairs []pair
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if slices.ContainsFunc(pairs, func(p pair) bool { return p.key == key.Value }) {
			return nil, fmt.Errorf("%q is there twice, again in line %d", key.Value, key.Line)
		}
		pairs = append(pairs, pair{key: key.Value, line: key.Line, value: node.Content[i+1]})
	}
	return pairs, nil
}

func unknownSetting(key string, known []string) error {
	if nearest := run.Nearest(key, known); nearest != "" {
		return fmt.Errorf("there is no setting %q; did you mean %s?", key, nearest)
	}
	return fmt.Errorf("there is no setting %q; the settings: %s", key, strings.Join(known, ", "))
}
