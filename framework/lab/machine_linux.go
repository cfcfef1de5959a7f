package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/lab/node"
)

// What a lab needs, as measured, with room to spare: to build everything (the Go tool's own caches among it), to build
// again what a change of meshproof makes new and to run, and the processes of a lab with two patterns.
const (
	neededToBuild = 12 << 30
	neededToRun   = 3 << 30
	neededMemory  = 3 << 30
)

// checkMachine says, before anything is touched, what this machine lacks.
func checkMachine(options Options) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrUnsupported, fmt.Errorf(format, args...))
	}
	if os.Geteuid() != 0 {
		return fail("it needs root, to make Linux namespaces and mounts (try sudo); with --kubeconfig no root is needed")
	}
	if runtime.GOARCH != "amd64" {
		return fail("it needs an amd64 machine, and this is %s", runtime.GOARCH)
	}
	if _, err := node.FindCgroups("/meshproof-" + options.Name); err != nil {
		return fail("%w", err)
	}
	available, err := availableMemory()
	if err != nil {
		return fail("read the free memory: %w", err)
	}
	if available < neededMemory {
		return fail("it needs %.1f GiB of free memory, and %.1f GiB are available", gib(neededMemory), gib(available))
	}
	if err := makeRoom(options); err != nil {
		return fail("%w", err)
	}
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return fail("%w", err)
	}
	if !strings.Contains(string(filesystems), "\toverlay\n") {
		return fail("the kernel has no overlay file system (try `modprobe overlay`)")
	}
	if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); err != nil {
		return fail("the kernel does not pass bridged packets to iptables (try `modprobe br_netfilter`)")
	}
	return nil
}

// makeRoom removes what is in the cache and unused, and says when there still is too little space.
func makeRoom(options Options) error {
	cache := build.Cache{Dir: options.CacheDir}
	needed := map[string]uint64{options.CacheDir: neededToBuild, options.StateDir: neededToRun}
	if stores, err := filepath.Glob(filepath.Join(options.CacheDir, storeEntry, "*")); err == nil && len(stores) > 0 {
		needed[options.CacheDir] = neededToRun // everything was built before, so most of it is there
	}
	lacking := func() error {
		for dir, needed := range needed {
			free, err := freeDisk(dir)
			if err != nil {
				return fmt.Errorf("read the free disk space of %s: %w", dir, err)
			}
			if free < needed {
				return fmt.Errorf("%s needs %.1f GiB of free disk space, and %.1f GiB are free (another place: --cache-dir, --state-dir)", dir, gib(needed), gib(free))
			}
		}
		return nil
	}
	err := cache.Trim(time.Now(), func() bool { return lacking() == nil }, options.Progress)
	return errors.Join(err, lacking())
}

func gib(bytes uint64) float64 { return float64(bytes) / (1 << 30) }

func availableMemory() (uint64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "MemAvailable:" {
			kib, err := strconv.ParseUint(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo does not say MemAvailable")
}

// freeDisk is the space that is free where dir is or will be.
func freeDisk(dir string) (uint64, error) {
	for {
		var stat unix.Statfs_t
		err := unix.Statfs(dir, &stat)
		if err == nil {
			return stat.Bavail * uint64(stat.Bsize), nil
		}
		if !errors.Is(err, unix.ENOENT) || dir == "/" {
			return 0, err
		}
		dir = filepath.Dir(dir)
	}
}
