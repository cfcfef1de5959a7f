package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// unusedFor is how long an entry stays that nothing uses: every change of a program's sources makes new entries, and
	// people come back to a branch after a weekend.
	unusedFor = 3 * 24 * time.Hour
	// justUsed is how long an entry stays even when the disk is full: a lab that is being started does not hold it yet.
	justUsed = time.Hour
)

// Trim removes the entries that nothing has used for days; while enough answers false, also others, those unused for
// longest first. It leaves what a running lab holds, what was used within the hour, and what is being built.
func (c Cache) Trim(now time.Time, enough func() bool, progress Progress) error {
	entries, err := c.entries()
	if err != nil {
		return fmt.Errorf("list the cache folder: %w", err)
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	entries = slices.DeleteFunc(entries, func(e entry) bool { return now.Sub(e.used) < justUsed })
	if len(entries) == 0 || now.Sub(entries[0].used) < unusedFor && enough() {
		return nil
	}
	return Timed(progress, "remove what nothing uses", func(Step) (string, error) {
		removed, bytes := 0, uint64(0)
		for _, e := range entries {
			if now.Sub(e.used) < unusedFor && enough() {
				break
			}
			size, err := e.remove()
			if err != nil {
				return "", fmt.Errorf("remove the unused cache entry %s: %w", e.dir, err)
			}
			if size > 0 {
				removed++
				bytes += size
			}
		}
		return fmt.Sprintf("%d entries of the cache, %.1f GiB", removed, float64(bytes)/(1<<30)), nil
	})
}

// entry is a finished entry of the cache; used is when it was asked for last.
type entry struct {
	dir  string
	used time.Time
}

func (c Cache) entries() ([]entry, error) {
	var entries []entry
	err := filepath.WalkDir(c.Dir, func(path string, item fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another process removed it meanwhile
		}
		if err != nil || !item.IsDir() {
			return err
		}
		info, err := os.Stat(filepath.Join(path, manifestName))
		if err != nil {
			return nil // a folder above entries, or an unfinished one
		}
		entries = append(entries, entry{dir: path, used: info.ModTime()})
		return fs.SkipDir
	})
	return entries, err
}

// remove removes the entry, unless a lab holds it or a process builds it, and returns the size of its files.
func (e entry) remove() (uint64, error) {
	for _, path := range []string{e.dir + ".lock", filepath.Join(e.dir, manifestName)} {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil // another process removed it
		}
		if err != nil {
			return 0, err
		}
		defer file.Close()
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, nil
		} else if err != nil {
			return 0, err
		}
	}
	var bytes uint64
	err := filepath.WalkDir(e.dir, func(_ string, item fs.DirEntry, err error) error {
		if err != nil || !item.Type().IsRegular() {
			return err
		}
		info, err := item.Info()
		if err == nil {
			bytes += uint64(info.Size())
		}
		return err
	})
	// The manifest goes first: without it what is left is unfinished, whatever happens to this process.
	return bytes, errors.Join(err, os.Remove(filepath.Join(e.dir, manifestName)), removeAll(e.dir))
}

// Hold keeps the entries that artifacts are from as they are, until the process ends.
func (a Artifacts) Hold() error {
	dirs := []string{a.Root, a.Kubernetes, a.CoreDNS, a.Router}
	for _, mesh := range a.Meshes {
		dirs = append(dirs, mesh.Istio, mesh.Envoy)
	}
	for _, dir := range dirs {
		// Nobody closes the file but the kernel, when the process ends.
		file, err := syscall.Open(filepath.Join(dir, manifestName), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err == nil {
			err = syscall.Flock(file, syscall.LOCK_SH)
		}
		if err != nil {
			return fmt.Errorf("hold what the lab runs from (%s): %w", dir, err)
		}
	}
	return nil
}
