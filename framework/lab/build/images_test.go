package build

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// smallImage is one with a file from disk, one from memory, and a link, none of them in order.
func smallImage(t *testing.T) image {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "program", "the program")
	return image{
		name: "fixtures/small", tag: "1f0c", user: "1337:1337", entrypoint: []string{"/usr/local/bin/program", "serve"},
		files: []imageFile{
			{path: "/usr/local/bin/program", source: filepath.Join(dir, "program"), mode: 0o755},
			{path: "/top", data: []byte("at the top"), mode: 0o644},
			{path: "/usr/lib/lib.so", link: "lib.so.1"},
			{path: "/etc/passwd", data: []byte("root\n"), mode: 0o600},
			{path: "/usr-local/x", mode: 0o644},
		},
	}
}

// written writes the images and reads one of them back.
func written(t *testing.T, reference string, images ...image) v1.Image {
	t.Helper()
	target := filepath.Join(t.TempDir(), "images.tar")
	must(t, writeImages(target, images))
	tag, err := name.NewTag(reference)
	must(t, err)
	got, err := tarball.ImageFromPath(target, &tag)
	must(t, err)
	return got
}

// entries are the lines of an image's layers: what tar says of each file, and its content.
func entries(t *testing.T, from v1.Image) []string {
	t.Helper()
	layers, err := from.Layers()
	must(t, err)
	var lines []string
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		must(t, err)
		archive := tar.NewReader(content)
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			data, err := io.ReadAll(archive)
			must(t, err)
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%c %o %s %s%s", header.Typeflag, header.Mode, header.Name, header.Linkname, data)))
			if header.Uid != 0 || header.Gid != 0 || header.ModTime.Unix() != 0 {
				t.Errorf("%s is of %d:%d at %s, want root's, without a time", header.Name, header.Uid, header.Gid, header.ModTime)
			}
		}
		must(t, content.Close())
	}
	return lines
}

func TestWriteImages(t *testing.T) {
	other := image{name: "istio/other", tag: "2", files: []imageFile{{path: "/other", data: []byte("x"), mode: 0o644}}}
	got := written(t, "meshproof.local/fixtures/small:1f0c", other, smallImage(t))
	config, err := got.ConfigFile()
	must(t, err)
	if config.OS != "linux" || config.Architecture != runtime.GOARCH {
		t.Errorf("it is for %s/%s", config.OS, config.Architecture)
	}
	if diff := cmp.Diff(v1.Config{
		User: "1337:1337", Entrypoint: []string{"/usr/local/bin/program", "serve"}, Env: []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}, config.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	want := []string{
		"5 755 etc/", "0 600 etc/passwd root",
		"0 644 top at the top",
		"5 755 usr-local/", "0 644 usr-local/x",
		"5 755 usr/", "5 755 usr/lib/", "2 777 usr/lib/lib.so lib.so.1",
		"5 755 usr/local/", "5 755 usr/local/bin/", "0 755 usr/local/bin/program the program",
	}
	if diff := cmp.Diff(want, entries(t, got)); diff != "" {
		t.Errorf("layer, folders before what is in them (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"0 644 other x"}, entries(t, written(t, "meshproof.local/istio/other:2", other, smallImage(t)))); diff != "" {
		t.Errorf("the other image's layer (-want +got):\n%s", diff)
	}
}

// The same files make the same image, in whichever order they are named, so that a node has it already.
func TestImagesAreReproducible(t *testing.T) {
	archive := func(i image) string {
		target := filepath.Join(t.TempDir(), "images.tar")
		must(t, writeImages(target, []image{i}))
		return fmt.Sprintf("%x", sha256.Sum256([]byte(read(t, target))))
	}
	first, second := smallImage(t), smallImage(t)
	slices.Reverse(second.files)
	if archive(first) != archive(second) {
		t.Error("the same image was written as two different archives")
	}
	digest := func(i image) string {
		made, err := i.build()
		must(t, err)
		got, err := made.Digest()
		must(t, err)
		return got.String()
	}
	changed := smallImage(t)
	changed.files[1].data = []byte("at the end")
	if digest(first) != digest(second) || digest(first) == digest(changed) {
		t.Errorf("digests: %s and %s of the same files, %s of others", digest(first), digest(second), digest(changed))
	}
}

func TestWriteImagesRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for name, row := range map[string]struct {
		image image
		want  []string
	}{
		"a program that is not there": {image{name: "broken", tag: "1", files: []imageFile{{path: "/x", source: missing, mode: 0o755}}}, []string{"image broken", "/x", missing}},
		"a folder for a program":      {image{name: "broken", tag: "1", files: []imageFile{{path: "/x", source: t.TempDir(), mode: 0o755}}}, []string{"image broken", "/x"}},
		"a name that is none":         {image{name: "Not A Name", tag: "1"}, []string{"Not A Name"}},
		"a tag that is none":          {image{name: "broken", tag: "no tag"}, []string{"image broken", "no tag"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, writeImages(filepath.Join(t.TempDir(), "images.tar"), []image{row.image}), row.want...)
		})
	}
}

func TestProgramImage(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "agent", "the agent")
	i := programImage("fixtures/agent", "1f0c", filepath.Join(dir, "agent"))
	got := written(t, "meshproof.local/fixtures/agent:1f0c", i)
	config, err := got.ConfigFile()
	must(t, err)
	if diff := cmp.Diff([]string{"/agent"}, config.Config.Entrypoint); diff != "" || config.Config.User != "65532:65532" {
		t.Errorf("user %s, entrypoint (-want +got):\n%s", config.Config.User, diff)
	}
	if diff := cmp.Diff([]string{"0 755 agent the agent"}, entries(t, got)); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
}

