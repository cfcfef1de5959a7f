package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// saved is a file of two images.
func saved(t *testing.T) (file string, list []Image) {
	t.Helper()
	list = []Image{built(t, "fixtures/bookinfo", "1f0c"), built(t, "fixtures/agent", "1f0c")}
	file = filepath.Join(t.TempDir(), "all.tar")
	must(t, Save(file, list))
	return file, list
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	return data
}

func TestWhatWasSavedIsOpened(t *testing.T) {
	file, list := saved(t)
	got, err := Open(file, t.TempDir())
	must(t, err)
	// By their names.
	if diff := cmp.Diff([]Image{list[1], list[0]}, got, shown); diff != "" {
		t.Errorf("images (-saved +opened):\n%s", diff)
	}
	for _, image := range got {
		must(t, validate.Index(image.index))
	}
}

func TestTheSameImagesAreTheSameFile(t *testing.T) {
	file, list := saved(t)
	again := filepath.Join(t.TempDir(), "again.tar")
	must(t, os.WriteFile(again, []byte("an older one"), 0o600))
	must(t, Save(again, []Image{list[1], list[0]}))
	if !bytes.Equal(read(t, file), read(t, again)) {
		t.Error("saved twice they are two files")
	}
	entries, err := os.ReadDir(filepath.Dir(again))
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("beside it there are %v", entries)
	}
}

func TestSaveTellsWhatGoesWrong(t *testing.T) {
	image := built(t, "fixtures/agent", "1f0c")
	wantError(t, Save(filepath.Join(t.TempDir(), "missing", "all.tar"), []Image{image}), "save the images", "missing")
	must(t, os.RemoveAll(image.folder))
	file := filepath.Join(t.TempDir(), "all.tar")
	wantError(t, Save(file, []Image{image}), "save the images to "+file)
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 0 {
		t.Errorf("it has left %v, error %v", entries, err)
	}
}

// rewritten copies an archive, and lets change drop, replace or add files.
func rewritten(t *testing.T, file string, change func(header *tar.Header, content []byte) (*tar.Header, []byte), extra ...*tar.Header) string {
	t.Helper()
	var out bytes.Buffer
	target := tar.NewWriter(&out)
	source := tar.NewReader(bytes.NewReader(read(t, file)))
	for {
		header, err := source.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		content, err := io.ReadAll(source)
		must(t, err)
		if header, content = change(header, content); header == nil {
			continue
		}
		header.Size = int64(len(content))
		must(t, target.WriteHeader(header))
		_, err = target.Write(content)
		must(t, err)
	}
	for _, header := range extra {
		must(t, target.WriteHeader(header))
	}
	must(t, target.Close())
	changed := filepath.Join(t.TempDir(), "changed.tar")
	must(t, os.WriteFile(changed, out.Bytes(), 0o600))
	return changed
}

// What is not whole, or not what it says, is told before anything is sent anywhere.
func TestOpenRefuses(t *testing.T) {
	file, _ := saved(t)
	same := func(header *tar.Header, content []byte) (*tar.Header, []byte) { return header, content }
	blob := func(header *tar.Header) bool { return strings.HasPrefix(header.Name, blobFolder) }
	dropped, damaged := false, false
	for name, row := range map[string]struct{ file, want string }{
		"a flipped byte": {rewritten(t, file, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
			if blob(header) && !damaged {
				damaged, content[0] = true, content[0]^1
			}
			return header, content
		}), "it is damaged: blobs/sha256/"},
		"a missing blob": {rewritten(t, file, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
			if blob(header) && !dropped {
				dropped = true
				return nil, nil
			}
			return header, content
		}), "no such file"},
		"no index": {rewritten(t, file, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
			if header.Name == indexFile {
				return nil, nil
			}
			return header, content
		}), indexFile},
		"another's name": {rewritten(t, file, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
			if header.Name == indexFile {
				content = bytes.ReplaceAll(content, []byte("meshproof.local/"), []byte("docker.io/"))
			}
			return header, content
		}), "no name of meshproof's"},
		"a file outside":     {rewritten(t, file, same, &tar.Header{Typeflag: tar.TypeReg, Name: "../outside", Mode: 0o644}), `"../outside", which is no part of an OCI layout`},
		"a link":             {rewritten(t, file, same, &tar.Header{Typeflag: tar.TypeSymlink, Name: blobFolder + "/x", Linkname: "/etc"}), "no part of an OCI layout"},
		"the archive cut":    {cut(t, file), "unexpected EOF"},
		"what is no archive": {"archive_test.go", "archive_test.go"},
		"what is not there":  {"missing.tar", "missing.tar"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(row.file, t.TempDir())
			wantError(t, err, row.want, "images save")
		})
	}
	if !damaged || !dropped {
		t.Error("no blob was changed")
	}
}

func cut(t *testing.T, file string) string {
	t.Helper()
	data := read(t, file)
	short := filepath.Join(t.TempDir(), "short.tar")
	must(t, os.WriteFile(short, data[:len(data)*2/3], 0o600))
	return short
}
