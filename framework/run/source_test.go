package run

import "testing"

func TestRelativeSource(t *testing.T) {
	const module = "github.com/meshproof/meshproof"
	for file, want := range map[string]string{
		module + "/suites/basic-gateway/specs.go":        "suites/basic-gateway/specs.go:38",
		module + "@v0.1.0/suites/basic-gateway/specs.go": "", // of the module that another program uses
		module + "-fork/suites/specs.go":                 "",
		"/home/somebody/meshproof/suites/specs.go":       "", // built without -trimpath
		"": "",
	} {
		if got := relativeSource(module, file, 38); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}
