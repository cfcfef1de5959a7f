package build

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// setArchive replaces the embedded archive for one test by pairs of name and content.
func setArchive(t *testing.T, pairs ...string) sources {
	t.Helper()
	whole := archive
	t.Cleanup(func() { archive = whole })
	made := &txtar.Archive{}
	for i := 0; i < len(pairs); i += 2 {
		made.Files = append(made.Files, txtar.File{Name: pairs[i], Data: []byte(pairs[i+1])})
	}
	archive = txtar.Format(made)
	return loadSources()
}

// allParts are all that can be built, of every version.
func allParts() []part {
	parts := []part{coreDNSPart(), pausePart(), routerPart(), fixturesPart(fixturePrograms...)}
	for _, version := range kubernetesVersions {
		parts = append(parts, kubernetesPart(version))
	}
	for _, version := range istioVersions {
		parts = append(parts, istioPart(version))
	}
	return parts
}

func TestArchiveHoldsEveryPart(t *testing.T) {
	src := loadSources()
	for _, p := range allParts() {
		for _, file := range []string{"go.mod", "go.sum"} {
			if len(src.files[p.module+"/"+file]) == 0 {
				t.Errorf("%s: the archive holds no %s/%s", p.name, p.module, file)
			}
		}
		for _, pkg := range p.packages {
			if strings.HasPrefix(pkg, ".") && len(src.files[path.Join(p.module, pkg, "main.go")]) == 0 {
				t.Errorf("%s: the archive holds no main.go of package %s", p.name, pkg)
			}
		}
		for _, decides := range append(p.sources, p.module) {
			inside := func(name string) bool { return name == decides || strings.HasPrefix(name, decides+"/") }
			if !slices.ContainsFunc(slices.Collect(maps.Keys(src.files)), inside) {
				t.Errorf("%s: the archive holds nothing at %s, which decides whether it is built again", p.name, decides)
			}
		}
		if len(p.links) > 0 && p.program == "" {
			t.Errorf("%s: its links lead nowhere", p.name)
		}
	}
}

// What the versions promise is what the modules pin.
func TestModulesPinTheVersions(t *testing.T) {
	src := loadSources()
	requires := func(module, what string) {
		if mod := src.files[PartsPrefix+module+"/go.mod"]; !bytes.Contains(mod, []byte(what)) {
			t.Errorf("%s%s/go.mod does not hold %q", PartsPrefix, module, what)
		}
	}
	for _, version := range kubernetesVersions {
		requires(version.Module, "k8s.io/kubernetes "+version.Version+"\n")
	}
	for _, version := range istioVersions {
		requires(version.Module, "-"+version.Commit)
	}
}

// TestArchiveIsFresh: what `make generate` would pack is what is packed. Go does not see the nested modules otherwise.
func TestArchiveIsFresh(t *testing.T) {
	project := filepath.Join("..", "..", "..")
	onDisk := map[string]string{"meshproof/go.mod": "go.mod", "meshproof/go.sum": "go.sum"}
	for from, to := range map[string]string{"framework/lab/parts": "parts", "fixtures": "meshproof/fixtures", "framework/lab/router": "meshproof/framework/lab/router"} {
		must(t, filepath.WalkDir(filepath.Join(project, from), func(file string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			if err == nil && !entry.IsDir() && !strings.HasSuffix(file, "_test.go") {
				rel, err := filepath.Rel(filepath.Join(project, from), file)
				must(t, err)
				onDisk[path.Join(to, filepath.ToSlash(rel))] = path.Join(from, filepath.ToSlash(rel))
			}
			return err
		}))
	}
	packed := loadSources().files
	for name, file := range onDisk {
		data, err := os.ReadFile(filepath.Join(project, file))
		must(t, err)
		if have, found := packed[name]; !found || !bytes.Equal(have, data) {
			t.Errorf("%s is not as the archive has it: run `make generate`", file)
		}
	}
	for name := range packed {
		if onDisk[name] == "" {
			t.Errorf("the archive holds %s, which is no more: run `make generate`", name)
		}
	}
}

