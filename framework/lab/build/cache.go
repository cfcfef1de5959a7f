package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Cache keeps what is built, one folder per entry, so that each thing is built once per machine and never trusted blindly.
type Cache struct {
	// Dir is the cache's folder; it is made when the first entry is.
	Dir string
}

// manifestName is the file in an entry that says what the entry held when it was finished.
const manifestName = ".manifest.json"

// manifest lists the regular files of an entry. An entry without one is unfinished and is built again.
type manifest struct {
	Files map[string]fileSum `json:"files"`
}

// fileSum is what a file was when its entry was finished. Small trees of many files (the Debian root) are compared by
// size and time; programs are also hashed, because a program with one flipped byte fails in ways nobody would trace here.
type fileSum struct {
	Size   int64  `json:"size"`
	Time   int64  `json:"time"`
	SHA256 string `json:"sha256,omitempty"`
}

// hashAbove is the size in bytes from which a file's content is verified, and not only its size and time.
const hashAbove = 8 << 20

// Entry returns the folder of the entry with this name and key, after build has filled it if it was not there, was
// unfinished, or is not what it was when it was finished. The key names everything that the content depends on.
// Only one process builds an entry at a time; others wait for it until ctx ends.
func (c Cache) Entry(ctx context.Context, name, key string, build func(ctx context.Context, dir string) error) (string, error) {
	dir := c.path(name, key)
	if problem := verify(dir); problem == nil {
		return dir, used(dir)
	}
	unlock, err := LockFile(ctx, dir+".lock", "builds the same thing")
	if err != nil {
		return "", fmt.Errorf("use the cache folder: %w", err)
	}
	defer unlock()
	problem := verify(dir)
	if problem == nil {
		return dir, used(dir) // another process built it while this one waited
	}
	// A folder that is there but wrong is removed whole: half of it may be right, but nobody knows which half.
	if err := removeAll(dir); err != nil {
		return "", fmt.Errorf("remove the unusable cache entry %s (%w): %w", dir, problem, err)
	}
	partial := dir + ".partial"
	if err := removeAll(partial); err != nil {
		return "", fmt.Errorf("remove what an interrupted build left in %s: %w", partial, err)
	}
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	if err := build(ctx, partial); err != nil {
		return "", err
	}
	if err := seal(partial); err != nil {
		return "", fmt.Errorf("finish the cache entry %s: %w", dir, err)
	}
	if err := os.Rename(partial, dir); err != nil {
		return "", fmt.Errorf("finish the cache entry: %w", err)
	}
	return dir, nil
}

// used notes that the entry in dir is used now, by which Trim knows what is not.
func used(dir string) error {
	now := time.Now()
	if err := os.Chtimes(filepath.Join(dir, manifestName), now, now); err != nil {
		return fmt.Errorf("note the use of a cache entry: %w", err)
	}
	return nil
}

// Has tells whether the entry is there and sound, without building it.
func (c Cache) Has(name, key string) bool { return verify(c.path(name, key)) == nil }

func (c Cache) path(name, key string) string {
	return filepath.Join(c.Dir, name, key)
}

// errUnfinished is the state of an entry that no build has completed.
var errUnfinished = errors.New("not built yet")

// verify says what is wrong with the entry in dir; nil means that it is what it was when it was finished.
func verify(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return errUnfinished
	}
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("its manifest is damaged: %w", err)
	}
	var group errgroup.Group
	group.SetLimit(2)
	for name, want := range m.Files {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if info.Size() != want.Size || info.ModTime().UnixNano() != want.Time {
			return fmt.Errorf("%s has changed since it was built", path)
		}
		if want.SHA256 == "" {
			continue
		}
		group.Go(func() error {
			got, err := hashFile(path)
			if err == nil && got != want.SHA256 {
				return fmt.Errorf("%s has changed since it was built", path)
			}
			return err
		})
	}
	return group.Wait()
}

// seal writes the manifest of what is in dir.
func seal(dir string) error {
	m := manifest{Files: map[string]fileSum{}}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum := fileSum{Size: info.Size(), Time: info.ModTime().UnixNano()}
		if info.Size() >= hashAbove {
			if sum.SHA256, err = hashFile(path); err != nil {
				return err
			}
		}
		m.Files[name] = sum
		return nil
	})
	if err != nil {
		return err
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestName), data, 0o644)
}

func hashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Key is a short digest of the parts, in order, for use as an entry's key.
func Key(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:16]
}

// LockFile takes an exclusive lock on path, whose folder it makes, and returns the function that gives it back. The kernel
// drops the lock of a process that dies, so a killed one never blocks the next. holder says, in the error of a wait that
// ctx ends, what the other process does.
func LockFile(ctx context.Context, path, holder string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of a lock: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open a lock: %w", err)
	}
	// flock cannot be cancelled, so it waits in a goroutine of its own, which closing the file does not wake: an abandoned
	// wait gives the lock back when it gets it.
	taken := make(chan error, 1)
	go func() { taken <- syscall.Flock(int(file.Fd()), syscall.LOCK_EX) }()
	select {
	case err := <-taken:
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return func() { file.Close() }, nil
	case <-ctx.Done():
		go func() {
			<-taken
			file.Close()
		}()
		return nil, fmt.Errorf("wait for another process that %s (lock %s): %w", holder, path, context.Cause(ctx))
	}
}

// removeAll removes dir also when folders in it are read-only, as those of Debian packages and Go modules may be.
func removeAll(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = os.Chmod(path, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
