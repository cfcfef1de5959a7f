// Package images brings the images of the fixtures, and of the suite itself, to clusters other than the lab: by a registry,
// or by a file.
package images

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// Image is one image of the set.
type Image struct {
	// Name is without registry and tag, for example "fixtures/bookinfo"; Tag names its sources.
	Name string `json:"name"`
	Tag  string `json:"tag"`
	// Digest is that of its index, "sha256:..."; empty while the image is not built.
	Digest string `json:"digest,omitempty"`
	// Platforms are for example "linux/arm64".
	Platforms []string `json:"platforms,omitempty"`
	// Size is what a registry stores, in bytes, for all platforms.
	Size int64 `json:"size,omitempty"`
	// Patterns are those that install it.
	Patterns []string `json:"patterns,omitempty"`

	index v1.ImageIndex
	// folder is the OCI layout that holds it.
	folder string
}

// In is the image's reference in a registry (with a path or without): by its digest, where that is known, or else by its tag.
func (i Image) In(registry string) string {
	if i.Digest != "" {
		return registry + "/" + i.Name + "@" + i.Digest
	}
	return registry + "/" + i.Name + ":" + i.Tag
}

// CheckRegistry refuses what cannot stand before the names of images.
func CheckRegistry(registry string) error {
	_, err := name.NewRepository(registry+"/fixtures/bookinfo", name.StrictValidation)
	if err == nil && strings.Contains(registry+"/", "//") {
		err = errors.New("it has an empty part")
	}
	if err != nil {
		return fmt.Errorf("%q is no registry for images: give a host, and a path if there is one, such as registry.example.com/meshproof (%w)", registry, err)
	}
	return nil
}

// set is the form of `images list -o yaml`, and of a lock file.
type set struct {
	Images []Image `json:"images"`
}

// Marshal is the list as YAML: what ReadLock reads.
func Marshal(list []Image) ([]byte, error) { return yaml.Marshal(set{list}) }

// LockFile is the lock file that is written, and read where it is there, when no other is named.
const LockFile = "meshproof-images.yaml"

// WriteLock writes the digests of images that a registry has.
func WriteLock(path string, list []Image) error {
	data, err := Marshal(list)
	if err == nil {
		err = os.WriteFile(path, append([]byte("# Written by `meshproof images push`: what --image-lock pins the images of a run to.\n"), data...), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the lock of the images: %w", err)
	}
	return nil
}

// ReadLock reads a lock file: every image in it has its digest.
func ReadLock(path string) ([]Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the lock of the images: %w", err)
	}
	var found set
	if err := yaml.UnmarshalStrict(data, &found); err != nil {
		return nil, fmt.Errorf("the lock of the images %s: %w", path, err)
	}
	if len(bytes.TrimSpace(data)) == 0 || len(found.Images) == 0 {
		return nil, fmt.Errorf("the lock of the images %s lists none", path)
	}
	for _, image := range found.Images {
		if _, err := v1.NewHash(image.Digest); err != nil || image.Name == "" || image.Tag == "" {
			return nil, fmt.Errorf("the lock of the images %s: %q has no name, no tag, or no digest: `meshproof images push` writes it", path, image.Name+":"+image.Tag)
		}
	}
	return found.Images, nil
}

// Pin returns the images of this program as a registry has them, with the digests of the lock. One that the lock does not
// have, or has of other sources, is an error: the registry may not have it either.
func Pin(list []build.Publication, lock []Image) ([]Image, error) {
	var pinned []Image
	for _, wanted := range list {
		index := slices.IndexFunc(lock, func(i Image) bool { return i.Name == wanted.Name })
		switch {
		case index < 0:
			return nil, fmt.Errorf("the lock has no image %s: run `meshproof images push` with this program", wanted.Name)
		case lock[index].Tag != wanted.Tag:
			return nil, fmt.Errorf("the lock has %s of other sources (%s) than this program's (%s): run `meshproof images push` with it", wanted.Name, lock[index].Tag, wanted.Tag)
		}
		pinned = append(pinned, lock[index])
	}
	return pinned, nil
}

// ofFolder reads the only image of an OCI layout.
func ofFolder(folder string) (Image, error) {
	list, err := readLayout(folder)
	if err != nil {
		return Image{}, err
	}
	if len(list) != 1 {
		return Image{}, fmt.Errorf("%s holds %d images, want one", folder, len(list))
	}
	return list[0], nil
}

// Of describes what Publish or Published has returned.
func Of(folders []string) ([]Image, error) {
	var list []Image
	for _, folder := range folders {
		image, err := ofFolder(folder)
		if err != nil {
			return nil, fmt.Errorf("read a built image: %w", err)
		}
		list = append(list, image)
	}
	return list, nil
}

// readLayout reads the images of an OCI layout, each of which names itself.
func readLayout(folder string) ([]Image, error) {
	root, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		return nil, err
	}
	var list []Image
	for _, descriptor := range manifest.Manifests {
		if !descriptor.MediaType.IsIndex() {
			return nil, fmt.Errorf("%s is no index of images for several platforms", descriptor.Digest)
		}
		index, err := root.ImageIndex(descriptor.Digest)
		if err != nil {
			return nil, err
		}
		image := Image{Digest: descriptor.Digest.String(), index: index, folder: folder}
		if image.Name, image.Tag, err = named(descriptor.Annotations[build.NameAnnotation]); err != nil {
			return nil, err
		}
		if err := image.measure(); err != nil {
			return nil, fmt.Errorf("image %s: %w", image.Name, err)
		}
		list = append(list, image)
	}
	return list, nil
}

// named takes a full name, as the lab has it, apart.
func named(reference string) (short, tag string, err error) {
	rest, ours := strings.CutPrefix(reference, build.Registry+"/")
	short, tag, tagged := strings.Cut(rest, ":")
	if !ours || !tagged || short == "" || tag == "" {
		return "", "", fmt.Errorf("an image is called %q, which is no name of meshproof's", reference)
	}
	return short, tag, nil
}

// measure finds out platforms and size, and that everything is there.
func (i *Image) measure() error {
	manifest, err := i.index.IndexManifest()
	if err != nil {
		return err
	}
	seen := map[v1.Hash]bool{}
	count := func(descriptor v1.Descriptor) error {
		if seen[descriptor.Digest] {
			return nil
		}
		seen[descriptor.Digest] = true
		info, err := os.Stat(blobPath(i.folder, descriptor.Digest))
		if err == nil && info.Size() != descriptor.Size {
			err = fmt.Errorf("%s has %d bytes, want %d", descriptor.Digest, info.Size(), descriptor.Size)
		}
		i.Size += descriptor.Size
		return err
	}
	for _, child := range manifest.Manifests {
		if child.Platform == nil {
			return errors.New("an image of it names no platform")
		}
		i.Platforms = append(i.Platforms, child.Platform.OS+"/"+child.Platform.Architecture)
		image, err := i.index.Image(child.Digest)
		if err != nil {
			return err
		}
		parts, err := image.Manifest()
		if err != nil {
			return err
		}
		for _, descriptor := range slices.Concat([]v1.Descriptor{child, parts.Config}, parts.Layers) {
			if err := count(descriptor); err != nil {
				return err
			}
		}
	}
	return nil
}
