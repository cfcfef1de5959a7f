package lab

import (
	"context"
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

	"github.com/meshproof/meshproof/framework/internal/process"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/lab/node"
)

const (
	recordName = "lab.json"
	lockName   = "lock"
)

// save writes the record by which Open finds the lab.
func (l *Lab) save() error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	temporary := filepath.Join(l.Dir, recordName+".partial")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("record the lab: %w", err)
	}
	return os.Rename(temporary, filepath.Join(l.Dir, recordName))
}

// Open returns the running lab of this name, or ErrNotRunning.
func Open(options Options) (*Lab, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	l, err := readRecord(options)
	if err != nil {
		return nil, err
	}
	if !l.alive() {
		return nil, fmt.Errorf("lab %q: %w", options.Name, ErrNotRunning)
	}
	return l, nil
}

func readRecord(options Options) (*Lab, error) {
	data, err := os.ReadFile(filepath.Join(options.dir(), recordName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lab %q: %w", options.Name, ErrNotRunning)
	}
	if err != nil {
		return nil, fmt.Errorf("read the record of lab %q: %w", options.Name, err)
	}
	l := &Lab{}
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("read the record of lab %q: %w", options.Name, err)
	}
	return l, nil
}

// alive tells whether the lab's first process still is the one that was started.
func (l *Lab) alive() bool {
	ticks, err := process.StartTicks(l.PID)
	return err == nil && ticks == l.StartTicks
}

// lock keeps two processes from starting or stopping the same lab at once.
func lock(ctx context.Context, options Options) (unlock func(), err error) {
	path := filepath.Join(options.StateDir, "lab", options.Name+"."+lockName)
	return build.LockFile(ctx, path, fmt.Sprintf("starts or stops lab %q", options.Name))
}

// discard ends what runs in the lab's control group, removes the group and the lab's folder. It is no error when there
// is nothing.
func discard(ctx context.Context, options Options) error {
	groups, err := node.FindCgroups("/meshproof-" + options.Name)
	if err != nil {
		return err
	}
	if err := endProcesses(ctx, groups); err != nil {
		return err
	}
	if err := groups.Remove(); err != nil {
		return err
	}
	if err := os.RemoveAll(options.dir()); err != nil {
		return fmt.Errorf("remove the lab's folder: %w", err)
	}
	return nil
}

// endTimeout is how long the kernel may take to end killed processes.
const endTimeout = 20 * time.Second

// endProcesses kills every process of the lab's own control group, and waits until they have gone.
func endProcesses(ctx context.Context, groups node.Cgroups) error {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		pids, err := groups.Processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end process %d of the lab: %w", pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v of the lab did not end within %s of being killed", pids, endTimeout)
		case <-ticker.C:
		}
	}
}

// keepLogs moves the logs of a failed start to where the next start does not remove them.
func keepLogs(options Options) error {
	source, target := filepath.Join(options.dir(), "log"), failedLogs(options)
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	err := os.Rename(source, target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("the logs of its parts are in %s", target)
}

func failedLogs(options Options) string {
	return filepath.Join(options.StateDir, "lab", options.Name+"-failed-log")
}

// linkTree copies a tree by hard links, which takes milliseconds where a copy takes seconds. Databases, which change in
// place, are copied; everything else in a container store is written once and then only read.
func linkTree(source, target string) error {
	return filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		copied := filepath.Join(target, rel)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			if err := os.MkdirAll(copied, 0o755); err != nil {
				return err
			}
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				if err := os.Lchown(copied, int(stat.Uid), int(stat.Gid)); err != nil {
					return err
				}
			}
			return os.Chmod(copied, info.Mode()) // also the sticky bit of /tmp
		case entry.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, copied)
		case strings.HasSuffix(path, ".db"):
			return copyFile(path, copied, info.Mode())
		case entry.Type().IsRegular():
			if err := os.Link(path, copied); err != nil {
				// Cache and state may be on different file systems.
				return copyFile(path, copied, info.Mode())
			}
		}
		return nil
	})
}

func copyFile(source, target string, mode fs.FileMode) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}
