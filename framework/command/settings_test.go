package command

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the table of the README instead of comparing with it")

// trying is a command with a setting of each kind, which does nothing.
type trying struct {
	cmd     *cobra.Command
	text    string
	truth   bool
	number  int
	list    []string
	pairs   map[string]string
	ownWord string
}

func newTrying(t *testing.T, args ...string) *trying {
	t.Helper()
	one := &trying{cmd: &cobra.Command{Use: "try"}}
	flags := one.cmd.Flags()
	flags.StringVar(&one.text, "image-registry", "default", "")
	flags.BoolVar(&one.truth, "keep", false, "")
	flags.IntVar(&one.number, "jobs", 4, "")
	flags.StringSliceVar(&one.list, "istio", []string{"default"}, "")
	flags.StringToStringVar(&one.pairs, "set", nil, "")
	flags.StringVar(&one.ownWord, "name", "default", "")
	flags.String("claim", "default", "")
	settings(flags, "image-registry", "keep", "jobs", "istio", "set")
	settingAs(flags, "name", "lab")
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return one
}

// apply reads a file with this text, in an environment with these variables.
func (one *trying) apply(t *testing.T, text string, variables map[string]string) error {
	t.Helper()
	for key, value := range variables {
		t.Setenv(key, value)
	}
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	err := applySettings(one.cmd, path)
	if err != nil {
		return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), path, "settings.yaml"))
	}
	return nil
}

func TestFlagsWinOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	const file = "image-registry: file\njobs: 1\nistio: [1.30, \"1.27\"]\nset: {a: 1.10, b: two words}\nkeep: true\nlab: file\n"
	variables := map[string]string{"MESHPROOF_IMAGE_REGISTRY": "environment", "MESHPROOF_ISTIO": "1.29,1.28", "MESHPROOF_LAB": "", "MESHPROOF_CLAIM": "environment"}
	one := newTrying(t, "--image-registry", "flag")
	if err := one.apply(t, file, variables); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("flag", one.text); diff != "" {
		t.Errorf("the flag: %s", diff)
	}
	if diff := cmp.Diff([]string{"1.29", "1.28"}, one.list); diff != "" {
		t.Errorf("the environment: %s", diff)
	}
	if one.number != 1 || !one.truth || one.ownWord != "file" {
		t.Errorf("the file: jobs %d, keep %t, lab %s", one.number, one.truth, one.ownWord)
	}
	if diff := cmp.Diff(map[string]string{"a": "1.10", "b": "two words"}, one.pairs); diff != "" {
		t.Errorf("the file's pairs: %s", diff)
	}
	if claim, _ := one.cmd.Flags().GetString("claim"); claim != "default" {
		t.Errorf("a flag that is no setting was set to %q", claim)
	}
	one = newTrying(t)
	if err := one.apply(t, file, nil); err != nil {
		t.Fatal(err)
	}
	if one.text != "environment" {
		t.Errorf("without the flag: %q", one.text)
	}
}

