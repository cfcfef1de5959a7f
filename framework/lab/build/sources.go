package build

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// archive holds the source of everything that the lab compiles: the nested modules under parts/, the fixtures and the
// router, with their go.mod and go.sum. Go does not embed a folder that is a module of its own, so `make generate` packs them here, and
// a test fails when the pack is stale. It is text, so that a change in it can be read in review.
//
//go:embed sources.txtar
var archive []byte

// Folders of the archive: each is a Go module.
const (
	// PartsPrefix holds one module per part, for example "parts/kubernetes".
	PartsPrefix = "parts/"
	// MainModule is the main module, reduced to the packages of the fixtures and of the router.
	MainModule = "meshproof"
)

// sources is the archive by module folder.
type sources struct {
	files map[string][]byte
}

func loadSources() sources {
	s := sources{files: map[string][]byte{}}
	for _, file := range txtar.Parse(archive).Files {
		s.files[file.Name] = file.Data
	}
	return s
}

// digest names the content of folders, and of single files, of the archive.
func (s sources) digest(paths ...string) string {
	within := func(name string) bool {
		return slices.ContainsFunc(paths, func(path string) bool { return name == path || strings.HasPrefix(name, path+"/") })
	}
	hash := sha256.New()
	for _, file := range txtar.Parse(archive).Files {
		if within(file.Name) {
			fmt.Fprintf(hash, "%s %d\n", file.Name, len(file.Data))
			hash.Write(file.Data)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// unpack writes the module folder into the cache and returns where.
func (s sources) unpack(ctx context.Context, cache Cache, module string) (string, error) {
	return cache.Entry(ctx, filepath.Join("sources", filepath.Base(module)), Key(s.digest(module)), func(_ context.Context, dir string) error {
		found := false
		for name, data := range s.files {
			rel, inside := strings.CutPrefix(name, module+"/")
			if !inside {
				continue
			}
			found = true
			path := filepath.Join(dir, filepath.FromSlash(rel))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return fmt.Errorf("unpack the sources of %s: %w", module, err)
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return fmt.Errorf("unpack the sources of %s: %w", module, err)
			}
		}
		if !found {
			return fmt.Errorf("the embedded archive holds no module %s: run `make generate` and build meshproof again", module)
		}
		return nil
	})
}
