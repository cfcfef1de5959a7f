package prove

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/pattern"
)

// shop is a pattern with three claims, one requirement, and the mutants of these files.
func shop(files ...string) pattern.Pattern {
	mutants := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		mutants[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return pattern.Pattern{
		Name: "shop", Mutants: mutants, Requirements: []pattern.Requirement{{Name: "routes"}},
		Claims: []pattern.Claim{{Alias: "SH1", Slug: "is-open"}, {Alias: "SH2", Slug: "is-safe"}, {Alias: "SH3", Slug: "is-cheap"}},
	}
}

const patch = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: \"${shop_namespace}\"}\n"

// mutant is the text of a file with these lines in its first document.
func mutant(lines ...string) string {
	return "apiVersion: meshproof.dev/v1\nkind: Mutant\n" + strings.Join(lines, "\n") + "\n---\n" + patch
}

func TestLoad(t *testing.T) {
	mutants, err := Load(shop(
		"b-harmless.yaml", mutant("says: it is the same", "equivalent: true"),
		"a-closed.yaml", "# It closes.\n---\n"+mutant("says: it is closed", "killed: {by: SH1, cause: not-answered}", "also: {SH3: evidence-missing}", "diagnosis: no-access-log", "requires: routes", "shows: http://shop.lab")+"---\n"+patch,
		"README.md", "no mutant", "more/c.yaml", "no mutant either",
	))
	if err != nil {
		t.Fatal(err)
	}
	want := []Mutant{
		{
			Name: "a-closed", Says: "it is closed", Killed: Death{By: "SH1", Cause: pattern.NotAnswered}, Also: map[string]pattern.Cause{"SH3": pattern.EvidenceMissing},
			Diagnosis: "no-access-log", Requires: "routes", Shows: "http://shop.lab", Patches: []byte(patch + "---\n" + patch),
		},
		{Name: "b-harmless", Says: "it is the same", Equivalent: true, Patches: []byte(patch)},
	}
	if diff := cmp.Diff(want, mutants); diff != "" {
		t.Errorf("mutants (-want +got):\n%s", diff)
	}
}

func TestLoadTellsEveryMistake(t *testing.T) {
	const says, killed = "says: it is closed", "killed: {by: SH1, cause: not-answered}"
	for name, test := range map[string]struct{ text, want string }{
		"nothing":                             {"", "it has no second document: what does it change?"},
		"no second document":                  {strings.Split(mutant(says, killed), "---")[0], "it has no second document: what does it change?"},
		"an empty second document":            {strings.Split(mutant(says, killed), patch)[0] + "\n", "it has no second document: what does it change?"},
		"no YAML":                             {mutant("says: {"), "yaml: line "},
		"an unknown field":                    {mutant(says, killed, "kiled: SH2"), `unknown field "kiled"`},
		"a field twice":                       {mutant(says, says, killed), `key "says" already set`},
		"another type":                        {mutant("says: [a, b]", killed), "cannot unmarshal array"},
		"another kind":                        {strings.Replace(mutant(says, killed), "Mutant", "Mutation", 1), "its first document is meshproof.dev/v1 Mutation, not meshproof.dev/v1 Mutant"},
		"another version":                     {strings.Replace(mutant(says, killed), "/v1", "/v2", 1), "its first document is meshproof.dev/v2 Mutant, not meshproof.dev/v1 Mutant"},
		"no description":                      {patch + "---\n" + patch, `unknown field "metadata"`},
		"it says nothing":                     {mutant(killed), "it does not say what it changes"},
		"nobody has to find it":               {mutant(says), "it names no check that must go red, and is not equivalent"},
		"somebody without a name":             {mutant(says, "killed: {cause: bypassed}"), "it names no check that must go red, and is not equivalent"},
		"equivalent, but to be killed":        {mutant(says, killed, "equivalent: true"), "it is equivalent, so no check may go red"},
		"equivalent, but with a cause":        {mutant(says, "killed: {cause: bypassed}", "equivalent: true"), "it is equivalent, so no check may go red"},
		"equivalent, but others go red":       {mutant(says, "also: {SH2: bypassed}", "equivalent: true"), "it is equivalent, so no check may go red"},
		"killed by an unknown claim":          {mutant(says, "killed: {by: SH9, cause: bypassed}"), `there is no claim "SH9"`},
		"killed by a claim's slug":            {mutant(says, "killed: {by: is-open, cause: bypassed}"), `there is no claim "is-open"`},
		"killed by a claim in lower case":     {mutant(says, "killed: {by: sh1, cause: bypassed}"), `there is no claim "sh1"`},
		"killed for no cause":                 {mutant(says, "killed: {by: SH1}"), `"" is no cause (of SH1)`},
		"killed for an unknown cause":         {mutant(says, "killed: {by: SH1, cause: by-passed}"), `"by-passed" is no cause (of SH1)`},
		"another unknown claim goes red":      {mutant(says, killed, "also: {SH9: bypassed}"), `there is no claim "SH9"`},
		"another goes red for no known cause": {mutant(says, killed, "also: {SH2: broken}"), `"broken" is no cause (of SH2)`},
		"several mistakes, the first is told": {mutant(says, "killed: {by: SH9, cause: first}", "also: {SH3: third, SH2: second}"), `"second" is no cause (of SH2)`},
		"the intended check is another one":   {mutant(says, killed, "also: {SH1: bypassed}"), "it names SH1 twice: as the check that must go red, and as another that does"},
		"an unknown rule of diagnosis":        {mutant(says, killed, "diagnosis: bad-luck"), `there is no rule of diagnosis "bad-luck"`},
		"equivalent, but to be diagnosed":     {mutant(says, "equivalent: true", "diagnosis: no-access-log"), "it is equivalent, so there is nothing to diagnose"},
		"an undeclared requirement":           {mutant(says, killed, "requires: gateways"), `it requires "gateways", which the pattern does not declare`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(shop("closed.yaml", test.text))
			if err == nil || !strings.HasPrefix(err.Error(), "mutant closed.yaml of pattern shop: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v\nwant %s", err, test.want)
			}
		})
	}
}

// A proof by no mutant would be one of nothing.
func TestLoadTellsThatThereAreNoMutants(t *testing.T) {
	none := shop()
	none.Mutants = nil
	for want, p := range map[string]pattern.Pattern{"pattern shop has no mutants": none, "pattern shop has no mutants (*.yaml)": shop("closed.yml", mutant("says: it is closed"))} {
		if _, err := Load(p); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// Whatever an author writes, reading it ends in a mutant that can be scored, or in an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte(mutant("says: it is closed", "killed: {by: SH1, cause: not-answered}", "also: {SH3: evidence-missing}", "requires: routes")))
	f.Add([]byte(mutant("says: it is the same", "equivalent: true")))
	f.Add([]byte("---\nkind: Mutant\n---\n\n---\n"))
	p := shop()
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(p, data)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		if len(m.Patches) == 0 || m.Says == "" || m.Equivalent != (len(m.wanted()) == 0) {
			t.Errorf("neither an error nor a mutant: %+v", m)
		}
		for alias := range m.wanted() {
			if claim, found := p.Claim(alias); !found || claim.Alias != alias {
				t.Errorf("nobody has the alias %q", alias)
			}
		}
	})
}
