package build

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// databaseFixture is the fixture that stands in for MongoDB: FerretDB with its SQLite backend. It is built only for
// patterns that use it.
const databaseFixture = "mongodb"

// FerretDB's program refuses to start unless a file of its sources names its version, which its module does not hold.
const (
	ferretDBModule  = "github.com/FerretDB/FerretDB"
	ferretDBVersion = "v1.24.2"
	ferretDBFile    = "build/version/version.txt"
)

func databaseTag(src sources) string { return Key(src.digest(PartsPrefix + "ferretdb")) }

// database returns the archive of the database's image.
func (b builder) database(ctx context.Context) (string, error) {
	programs, err := b.ferretDB(ctx)
	if err != nil {
		return "", err
	}
	return imageArchive(ctx, b.cache, Key(databaseFixture, programs), "image of the database", b.progress, func() ([]image, error) {
		return []image{programImage("fixtures/"+databaseFixture, databaseTag(b.sources), filepath.Join(programs, "ferretdb"))}, nil
	})
}

// ferretDB returns the folder of its program.
func (b builder) ferretDB(ctx context.Context) (string, error) {
	p := part{arch: b.arch, name: "FerretDB " + ferretDBVersion, module: PartsPrefix + "ferretdb", packages: []string{ferretDBModule + "/cmd/ferretdb"}, program: "ferretdb"}
	key := Key(b.sources.digest(p.module), b.toolchain, ferretDBVersion)
	return b.cache.Entry(ctx, filepath.Join("bin", "ferretdb"), key, func(ctx context.Context, dir string) error {
		return Timed(b.progress, "build "+p.name, func(step Step) (string, error) {
			pinned, err := b.sources.unpack(ctx, b.cache, p.module)
			if err != nil {
				return "", err
			}
			step.Update(0, 0, "downloading modules")
			work, err := os.MkdirTemp(b.cache.Dir, "ferretdb-*")
			if err != nil {
				return "", fmt.Errorf("make a folder for FerretDB's sources: %w", err)
			}
			defer func() { _ = os.RemoveAll(work) }() // what is left of it takes room, and nothing else
			if err := completeFerretDB(ctx, pinned, work); err != nil {
				return "", err
			}
			return "", p.compile(ctx, work, dir, step)
		})
	})
}

// completeFerretDB makes work a copy of the pinned module in which FerretDB is replaced by a copy that names its version.
func completeFerretDB(ctx context.Context, pinned, work string) error {
	var stderr bytes.Buffer
	download := goCommand(ctx, pinned, "mod", "download", "-json", ferretDBModule)
	download.Stderr = &stderr
	output, err := download.Output()
	if err != nil {
		return fmt.Errorf("download FerretDB's sources: %w; %s", goMissing(err), lastLines(stderr.String()+string(output), 5))
	}
	var module struct{ Dir, Version string }
	if err := json.Unmarshal(output, &module); err != nil {
		return fmt.Errorf("find FerretDB's sources: %w", err)
	}
	if module.Version != ferretDBVersion {
		return fmt.Errorf("the pinned FerretDB is %s, and %s is expected: change both at once", module.Version, ferretDBVersion)
	}
	if err := os.CopyFS(filepath.Join(work, "FerretDB"), os.DirFS(module.Dir)); err != nil {
		return fmt.Errorf("copy FerretDB's sources: %w", err)
	}
	if err := os.CopyFS(work, os.DirFS(pinned)); err != nil {
		return fmt.Errorf("copy FerretDB's pin: %w", err)
	}
	// The module cache is read-only, and so are copies of its folders.
	folder := filepath.Join(work, "FerretDB", filepath.Dir(ferretDBFile))
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "FerretDB", ferretDBFile), []byte(ferretDBVersion+"\n"), 0o644); err != nil {
		return err
	}
	replace := goCommand(ctx, work, "mod", "edit", "-replace", ferretDBModule+"=./FerretDB")
	if output, err := replace.CombinedOutput(); err != nil {
		return fmt.Errorf("put FerretDB's copy in its place: %w; %s", err, lastLines(string(output), 5))
	}
	return nil
}
