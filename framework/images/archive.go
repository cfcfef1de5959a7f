package images

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// The files of an OCI layout beside its blobs.
const (
	layoutFile = "oci-layout"
	indexFile  = "index.json"
	blobFolder = "blobs/sha256"
)

func blobPath(folder string, digest v1.Hash) string {
	return filepath.Join(folder, "blobs", digest.Algorithm, digest.Hex)
}

// Save writes images into one file: a tar of an OCI layout, whose index names each of them. The same images make the same
// file. A file that is there is replaced, once the new one is whole.
func Save(file string, list []Image) (err error) {
	written, err := os.CreateTemp(filepath.Dir(file), ".images-*")
	if err != nil {
		return fmt.Errorf("save the images: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(written.Name()) // of no use to anybody
		}
	}()
	err = errors.Join(writeArchive(written, list), written.Chmod(0o644), written.Close())
	if err == nil {
		err = os.Rename(written.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("save the images to %s: %w", file, err)
	}
	return nil
}

func writeArchive(w io.Writer, list []Image) error {
	root := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	blobs := map[string]string{} // name in the archive to file
	for _, image := range list {
		own, err := layout.ImageIndexFromPath(image.folder)
		if err != nil {
			return err
		}
		manifest, err := own.IndexManifest()
		if err != nil {
			return err
		}
		for _, descriptor := range manifest.Manifests {
			if descriptor.Digest.String() == image.Digest {
				root.Manifests = append(root.Manifests, descriptor)
			}
		}
		entries, err := os.ReadDir(filepath.Join(image.folder, filepath.FromSlash(blobFolder)))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			blobs[path.Join(blobFolder, entry.Name())] = filepath.Join(image.folder, filepath.FromSlash(blobFolder), entry.Name())
		}
	}
	slices.SortFunc(root.Manifests, func(a, b v1.Descriptor) int {
		return strings.Compare(a.Annotations[build.NameAnnotation], b.Annotations[build.NameAnnotation])
	})
	index, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, one := range []struct {
		name string
		data []byte
	}{{layoutFile, []byte(`{"imageLayoutVersion":"1.0.0"}` + "\n")}, {indexFile, index}} {
		if err := add(archive, one.name, int64(len(one.data)), bytes.NewReader(one.data)); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(blobs) {
		if err := addFile(archive, name, blobs[name]); err != nil {
			return err
		}
	}
	return archive.Close()
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func addFile(archive *tar.Writer, name, file string) error {
	source, err := os.Open(file)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	return add(archive, name, info.Size(), source)
}

func add(archive *tar.Writer, name string, size int64, content io.Reader) error {
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(archive, content)
	return err
}

// blobName is that of a blob, which is its digest.
var blobName = regexp.MustCompile(`^blobs/sha256/[0-9a-f]{64}$`)

// Open unpacks a file that Save has written into folder, which must be there, and returns its images. Every blob must be what
// its name says, and every blob that an image names must be there, so that a damaged file is told before anything is
// sent anywhere.
func Open(file, folder string) ([]Image, error) {
	list, err := open(file, folder)
	if err != nil {
		return nil, fmt.Errorf("read the images in %s (a file that `meshproof images save` wrote is expected): %w", file, err)
	}
	return list, nil
}

func open(file, folder string) ([]Image, error) {
	source, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	if err := os.MkdirAll(filepath.Join(folder, filepath.FromSlash(blobFolder)), 0o755); err != nil {
		return nil, err
	}
	archive := tar.NewReader(source)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg || header.Name != layoutFile && header.Name != indexFile && !blobName.MatchString(header.Name) {
			return nil, fmt.Errorf("it holds %q, which is no part of an OCI layout", header.Name)
		}
		if err := unpack(archive, folder, header.Name); err != nil {
			return nil, err
		}
	}
	list, err := readLayout(folder)
	if err == nil && len(list) == 0 {
		err = errors.New("it holds no image")
	}
	return list, err
}

// unpack writes one file of the layout, and checks the content of a blob.
func unpack(content io.Reader, folder, name string) error {
	target, err := os.Create(filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(target, hash), content)
	if err = errors.Join(err, target.Close()); err != nil {
		return err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); blobName.MatchString(name) && path.Base(name) != sum {
		return fmt.Errorf("it is damaged: %s has the digest sha256:%s", name, sum)
	}
	return nil
}
