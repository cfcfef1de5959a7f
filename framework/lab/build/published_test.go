package build

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// setFixtures makes the archive one of fixtures that do nothing but be there, each with a comment.
func setFixtures(t *testing.T, comment string) {
	t.Helper()
	files := []string{"meshproof/go.mod", "module github.com/meshproof/meshproof\n\ngo 1.26\n", "parts/ferretdb/go.mod", "module ferretdb\n"}
	for _, program := range fixturePrograms {
		files = append(files, "meshproof/fixtures/"+program+"/main.go", "package main\n\nfunc main() { println(\""+program+" "+comment+"\") }\n")
	}
	setArchive(t, files...)
}

// withoutDatabase are the images that need no download.
func withoutDatabase(t *testing.T) []Publication {
	t.Helper()
	return slices.DeleteFunc(FixturePublications(), func(p Publication) bool { return p.Program == databaseFixture })
}

// indexOf is the only index of a layout, with its annotations.
func indexOf(t *testing.T, dir string) (v1.ImageIndex, v1.Descriptor) {
	t.Helper()
	root, err := layout.ImageIndexFromPath(dir)
	must(t, err)
	manifest, err := root.IndexManifest()
	must(t, err)
	if len(manifest.Manifests) != 1 {
		t.Fatalf("%d images in %s", len(manifest.Manifests), dir)
	}
	index, err := root.ImageIndex(manifest.Manifests[0].Digest)
	must(t, err)
	return index, manifest.Manifests[0]
}

// digests publishes the fixtures into a cache of their own, in a folder of another name each time.
func digests(t *testing.T) []string {
	t.Helper()
	var found []string
	dirs, err := Publish(t.Context(), Cache{Dir: t.TempDir()}, withoutDatabase(t), Architectures, Silent{})
	must(t, err)
	for _, dir := range dirs {
		_, descriptor := indexOf(t, dir)
		found = append(found, descriptor.Digest.String())
	}
	return found
}

// The same sources make the same images, wherever they are built: a lock that one machine wrote is good on every other.
func TestPublishedImagesAreReproducible(t *testing.T) {
	setFixtures(t, "as it is")
	first, again := digests(t), digests(t)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("built twice (-first +again):\n%s", diff)
	}
	setFixtures(t, "changed")
	for index, digest := range digests(t) {
		if digest == first[index] {
			t.Errorf("image %d has the digest %s of other sources, too", index, digest)
		}
	}
}

func TestAPublishedImageIsForEveryPlatform(t *testing.T) {
	setFixtures(t, "as it is")
	cache := Cache{Dir: t.TempDir()}
	p := withoutDatabase(t)[0]
	if dir := Published(t.Context(), cache, p, Architectures); dir != "" {
		t.Errorf("before it is built it is in %s", dir)
	}
	dirs, err := Publish(t.Context(), cache, []Publication{p}, Architectures, Silent{})
	must(t, err)
	if dir := Published(t.Context(), cache, p, Architectures); dir != dirs[0] {
		t.Errorf("it is in %q, want %s", dir, dirs[0])
	}
	index, descriptor := indexOf(t, dirs[0])
	must(t, validate.Index(index))
	if name := descriptor.Annotations[NameAnnotation]; name != p.Reference() || descriptor.Annotations[TagAnnotation] != p.Tag {
		t.Errorf("annotations %v, want those of %s", descriptor.Annotations, p.Reference())
	}
	manifest, err := index.IndexManifest()
	must(t, err)
	machines := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}
	if len(manifest.Manifests) != len(machines) {
		t.Fatalf("%d platforms, want %d", len(manifest.Manifests), len(machines))
	}
	for _, child := range manifest.Manifests {
		image, err := index.Image(child.Digest)
		must(t, err)
		config, err := image.ConfigFile()
		must(t, err)
		platform := child.Platform.OS + "/" + child.Platform.Architecture
		if got := config.OS + "/" + config.Architecture; got != platform || config.Config.User != "65532:65532" || !config.Created.IsZero() {
			t.Errorf("%s: made for %s, as user %s, at %s", platform, got, config.Config.User, config.Created)
		}
		if machine := machineOf(t, image); machine != machines[platform] {
			t.Errorf("%s: its program is for %s", platform, machine)
		}
	}
}

