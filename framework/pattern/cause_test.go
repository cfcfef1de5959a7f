package pattern

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sources parses the Go files of a folder, without tests.
func sources(t *testing.T, folder string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, data, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		t.Fatalf("there is no Go file in %s", folder)
	}
	return files
}

// declared are the constants of type Cause in this package, by name.
func declared(t *testing.T) map[string]Cause {
	t.Helper()
	causes := map[string]Cause{}
	for _, file := range sources(t, ".") {
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Cause" {
				for index, name := range spec.Names {
					causes[name.Name] = Cause(unquoted(t, spec.Values[index]))
				}
			}
			return true
		})
	}
	return causes
}

func unquoted(t *testing.T, expression ast.Expr) string {
	t.Helper()
	literal, ok := expression.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		t.Fatalf("a cause is no string, but %T", expression)
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCausesAreAllOfThem(t *testing.T) {
	causes, constants := Causes(), declared(t)
	for name, cause := range constants {
		if !slices.Contains(causes, cause) {
			t.Errorf("Causes lacks %s (%q)", name, cause)
		}
	}
	if len(causes) != len(constants) {
		t.Errorf("%d causes, and %d constants", len(causes), len(constants))
	}
	seen := map[Cause]bool{}
	for _, cause := range causes {
		if cause == "" || seen[cause] {
			t.Errorf("cause %q is empty, or there twice", cause)
		}
		seen[cause] = true
	}
}

// A cause is the first argument of contradicts, or the field cause of a verdict; it is written as string(pattern.Name) or
// as a text. A parameter handed on is judged where it is filled in.
func TestMatchersUseNoOtherCause(t *testing.T) {
	constants := declared(t)
	used := 0
	check := func(expression ast.Expr) {
		var cause Cause
		switch e := expression.(type) {
		case *ast.BasicLit:
			cause = Cause(unquoted(t, e))
		case *ast.CallExpr:
			// A parameter of the author's, or what a function of this type returned.
			if parameter, ok := e.Args[0].(*ast.Ident); ok && parameter.Name == "cause" {
				return
			}
			selector, ok := e.Args[0].(*ast.SelectorExpr)
			if !ok {
				t.Fatalf("a cause is no constant of this package, but %T", e.Args[0])
			}
			cause = constants[selector.Sel.Name]
		case *ast.Ident:
			if e.Name == "cause" {
				return
			}
			t.Fatalf("a cause is the variable %s, whose value this test does not know", e.Name)
		default:
			t.Fatalf("a cause is no constant of this package, but %T", expression)
		}
		used++
		if !slices.Contains(Causes(), cause) {
			t.Errorf("framework/expect uses %q, which is none of the causes", cause)
		}
	}
	for _, file := range sources(t, "../expect") {
		ast.Inspect(file, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.CallExpr:
				if function, ok := n.Fun.(*ast.Ident); ok && function.Name == "contradicts" {
					check(n.Args[0])
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "cause" {
					check(n.Value)
				}
			}
			return true
		})
	}
	if used < 15 {
		t.Errorf("only %d causes were found in framework/expect: this test looks in the wrong places", used)
	}
}