// A change makes those parts of a module be built again that it belongs to, and no others.
func TestDigestOfPartsOfAModule(t *testing.T) {
	digests := func(fixture, router, versions string) [3]string {
		src := setArchive(t, "meshproof/go.mod", versions, "meshproof/go.sum", "", "meshproof/fixtures/agent/main.go", fixture, "meshproof/framework/lab/router/main.go", router)
		return [3]string{src.digest(pausePart().sources...), src.digest(fixturesPart().sources...), src.digest(routerPart().sources...)}
	}
	before := digests("a\n", "b\n", "c\n")
	for name, row := range map[string]struct {
		after [3]string
		same  [3]bool
	}{
		"a fixture":    {digests("other\n", "b\n", "c\n"), [3]bool{true, false, true}},
		"the router":   {digests("a\n", "other\n", "c\n"), [3]bool{true, true, false}},
		"the versions": {digests("a\n", "b\n", "other\n"), [3]bool{true, false, false}},
	} {
		for i, part := range []string{"pause", "fixtures", "router"} {
			if (row.after[i] == before[i]) != row.same[i] {
				t.Errorf("after a change of %s, that %s stays as it is should be %t", name, part, row.same[i])
			}
		}
	}
}

func TestDigest(t *testing.T) {
	files := []string{"parts/kube/go.mod", "module a\n", "parts/kube/main.go", "package main\n", "parts/kubernetes/go.mod", "module b\n"}
	changed := func(index int, to string) []string {
		list := append([]string(nil), files...)
		list[index] = to
		return list
	}
	same := setArchive(t, files...).digest("parts/kube")
	for name, row := range map[string]struct {
		files []string
		same  bool
	}{
		"nothing":             {files, true},
		"a file's content":    {changed(3, "package main // changed\n"), false},
		"a file's name":       {changed(2, "parts/kube/other.go"), false},
		"one more file":       {append([]string{"parts/kube/a.go", "package main\n"}, files...), false},
		"one file less":       {files[2:], false},
		"another module":      {changed(5, "module c\n"), true},
		"a module more":       {append(append([]string(nil), files...), "parts/istio/go.mod", "module d\n"), true},
		"content that moves":  {[]string{"parts/kube/go.mod", "module a\npackage main\n", "parts/kube/main.go", ""}, false},
		"a name that moves":   {[]string{"parts/kube/go.mod", "module a\nparts/kube/main.go\npackage main\n"}, false},
		"no file of that one": {files[4:], false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := setArchive(t, row.files...).digest("parts/kube"); (got == same) != row.same {
				t.Errorf("digest %s, was %s; want it to stay: %t", got, same, row.same)
			}
		})
	}
}

func TestUnpack(t *testing.T) {
	src := setArchive(t, "parts/kube/go.mod", "module a\n", "parts/kube/cmd/x/main.go", "package main\n", "parts/kubernetes/go.mod", "module b\n")
	cache := Cache{Dir: t.TempDir()}
	dir, err := src.unpack(t.Context(), cache, "parts/kube")
	must(t, err)
	got := tree(t, dir)
	delete(got, manifestName)
	if diff := gocmp.Diff(map[string]string{"go.mod": "module a\n", "cmd/x/main.go": "package main\n"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, err := src.unpack(t.Context(), cache, "parts/kube"); again != dir || err != nil {
		t.Errorf("the second time: %s, error %v; want %s", again, err, dir)
	}
	changed := setArchive(t, "parts/kube/go.mod", "module changed\n")
	if other, err := changed.unpack(t.Context(), cache, "parts/kube"); err != nil || other == dir || read(t, filepath.Join(other, "go.mod")) != "module changed\n" {
		t.Errorf("after a change: %s, error %v", other, err)
	}
	_, err = src.unpack(t.Context(), cache, "parts/none")
	wantError(t, err, "parts/none", "make generate")
}
