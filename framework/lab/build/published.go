package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Architectures are those that images are published for, each with linux.
var Architectures = []string{"amd64", "arm64"}

// Annotations of an image in an OCI layout: its whole name, by which containerd imports it, and its tag.
const (
	NameAnnotation = "io.containerd.image.name"
	TagAnnotation  = "org.opencontainers.image.ref.name"
)

// Publication is an image that clusters other than the lab pull: one index over an image for each architecture.
type Publication struct {
	// Program is what patterns call it: that of a fixture, or Suite.
	Program string
	// Name is the image's, without registry and tag: "fixtures/bookinfo". Its tag names its sources.
	Name, Tag string
}

// Reference is its full name in the lab.
func (p Publication) Reference() string { return image{name: p.Name, tag: p.Tag}.reference() }

// Publications are the images of the fixtures, by name, and of the suite itself. Nothing is built, and no Go tool is needed.
func Publications() ([]Publication, error) {
	suite, err := SuitePublication()
	return append(FixturePublications(), suite), err
}

// FixturePublications are those of the fixtures, by name.
func FixturePublications() []Publication {
	src := loadSources()
	list := []Publication{{Program: databaseFixture, Name: "fixtures/" + databaseFixture, Tag: databaseTag(src)}}
	for _, program := range fixturePrograms {
		list = append(list, Publication{Program: program, Name: "fixtures/" + program, Tag: fixtureTag(src)})
	}
	slices.SortFunc(list, func(a, b Publication) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Publish builds images for the architectures, and returns for each the folder of an OCI layout that holds its index and no
// other. The same sources, built by the same version of the Go tool, make the same digests on every machine.
func Publish(ctx context.Context, cache Cache, list []Publication, architectures []string, progress Progress) ([]string, error) {
	b, err := newBuilder(ctx, cache, progress)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, p := range list {
		dir, err := b.publish(ctx, p, architectures)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// Published returns the folder that Publish has made for an image; empty when it has not.
func Published(ctx context.Context, cache Cache, p Publication, architectures []string) string {
	toolchain, err := Toolchain(ctx)
	if err != nil {
		return "" // nothing can have been built here
	}
	key := publicationKey(p, architectures, toolchain)
	if !cache.Has(publishedEntry, key) {
		return ""
	}
	return cache.path(publishedEntry, key)
}

// publishedEntry is the name of the cache entries that Publish makes.
var publishedEntry = filepath.Join("images", "oci")

// publicationKey is of what decides the digest: the tag names the sources, and the programs of every architecture are of one
// version of the Go tool.
func publicationKey(p Publication, architectures []string, toolchain string) string {
	version, _, _ := strings.Cut(toolchain, " ")
	return Key(p.Name, p.Tag, version, strings.Join(architectures, " "))
}

func (b builder) publish(ctx context.Context, p Publication, architectures []string) (string, error) {
	return b.cache.Entry(ctx, publishedEntry, publicationKey(p, architectures, b.toolchain), func(ctx context.Context, dir string) error {
		programs := map[string]string{}
		for _, arch := range architectures {
			program, err := b.forArchitecture(arch).program(ctx, p)
			if err != nil {
				return err
			}
			programs[arch] = program
		}
		return Timed(b.progress, "image "+p.Name, func(Step) (string, error) {
			return strings.Join(architectures, ", "), writeLayout(dir, p, architectures, programs)
		})
	})
}

// forArchitecture is the builder for another architecture; for that of this machine it shares what is built for the lab.
func (b builder) forArchitecture(arch string) builder {
	version, _, _ := strings.Cut(b.toolchain, " ")
	b.arch, b.toolchain = arch, version+" "+arch
	if arch != runtime.GOARCH { // or two steps have one name
		b.progress = named{b.progress, " for " + arch}
	}
	return b
}

// named adds a word to the names of all steps.
type named struct {
	Progress
	suffix string
}

func (n named) Start(name string) Step { return n.Progress.Start(name + n.suffix) }

// program returns the file of the image's program.
func (b builder) program(ctx context.Context, p Publication) (string, error) {
	switch p.Program {
	case Suite:
		return b.suite(ctx, p)
	case databaseFixture:
		dir, err := b.ferretDB(ctx)
		return filepath.Join(dir, "ferretdb"), err
	default:
		dir, err := b.fixturesFolder(ctx)
		return filepath.Join(dir, p.Program), err
	}
}

// writeLayout writes the OCI layout of one index of images, each of one static program.
func writeLayout(dir string, p Publication, architectures []string, programs map[string]string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range architectures {
		i := programImage(p.Name, p.Tag, programs[arch])
		i.arch = arch
		if p.Program == Suite {
			i = suiteImage(p, arch, programs[arch])
		}
		made, err := i.buildWith(tarball.WithCompression(compression.GZip), tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return err
		}
		made = mutate.ConfigMediaType(mutate.MediaType(made, types.OCIManifestSchema1), types.OCIConfigJSON)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: made, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	path, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = path.AppendIndex(index, layout.WithAnnotations(map[string]string{NameAnnotation: p.Reference(), TagAnnotation: p.Tag}))
	}
	if err != nil {
		return fmt.Errorf("write image %s: %w", p.Name, err)
	}
	return nil
}

// Loaded returns a copy in the cache of a file of images, which is all that a lab sees of this machine.
func Loaded(ctx context.Context, cache Cache, file string, progress Progress) (string, error) {
	sum, err := hashFile(file)
	if err != nil {
		return "", fmt.Errorf("read the images: %w", err)
	}
	dir, err := cache.Entry(ctx, "images", Key("loaded", sum), func(_ context.Context, dir string) error {
		return Timed(progress, "copy the images", func(Step) (string, error) {
			source, err := os.Open(file)
			if err != nil {
				return "", err
			}
			defer source.Close()
			target, err := os.Create(filepath.Join(dir, imagesFile))
			if err != nil {
				return "", err
			}
			_, err = io.Copy(target, source)
			return "", errors.Join(err, target.Close())
		})
	})
	return filepath.Join(dir, imagesFile), err
}