func TestVersionsInTheFileAreNoNumbers(t *testing.T) {
	one := newTrying(t)
	if err := one.apply(t, "istio:\n- 1.30\n- &old 1.20\n- *old\n", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.30", "1.20", "1.20"}, one.list); diff != "" {
		t.Error(diff)
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"job: 2":                       `settings.yaml line 1: there is no setting "job"; did you mean jobs?`,
		"# mine\n\nkeep: true\nnon: 1": `settings.yaml line 4: there is no setting "non"; the settings: image-registry, istio, jobs, keep, lab, set`,
		"name: x":                      `settings.yaml line 1: there is no setting "name"; did you mean lab?`,
		"jobs: many":                   `settings.yaml line 1: jobs: invalid argument "many" for "--jobs" flag: strconv.ParseInt: parsing "many": invalid syntax`,
		"jobs: [1]":                    "settings.yaml line 1: jobs: it is no single value",
		"jobs:":                        "settings.yaml line 1: jobs: it has no value",
		"keep: maybe":                  `settings.yaml line 1: keep: invalid argument "maybe" for "--keep" flag: strconv.ParseBool: parsing "maybe": invalid syntax`,
		"istio: [{a: b}]":              "settings.yaml line 1: istio: it is no single value",
		"istio: {a: b}":                "settings.yaml line 1: istio: it is no single value",
		"set: a=b":                     "settings.yaml line 1: set: it is no mapping of names to values",
		"set: {a: [b]}":                "settings.yaml line 1: set: a: it is no single value",
		"set: {a: \"b,c\"}":            "settings.yaml line 1: set: a: a value with a comma, a quotation mark, an equals sign or several lines can only be given as a file (set-file)",
		"jobs: 1\nkeep: true\njobs: 2": `settings.yaml line 1: "jobs" is there twice, again in line 3`,
		"- jobs":                       "settings.yaml line 1: it is no mapping of names to values",
		"jobs: 1\n---\njobs: 2":        "settings.yaml: it holds more than one document",
		"a: [":                         "settings.yaml: yaml: line 1: did not find expected node content",
		"<<: {jobs: 1}\nkeep: true":    `settings.yaml line 1: there is no setting "<<"; the settings: image-registry, istio, jobs, keep, lab, set`,
	} {
		err := newTrying(t).apply(t, text, nil)
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
	t.Run("in the environment", func(t *testing.T) {
		err := newTrying(t).apply(t, "", map[string]string{"MESHPROOF_JOBS": "many"})
		if err == nil || !strings.HasPrefix(err.Error(), `MESHPROOF_JOBS: invalid argument "many"`) {
			t.Errorf("error %v", err)
		}
	})
}

func TestAnEmptyFileSaysNothing(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "null\n", "{}\n"} {
		one := newTrying(t)
		if err := one.apply(t, text, nil); err != nil || one.number != 4 {
			t.Errorf("%q: jobs %d, error %v", text, one.number, err)
		}
	}
}

// TestEverySettingIsOneThing: a key that is of several commands means the same in each, and has the same default.
func TestEverySettingIsOneThing(t *testing.T) {
	seen := map[string]*pflag.Flag{}
	eachCommand(newRoot(nil), func(cmd *cobra.Command) {
		for key, flag := range settingsOf(cmd) {
			if before := seen[key]; before != nil && (before.Value.Type() != flag.Value.Type() || before.DefValue != flag.DefValue) {
				t.Errorf("%s of %s: a %s, by default %q, and elsewhere a %s, by default %q", key, cmd.CommandPath(), flag.Value.Type(), flag.DefValue, before.Value.Type(), before.DefValue)
			}
			seen[key] = flag
		}
	})
	if len(seen) < 20 {
		t.Errorf("only %d settings were found", len(seen))
	}
}

// TestTheREADMEHasEverySetting: the table in it is made of the flags.
func TestTheREADMEHasEverySetting(t *testing.T) {
	const path, head = "../../README.md", "| key in the file | in the environment | of | |\n|---|---|---|---|\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), head)
	if !found {
		t.Fatalf("%s has no table of settings, which begins with %q", path, head)
	}
	table := rest
	for strings.HasPrefix(rest, "|") {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	table = strings.TrimSuffix(table, rest)
	want := settingsTable()
	if *update {
		if err := os.WriteFile(path, []byte(before+head+want+rest), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("the table of settings (-want +got; `go test ./framework/command -update` writes it):\n%s", diff)
	}
}

func settingsTable() string {
	root := newRoot(nil)
	of, usage := map[string][]string{}, map[string]string{}
	eachCommand(root, func(cmd *cobra.Command) {
		for key, flag := range settingsOf(cmd) {
			of[key] = append(of[key], strings.TrimPrefix(cmd.CommandPath(), root.Name()+" "))
			usage[key] = flag.Usage
			if plain := []string{"", "false", "[]", "1"}; !slices.Contains(plain, flag.DefValue) && !strings.Contains(flag.Usage, "default") {
				usage[key] += " (default: " + flag.DefValue + ")"
			}
		}
	})
	var rows strings.Builder
	for _, key := range settingsKeys(root) {
		slices.Sort(of[key])
		fmt.Fprintf(&rows, "| `%s` | `%s` | %s | %s |\n", key, variable(key), strings.Join(of[key], ", "), usage[key])
	}
	return rows.String()
}

func eachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, below := range cmd.Commands() {
		eachCommand(below, visit)
	}
}
