package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// mutantsHead begins the table of a pattern's mutants in its README.
const mutantsHead = "| mutant | what it changes | killed by | also red |\n|---|---|---|---|\n"

// readme gives a pattern's README with the table of its mutants as their files have them.
func readme(folder string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		return nil, err
	}
	before, table, found := bytes.Cut(text, []byte(mutantsHead))
	if !found {
		return nil, fmt.Errorf("it has no table of mutants, which begins with %q", mutantsHead)
	}
	for bytes.HasPrefix(table, []byte("|")) {
		_, table, _ = bytes.Cut(table, []byte("\n"))
	}
	rows, err := mutants(filepath.Join(folder, "mutants"))
	if err != nil {
		return nil, err
	}
	return slices.Concat(before, []byte(mutantsHead), rows, table), nil
}

// mutants are the rows of the table.
func mutants(folder string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var rows bytes.Buffer
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		head, _, _ := bytes.Cut(data, []byte("\n---\n"))
		var mutant struct {
			Says   string
			Killed struct{ By, Cause string }
			Also   map[string]string
		}
		if err := yaml.Unmarshal(head, &mutant); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		killed := "nobody: equivalent"
		if mutant.Killed.By != "" {
			killed = mutant.Killed.By + ": " + mutant.Killed.Cause
		}
		var also []string
		for alias, cause := range mutant.Also {
			also = append(also, alias+": "+cause)
		}
		// EM2 comes before EM10.
		slices.SortFunc(also, func(a, b string) int {
			return cmp.Or(strings.Index(a, ":")-strings.Index(b, ":"), strings.Compare(a, b))
		})
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", strings.TrimSuffix(filepath.Base(file), ".yaml"), mutant.Says, killed, strings.Join(also, ", "))
	}
	return rows.Bytes(), nil
}
