package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/meshproof/meshproof/framework/lab/node"
)

// What a lab needs: the measured size of the cache and a lab's state, and of the processes of a lab with two patterns,
// with room to spare.
const (
	neededDisk   = 6 << 30
	neededMemory = 3 << 30
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
	for _, dir := range []string{options.CacheDir, options.StateDir} {
		free, err := freeDisk(dir)
		if err != nil {
			return fail("read the free disk space of %s: %w", dir, err)
		}
		if free < neededDisk {
			return fail("%s needs %.1f GiB of free disk space, and %.1f GiB are free (another place: --cache-dir, --state-dir)", dir, gib(neededDisk), gib(free))
		}
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
