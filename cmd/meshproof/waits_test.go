package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/run"
	"github.com/meshproof/meshproof/suites"
)

var update = flag.Bool("update", false, "write the table of the README instead of comparing with it")

// TestTheREADMEHasEveryWait: the table in it is made of the waits themselves.
func TestTheREADMEHasEveryWait(t *testing.T) {
	const path, head = "../../README.md", "| wait | | for |\n|---|---|---|\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), head)
	if !found {
		t.Fatalf("%s has no table of waits, which begins with %q", path, head)
	}
	table := rest
	for strings.HasPrefix(rest, "|") {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	table = strings.TrimSuffix(table, rest)
	var want strings.Builder
	for _, limit := range run.Waits(suites.All()) {
		fmt.Fprintf(&want, "| %s | %d s | %s |\n", limit.Name, limit.Usual/time.Second, limit.For)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+head+want.String()+rest), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), table); diff != "" {
		t.Errorf("the table of waits (-want +got; `go test ./cmd/meshproof -update` writes it):\n%s", diff)
	}
}

// notScaled are constants with the name of a wait that no run scales, and why.
var notScaled = map[string]string{
	"framework/kube complaintsTimeout":             "it only explains an error that is there already",
	"suites/internal/mongo databaseTimeout":        "the time of a probe, which is scaled as such",
	"suites/egress-tls-http unansweredTimeout":     "the time of a probe, which is scaled as such",
	"suites/egress-traffic-control requestTimeout": "the time of a probe, which is scaled as such",
}

// TestEveryWaitIsNamed: whatever is called a timeout in the code of a run is in the table of waits, or has a reason why not.
func TestEveryWaitIsNamed(t *testing.T) {
	listed := mentioned(t, "../../framework/run/waits.go")
	var stale []string
	for name := range notScaled {
		stale = append(stale, name)
	}
	for _, folder := range []string{"evidence", "kube", "mesh", "pattern", "provider", "run", "traffic", "../suites"} {
		for name, declared := range timeouts(t, filepath.Join("../../framework", folder)) {
			stale = slices.DeleteFunc(stale, func(known string) bool { return known == declared+" "+name })
			if !listed[name] && notScaled[declared+" "+name] == "" {
				t.Errorf("%s of %s is no named wait: list it in framework/run/waits.go, or in Pattern.Waits, and scale it", name, declared)
			}
		}
	}
	if len(listed) < 10 || len(stale) > 0 {
		t.Errorf("%d names are listed, and these exceptions are of nothing: %v", len(listed), stale)
	}
}

// mentioned are the names of a file that end in Timeout or Timeouts.
func mentioned(t *testing.T, path string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		if name, ok := node.(*ast.Ident); ok {
			names[name.Name] = true
		}
		return true
	})
	return names
}

// timeouts are the constants and variables below a folder whose names end in Timeout, with the folder of each.
func timeouts(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel("../..", filepath.Dir(path))
		for _, declaration := range file.Decls {
			general, ok := declaration.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range general.Specs {
				if values, ok := spec.(*ast.ValueSpec); ok {
					for _, name := range values.Names {
						if strings.HasSuffix(strings.ToLower(name.Name), "timeout") {
							found[name.Name] = filepath.ToSlash(relative)
						}
					}
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