// distribution is a root of Debian packages with iptables, and folders of Istio's programs and of Envoy.
func distribution(t *testing.T) (istio, envoyDir, root string) {
	istio, envoyDir, root = t.TempDir(), t.TempDir(), t.TempDir()
	libraries := "usr/lib/" + runtimeTriple()
	put(t, istio, "pilot-agent", "static", "pilot-discovery", "static", "envoy_bootstrap.json", "{}")
	put(t, envoyDir, "envoy", elfFile(loaderPath(), "libc.so.6"))
	put(t, root,
		"usr/sbin/xtables-nft-multi", elfFile(loaderPath(), "libxtables.so.12"),
		libraries+"/xtables/libxt_owner.so", elfFile("", "libext.so.1"),
		libraries+"/libc.so.6", elfFile("", loaderName()),
		libraries+"/libxtables.so.12", elfFile("", "libc.so.6"),
		libraries+"/libext.so.1", elfFile(""),
		libraries+"/libunused.so.1", elfFile(""),
		libraries+"/"+loaderName(), elfFile(""))
	return istio, envoyDir, root
}

func TestProxyImage(t *testing.T) {
	istio, envoyDir, root := distribution(t)
	i, err := proxyImage("1.31.0-abc", istio, envoyDir, root)
	must(t, err)
	links, files := map[string]string{}, map[string]bool{}
	for _, file := range i.files {
		if file.link != "" {
			links[file.path] = file.link
		} else {
			files[file.path] = true
		}
	}
	lib := "/lib/" + runtimeTriple() + "/"
	wantFiles := []string{
		"/etc/group", "/etc/passwd", lib + loaderName(), lib + "libc.so.6", lib + "libext.so.1", lib + "libxtables.so.12",
		"/usr/lib/" + runtimeTriple() + "/xtables/libxt_owner.so", "/usr/local/bin/envoy", "/usr/local/bin/pilot-agent",
		"/usr/sbin/xtables-nft-multi", "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json",
	}
	slices.Sort(wantFiles)
	if diff := cmp.Diff(wantFiles, slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if links[loaderPath()] != lib+loaderName() {
		t.Errorf("the loader's name leads to %q", links[loaderPath()])
	}
	delete(links, loaderPath())
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "iptables-nft", "iptables-nft-save", "iptables-nft-restore", "ip6tables", "ip6tables-nft-restore"} {
		if links["/usr/sbin/"+name] != "xtables-nft-multi" {
			t.Errorf("%s leads to %q", name, links["/usr/sbin/"+name])
		}
	}
	if len(links) != 12 {
		t.Errorf("%d names of iptables, want 12", len(links))
	}
	// It can be written: every source is there.
	config, err := written(t, i.reference(), i).ConfigFile()
	must(t, err)
	if diff := cmp.Diff([]string{"/usr/local/bin/pilot-agent"}, config.Config.Entrypoint); diff != "" || i.reference() != "meshproof.local/istio/proxyv2:1.31.0-abc" {
		t.Errorf("%s: entrypoint (-want +got):\n%s", i.reference(), diff)
	}
}

func TestProxyImageNeedsExtensions(t *testing.T) {
	istio, envoyDir, root := distribution(t)
	must(t, os.RemoveAll(filepath.Join(root, "usr/lib", runtimeTriple(), "xtables")))
	_, err := proxyImage("1", istio, envoyDir, root)
	wantError(t, err, "iptables extensions")
}

func TestPilotImage(t *testing.T) {
	istio, _, _ := distribution(t)
	config, err := written(t, "meshproof.local/istio/pilot:1", pilotImage("1", istio)).ConfigFile()
	must(t, err)
	if config.Config.User != "1337:1337" || config.Config.Entrypoint[0] != "/usr/local/bin/pilot-discovery" {
		t.Errorf("%v as %s", config.Config.Entrypoint, config.Config.User)
	}
}

func TestImageArchive(t *testing.T) {
	cache, builds := Cache{Dir: t.TempDir()}, 0
	images := func() ([]image, error) {
		builds++
		return []image{smallImage(t)}, nil
	}
	for range 2 {
		file, err := imageArchive(t.Context(), cache, "key", "images", Silent{}, images)
		must(t, err)
		if _, err := tarball.ImageFromPath(file, nil); err != nil || builds != 1 {
			t.Errorf("%d builds of %s, error %v", builds, file, err)
		}
	}
	broken := errors.New("no program")
	if _, err := imageArchive(t.Context(), cache, "other", "images", Silent{}, func() ([]image, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("error = %v, want %v", err, broken)
	}
}

// TestLayerIsWrittenWhole: an image's layer is read more than once, each time from the start.
func TestLayerIsWrittenWhole(t *testing.T) {
	made, err := smallImage(t).build()
	must(t, err)
	layers, err := made.Layers()
	must(t, err)
	var first []byte
	for range 2 {
		content, err := layers[0].Uncompressed()
		must(t, err)
		data, err := io.ReadAll(content)
		must(t, err)
		if first != nil && !bytes.Equal(first, data) {
			t.Error("the second reading differs")
		}
		first = data
	}
	if !bytes.Contains(first, []byte(path.Base("/usr/local/bin/program"))) {
		t.Error("the layer lacks the program")
	}
}
