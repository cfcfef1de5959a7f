package images

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/meshproof/meshproof/framework/lab/build"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

// built is a published image for both platforms, whose layers have a content of its own.
func built(t *testing.T, name, tag string) Image {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range build.Architectures {
		made, err := crane.Image(map[string][]byte{"program": []byte(name + tag + arch)})
		must(t, err)
		config, err := made.ConfigFile()
		must(t, err)
		config.OS, config.Architecture = "linux", arch
		made, err = mutate.ConfigFile(made, config)
		must(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: made, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	folder := t.TempDir()
	path, err := layout.Write(folder, empty.Index)
	must(t, err)
	p := build.Publication{Name: name, Tag: tag}
	must(t, path.AppendIndex(index, layout.WithAnnotations(map[string]string{build.NameAnnotation: p.Reference(), build.TagAnnotation: tag})))
	list, err := Of([]string{folder})
	must(t, err)
	return list[0]
}

var shown = cmpopts.IgnoreUnexported(Image{})

func TestOf(t *testing.T) {
	image := built(t, "fixtures/agent", "1f0c")
	if image.Name != "fixtures/agent" || image.Tag != "1f0c" || !strings.HasPrefix(image.Digest, "sha256:") || image.Size == 0 {
		t.Errorf("%+v", image)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, image.Platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	if _, err := Of([]string{t.TempDir()}); err == nil {
		t.Error("an empty folder is an image")
	}
}

// By its digest an image is what was pushed, whoever moves its tag.
func TestIn(t *testing.T) {
	image := Image{Name: "fixtures/agent", Tag: "1f0c"}
	if got := image.In("registry.example:5000/mesh"); got != "registry.example:5000/mesh/fixtures/agent:1f0c" {
		t.Errorf("without a digest: %s", got)
	}
	image.Digest = "sha256:abc"
	if got := image.In("registry.example:5000/mesh"); got != "registry.example:5000/mesh/fixtures/agent@sha256:abc" {
		t.Errorf("with one: %s", got)
	}
}

func TestCheckRegistry(t *testing.T) {
	for _, good := range []string{"registry.example.com", "registry.example.com/meshproof", "localhost:5000", "127.0.0.1:5000/a/b"} {
		if err := CheckRegistry(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"https://registry.example.com", "registry.example.com/", "registry.example.com/Mesh", "a b", "registry.example.com:port", "registry.example.com/mesh:1"} {
		if err := CheckRegistry(bad); err == nil {
			t.Errorf("%q is taken for a registry", bad)
		} else {
			wantError(t, err, "is no registry for images")
		}
	}
}

func TestALockIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), LockFile)
	list := []Image{built(t, "fixtures/agent", "1f0c"), built(t, "meshproof", "77")}
	list[0].Patterns = []string{"basic-gateway"}
	must(t, WriteLock(path, list))
	got, err := ReadLock(path)
	must(t, err)
	if diff := cmp.Diff(list, got, shown); diff != "" {
		t.Errorf("lock (-written +read):\n%s", diff)
	}
}

func TestReadLockRefuses(t *testing.T) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for name, row := range map[string]struct{ text, want string }{
		"nothing":          {"", "lists none"},
		"an empty list":    {"images: []\n", "lists none"},
		"no YAML":          {"images: [", "the lock of the images"},
		"an unknown field": {"images: [{name: a, tag: b, digest: \"" + digest + "\", sum: c}]\n", "sum"},
		"an image not built": {"images: [{name: fixtures/agent, tag: 1f0c}]\n",
			"\"fixtures/agent:1f0c\" has no name, no tag, or no digest: `meshproof images push` writes it"},
		"a digest that is none": {"images: [{name: fixtures/agent, tag: 1f0c, digest: \"sha256:12\"}]\n", "has no name, no tag, or no digest"},
		"no name":               {"images: [{tag: 1f0c, digest: \"" + digest + "\"}]\n", "has no name, no tag, or no digest"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), LockFile)
			must(t, os.WriteFile(path, []byte(row.text), 0o600))
			_, err := ReadLock(path)
			wantError(t, err, row.want, path)
		})
	}
	_, err := ReadLock(filepath.Join(t.TempDir(), "missing"))
	wantError(t, err, "read the lock of the images", "missing")
}

// A lock of other sources names images that this program's patterns were never proven with.
func TestPin(t *testing.T) {
	lock := []Image{{Name: "fixtures/agent", Tag: "1f0c", Digest: "sha256:a"}, {Name: "fixtures/bookinfo", Tag: "1f0c", Digest: "sha256:b"}}
	got, err := Pin([]build.Publication{{Name: "fixtures/bookinfo", Tag: "1f0c"}}, lock)
	must(t, err)
	if diff := cmp.Diff(lock[1:], got, shown); diff != "" {
		t.Errorf("pinned (-want +got):\n%s", diff)
	}
	_, err = Pin([]build.Publication{{Name: "fixtures/agent", Tag: "2222"}}, lock)
	wantError(t, err, "fixtures/agent of other sources (1f0c) than this program's (2222)", "images push")
	_, err = Pin([]build.Publication{{Name: "meshproof", Tag: "1"}}, lock)
	wantError(t, err, "no image meshproof", "images push")
}

func TestMarshalIsALock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.yaml")
	list := []Image{built(t, "fixtures/agent", "1f0c")}
	data, err := Marshal(list)
	must(t, err)
	must(t, os.WriteFile(path, data, 0o600))
	got, err := ReadLock(path)
	must(t, err)
	if !slices.EqualFunc(list, got, func(a, b Image) bool { return a.Digest == b.Digest && a.Name == b.Name }) {
		t.Errorf("%+v became %+v", list, got)
	}
}
