//go:build lab

package lab_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/internal/labtest"
)

// takeInventory lists what a lab might leave on a machine, by kind.
func takeInventory(t *testing.T) map[string][]string {
	t.Helper()
	inventory := map[string][]string{"files": files(t, "/etc", "/usr", "/opt", "/run", "/srv", "/var/lib", "/root")}
	lines := func(path string) []string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
	for _, line := range lines("/proc/self/mountinfo") {
		inventory["mounts"] = append(inventory["mounts"], strings.Join(strings.Fields(line)[3:], " "))
	}
	for _, line := range lines("/proc/net/dev")[2:] {
		inventory["network devices"] = append(inventory["network devices"], strings.Fields(line)[0])
	}
	inventory["packages"] = lines("/var/lib/dpkg/status")
	inventory["iptables"] = netfilterTables(t)
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	ownSpace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		pid, _ := strconv.Atoi(filepath.Base(process))
		// Other processes of the machine come and go; a lab's are in a PID namespace of their own, or run meshproof.
		space, err := os.Readlink(process + "/ns/pid")
		if name := commandOf(pid); err == nil && (space != ownSpace || name == "meshproof") {
			inventory["processes"] = append(inventory["processes"], fmt.Sprintf("%d %s", pid, name))
		}
		if link, err := os.Readlink(process + "/ns/net"); err == nil && !slices.Contains(inventory["network namespaces"], link) {
			inventory["network namespaces"] = append(inventory["network namespaces"], link)
		}
	}
	err = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			inventory["control groups"] = append(inventory["control groups"], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return inventory
}

// netfilterTables are the rules of the host's network, as the lab's own iptables prints them: the host may have none.
func netfilterTables(t *testing.T) []string {
	t.Helper()
	cache := labtest.Options("").CacheDir
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(base, "meshproof")
	}
	roots, err := filepath.Glob(filepath.Join(cache, "debian/*/usr"))
	if err != nil || len(roots) == 0 {
		t.Fatalf("the lab's Debian root is not in the cache: %v", err)
	}
	loader, libraries := filepath.Join(roots[0], "lib64/ld-linux-x86-64.so.2"), filepath.Join(roots[0], "lib/x86_64-linux-gnu")
	output, err := exec.Command(loader, "--library-path", libraries, filepath.Join(roots[0], "sbin/xtables-nft-multi"), "iptables-save").CombinedOutput()
	if err != nil {
		t.Fatalf("list the host's iptables: %v: %s", err, output)
	}
	var rules []string
	for line := range strings.Lines(string(output)) {
		if !strings.HasPrefix(line, "#") { // the comments hold the time
			rules = append(rules, line)
		}
	}
	return rules
}

// files lists paths with size and time, without the folders that a lab may write to.
func files(t *testing.T, roots ...string) []string {
	t.Helper()
	var list []string
	cache, _ := os.UserCacheDir()
	home, _ := os.UserHomeDir()
	options := labtest.Options("")
	writable := []string{options.CacheDir, options.StateDir, filepath.Join(cache, "meshproof"), filepath.Join(home, ".local/state/meshproof"), filepath.Join(cache, "go-build"), filepath.Join(home, "go"), filepath.Join(home, ".config/go")}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || slices.Contains(writable, path) {
				if err == nil && entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if info, err := entry.Info(); err == nil && !entry.IsDir() {
				list = append(list, fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano()))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// difference returns what is only in a and what is only in b.
func difference(a, b []string) (onlyA, onlyB []string) {
	inA, inB := map[string]bool{}, map[string]bool{}
	for _, item := range a {
		inA[item] = true
	}
	for _, item := range b {
		inB[item] = true
		if !inA[item] {
			onlyB = append(onlyB, item)
		}
	}
	for _, item := range a {
		if !inB[item] {
			onlyA = append(onlyA, item)
		}
	}
	return onlyA, onlyB
}
