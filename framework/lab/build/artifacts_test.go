package build

import (
	"slices"
	"sort"
	"strings"
	"testing"
)

// A cluster that has an image of this tag has this code.
func TestFixtureImagesAreNamedByTheirSources(t *testing.T) {
	images := func(content string) map[string]string {
		setArchive(t, "meshproof/go.mod", "module m\n", "meshproof/fixtures/agent/main.go", content, "parts/coredns/go.mod", "module c\n")
		return FixtureImages()
	}
	first, same, other := images("package main\n"), images("package main\n"), images("package main // changed\n")
	for _, program := range fixturePrograms {
		if !strings.HasPrefix(first[program], "meshproof.local/fixtures/"+program+":") || first[program] != same[program] || first[program] == other[program] {
			t.Errorf("%s: %s, then %s, and %s after a change", program, first[program], same[program], other[program])
		}
	}
	// The database is of sources of its own.
	if database := first[databaseFixture]; len(first) != len(fixturePrograms)+1 || database == "" || database != other[databaseFixture] {
		t.Errorf("images %v", first)
	}
}

// The values are part of an entry's key, so that their order must not change from run to run.
func TestIstioValues(t *testing.T) {
	for revision, named := range map[string]bool{DefaultRevision: false, "1-27": true} {
		args := istioValues(Revision{Name: revision}, "1.31.0-abc")
		var values []string
		for i := 0; i+1 < len(args); i += 2 {
			if args[i] != "--set" {
				t.Errorf("argument %d is %s, want --set", i, args[i])
			}
			values = append(values, args[i+1])
		}
		if len(args)%2 != 0 || !sort.StringsAreSorted(values) {
			t.Errorf("%q is no sorted list of values", args)
		}
		for _, want := range []string{"hub=meshproof.local/istio", "tag=1.31.0-abc", "profile=minimal"} {
			if !slices.Contains(values, want) {
				t.Errorf("%s is missing in %q", want, values)
			}
		}
		// To the chart, "default" would be one more revision; and one revision alone validates what names none.
		if slices.ContainsFunc(values, func(value string) bool { return strings.HasPrefix(value, "revision=") }) != named ||
			slices.Contains(values, "revision=1-27") != named || slices.Contains(values, "values.defaultRevision=default") == named {
			t.Errorf("revision %s: %q", revision, values)
		}
		if slices.ContainsFunc(values, func(value string) bool { return strings.Contains(value, "cni") }) {
			t.Errorf("revision %s has istio-cni, and nobody asked for it: %q", revision, values)
		}
	}
	args := istioValues(Revision{Name: "1-31-cni", CNI: true}, "1.31.0-abc")
	for _, want := range []string{"components.cni.enabled=true", "values.pilot.cni.enabled=true", "values.cni.cniBinDir=/opt/cni/bin"} {
		if !slices.Contains(args, want) {
			t.Errorf("%s is missing in %q", want, args)
		}
	}
}
