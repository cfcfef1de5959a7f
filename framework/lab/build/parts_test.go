package build

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTail(t *testing.T) {
	for name, row := range map[string]struct {
		size  int
		lines []string
		want  string
	}{
		"none":            {2, nil, ""},
		"fewer than kept": {2, []string{"a"}, "a"},
		"as many":         {2, []string{"a", "b"}, "a\nb"},
		"more":            {2, []string{"a", "b", "c", "d"}, "c\nd"},
		"an empty line":   {2, []string{"a", "", "b"}, "\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			kept := newTail(row.size)
			for _, line := range row.lines {
				kept.add(line)
			}
			if got := kept.String(); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
			if got := lastLines(strings.Join(row.lines, "\n"), row.size); got != row.want {
				t.Errorf("lastLines: %q, want %q", got, row.want)
			}
		})
	}
	if got := lastLines("a\nb\nc\n", 2); got != "b\nc" {
		t.Errorf("with a line end: %q, want b and c", got)
	}
}

func TestKubernetesIsStamped(t *testing.T) {
	stamps := strings.Join(kubernetesPart(KubernetesVersion{Version: "v1.36.3", Module: "kubernetes"}).ldflags, " ")
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, stamp := range []string{"gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36", "gitTreeState=clean"} {
			if !strings.Contains(stamps+" ", "-X "+pkg+"."+stamp+" ") {
				t.Errorf("%s.%s is missing in %s", pkg, stamp, stamps)
			}
		}
	}
}

// What a user has set for builds of their own must not change what the lab is made of.
func TestGoCommandIgnoresTheUsersSettings(t *testing.T) {
	config := filepath.Join(t.TempDir(), "env")
	for name, row := range map[string]struct{ flagsInEnvironment, flagsInFile string }{
		"of the environment": {"-mod=mod", ""},
		"of go env -w":       {"", "-mod=vendor -tags=theirs"},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(config, []byte("GOFLAGS="+row.flagsInFile+"\nCGO_ENABLED=1\n"), 0o644))
			for name, value := range map[string]string{"GOENV": config, "GOFLAGS": row.flagsInEnvironment, "GOWORK": "/tmp/go.work", "CGO_ENABLED": "1", "GOOS": "plan9", "GOEXPERIMENT": "synctest"} {
				t.Setenv(name, value)
			}
			output, err := goCommand(t.Context(), t.TempDir(), "env", "GOFLAGS", "GOWORK", "CGO_ENABLED", "GOOS", "GOEXPERIMENT").CombinedOutput()
			if got, want := string(output), "-mod=readonly\noff\n0\nlinux\n\n"; err != nil || got != want {
				t.Errorf("%q, error %v; want %q", got, err, want)
			}
		})
	}
}

func TestToolchain(t *testing.T) {
	got, err := Toolchain(t.Context())
	if fields := strings.Fields(got); err != nil || len(fields) != 2 || !strings.HasPrefix(fields[0], "go1.") {
		t.Errorf("%q, error %v; want a version and an architecture", got, err)
	}
}

// tiny is a part whose module needs nothing but the compiler.
func tiny() part {
	return part{
		name: "Tiny", module: "parts/tiny", packages: []string{"."}, program: "tiny", links: []string{"other-name"},
		files: []moduleFile{{name: "copied.json", module: "example.org/tiny", path: "data/file.json"}},
	}
}

const tinyModule = "module example.org/tiny\n\ngo 1.26\n"

// steps records what progress is told.
type steps struct {
	mu    sync.Mutex
	lines []string
}

func (s *steps) Start(name string) Step {
	s.note("start " + name)
	return step{s, name}
}

func (s *steps) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

type step struct {
	steps *steps
	name  string
}

func (step) Update(int, int, string) {}

func (s step) Finish(detail string, err error) {
	outcome := "done"
	if err != nil {
		outcome = "failed"
	}
	s.steps.note(strings.TrimSpace(outcome + " " + s.name + " " + detail))
}

func TestPartBuild(t *testing.T) {
	src := setArchive(t, "parts/tiny/go.mod", tinyModule, "parts/tiny/main.go", "package main\n\nfunc main() {}\n", "parts/tiny/data/file.json", "{}\n")
	cache, progress := Cache{Dir: t.TempDir()}, &steps{}
	dir, err := tiny().build(t.Context(), cache, src, "go of the test", progress)
	must(t, err)
	if got := tree(t, dir); got["other-name"] != "-> tiny" || got["copied.json"] != "{}\n" || !strings.HasPrefix(got["tiny"], "\x7fELF") {
		t.Errorf("link %q, copy %q, program of %d bytes", got["other-name"], got["copied.json"], len(got["tiny"]))
	}
	if diff := cmp.Diff([]string{"start build Tiny", "done build Tiny other-name"}, progress.lines); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	again, err := tiny().build(t.Context(), cache, src, "go of the test", progress)
	if err != nil || again != dir || len(progress.lines) != 2 {
		t.Errorf("the second time: %s, error %v, progress %q; want nothing to be done", again, err, progress.lines)
	}
	for name, change := range map[string]func(p *part) (toolchain string){
		"another toolchain": func(*part) string { return "another go" },
		"other tags":        func(p *part) string { p.tags = "x"; return "go of the test" },
		"other stamps":      func(p *part) string { p.ldflags = []string{"-X main.version=1"}; return "go of the test" },
	} {
		p := tiny()
		toolchain := change(&p)
		if other, err := p.build(t.Context(), cache, src, toolchain, Silent{}); err != nil || other == dir {
			t.Errorf("%s: %s, error %v; want an entry of its own", name, other, err)
		}
	}
}

func TestPartBuildFails(t *testing.T) {
	for name, row := range map[string]struct {
		files []string
		want  []string
	}{
		"it does not compile":     {[]string{"parts/tiny/go.mod", tinyModule, "parts/tiny/main.go", "package main\n\nfunc main() { undefined() }\n"}, []string{"build Tiny", "undefined: undefined"}},
		"it needs what is absent": {[]string{"parts/tiny/go.mod", tinyModule, "parts/tiny/main.go", "package main\n\nimport _ \"example.org/absent\"\n\nfunc main() {}\n"}, []string{"modules of Tiny", "example.org/absent"}},
		"a file is absent":        {[]string{"parts/tiny/go.mod", tinyModule, "parts/tiny/main.go", "package main\n\nfunc main() {}\n"}, []string{"data/file.json", "example.org/tiny"}},
		"there is no such module": {[]string{"parts/other/go.mod", tinyModule}, []string{"parts/tiny", "make generate"}},
	} {
		t.Run(name, func(t *testing.T) {
			src, cache, progress := setArchive(t, row.files...), Cache{Dir: t.TempDir()}, &steps{}
			_, err := tiny().build(t.Context(), cache, src, "go of the test", progress)
			wantError(t, err, row.want...)
			if diff := cmp.Diff([]string{"start build Tiny", "failed build Tiny"}, progress.lines); diff != "" {
				t.Errorf("progress (-want +got):\n%s", diff)
			}
		})
	}
}