// machineOf is what the only program of an image runs on.
func machineOf(t *testing.T, image v1.Image) elf.Machine {
	t.Helper()
	layers, err := image.Layers()
	must(t, err)
	content, err := layers[0].Uncompressed()
	must(t, err)
	data, err := io.ReadAll(content)
	must(t, err)
	start := bytes.Index(data, []byte(elf.ELFMAG))
	if len(layers) != 1 || start < 0 {
		t.Fatalf("%d layers, with a program at %d", len(layers), start)
	}
	file, err := elf.NewFile(bytes.NewReader(data[start:]))
	must(t, err)
	return file.Machine
}

// setRunning makes a file the running program.
func setRunning(t *testing.T, content string) {
	t.Helper()
	dir, real := t.TempDir(), running
	put(t, dir, "mine", content)
	path := filepath.Join(dir, "mine")
	running = func() (string, error) { return path, nil }
	t.Cleanup(func() { running = real })
}

// The suite's image is the program that makes it, whatever patterns it was built with, and its tag tells one from another.
func TestTheSuiteIsTheRunningProgram(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere it has to be built")
	}
	setRunning(t, elfFile(""))
	first, err := SuitePublication()
	must(t, err)
	dirs, err := Publish(t.Context(), Cache{Dir: t.TempDir()}, []Publication{first}, []string{runtime.GOARCH}, Silent{})
	must(t, err)
	index, _ := indexOf(t, dirs[0])
	manifest, err := index.IndexManifest()
	must(t, err)
	image, err := index.Image(manifest.Manifests[0].Digest)
	must(t, err)
	if diff := cmp.Diff([]string{"0 755 meshproof " + strings.TrimSpace(elfFile(""))}, entries(t, image)); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
	config, err := image.ConfigFile()
	must(t, err)
	if diff := cmp.Diff([]string{SuitePath}, config.Config.Entrypoint); diff != "" || config.Config.User != "65532:65532" {
		t.Errorf("user %s, entrypoint (-want +got):\n%s", config.Config.User, diff)
	}
	setRunning(t, elfFile("")+"other")
	if other, err := SuitePublication(); err != nil || other.Tag == first.Tag || other.Name != first.Name {
		t.Errorf("another program is %+v, error %v; the first was %+v", other, err, first)
	}
}

// What cannot run without libraries is not put into an image that has none: it is built anew, from a package that must be there.
func TestTheSuiteIsBuiltWhereTheRunningProgramIsOfNoUse(t *testing.T) {
	setRunning(t, elfFile(loaderPath(), "libc.so.6"))
	t.Chdir(t.TempDir())
	p, err := SuitePublication()
	must(t, err)
	_, err = Publish(t.Context(), Cache{Dir: t.TempDir()}, []Publication{p}, []string{runtime.GOARCH}, Silent{})
	wantError(t, err, "build the suite for linux/"+runtime.GOARCH, "the module of the working folder", "--platform")
}

func TestBuildSuite(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "go.mod", "module example.com/mine\n\ngo 1.26\n", "cmd/mine/main.go", "package main\n\nfunc main() {}\n")
	t.Chdir(dir)
	for arch, want := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		folder := t.TempDir()
		must(t, buildSuite(t.Context(), arch, "example.com/mine/cmd/mine", folder, silentStep{}))
		output := filepath.Join(folder, Suite)
		file, err := elf.Open(output)
		must(t, err)
		if file.Machine != want || !static(output) {
			t.Errorf("%s: it is for %s, static: %t", arch, file.Machine, static(output))
		}
		must(t, file.Close())
	}
}

// A lab sees the cache alone of this machine's files, so what is loaded is copied there, once.
func TestLoaded(t *testing.T) {
	file, cache := filepath.Join(t.TempDir(), "all.tar"), Cache{Dir: t.TempDir()}
	must(t, os.WriteFile(file, []byte("images"), 0o600))
	first, err := Loaded(t.Context(), cache, file, Silent{})
	must(t, err)
	again, err := Loaded(t.Context(), cache, file, Silent{})
	must(t, err)
	if got := read(t, first); got != "images" || first != again {
		t.Errorf("%q in %s, then %s", got, first, again)
	}
	must(t, os.WriteFile(file, []byte("others"), 0o600))
	if other, err := Loaded(t.Context(), cache, file, Silent{}); err != nil || other == first {
		t.Errorf("other images are in %s, error %v", other, err)
	}
	_, err = Loaded(t.Context(), cache, file+".missing", Silent{})
	wantError(t, err, "read the images", "all.tar.missing")
}
