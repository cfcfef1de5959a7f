package node

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Cgroups is one control group in every hierarchy of the machine: several with cgroup v1, one with v2.
type Cgroups struct {
	// dirs are the group's folders.
	dirs []string
	// unified is set on cgroup v2 alone; beside v1 hierarchies the one of v2 has no controllers, and is one more folder.
	unified bool
}

// neededControllers are what the kubelet refuses to start without.
var neededControllers = []string{"cpu", "cpuset", "memory", "pids"}

// FindCgroups returns the group with this path, for example "/meshproof-default", without making it. Where the machine
// lacks a controller that the kubelet needs, the error says which.
func FindCgroups(path string) (Cgroups, error) {
	var stat unix.Statfs_t
	const root = "/sys/fs/cgroup"
	if err := unix.Statfs(root, &stat); err != nil {
		return Cgroups{}, fmt.Errorf("find the control groups: %w", err)
	}
	if stat.Type == unix.CGROUP2_SUPER_MAGIC {
		data, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
		if err != nil {
			return Cgroups{}, fmt.Errorf("read the cgroup v2 controllers: %w", err)
		}
		if missing := missingFrom(strings.Fields(string(data))); len(missing) > 0 {
			return Cgroups{}, fmt.Errorf("the lab needs the cgroup v2 controllers %s, which this machine or container does not have", strings.Join(missing, ", "))
		}
		return Cgroups{dirs: []string{filepath.Join(root, path)}, unified: true}, nil
	}
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return Cgroups{}, err
	}
	defer file.Close()
	var found Cgroups
	var controllers []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// "... <mount point> <options> ... - cgroup <source> <super options>", or cgroup2 where both are mounted
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(tail) < 3 || !strings.HasPrefix(tail[0], "cgroup") || !strings.HasPrefix(fields[4], root) {
			continue
		}
		dir := filepath.Join(fields[4], path)
		if slices.Contains(found.dirs, dir) {
			continue
		}
		found.dirs = append(found.dirs, dir)
		controllers = append(controllers, strings.Split(tail[2], ",")...)
	}
	if err := lines.Err(); err != nil {
		return Cgroups{}, err
	}
	if missing := missingFrom(controllers); len(missing) > 0 {
		return Cgroups{}, fmt.Errorf("the lab needs the cgroup v1 controllers %s, which this machine or container does not have", strings.Join(missing, ", "))
	}
	return found, nil
}

func missingFrom(have []string) []string {
	var missing []string
	for _, controller := range neededControllers {
		if !slices.Contains(have, controller) {
			missing = append(missing, controller)
		}
	}
	return missing
}

// Enter makes the group and moves the process pid into its child "node"; the kubelet makes its pods' groups beside it.
func (c Cgroups) Enter(pid int) error {
	for _, dir := range c.dirs {
		if err := os.MkdirAll(filepath.Join(dir, "node"), 0o755); err != nil {
			return fmt.Errorf("make the control group %s: %w", dir, err)
		}
		if c.unified {
			if err := delegate(dir); err != nil {
				return err
			}
		} else if strings.Contains(dir, "cpuset") {
			if err := inheritCpuset(dir); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "node", "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("enter the control group %s: %w", dir, err)
		}
	}
	return nil
}

// delegate lets the children of a v2 group use the controllers.
func delegate(dir string) error {
	for _, parent := range []string{filepath.Dir(dir), dir} {
		enable := "+" + strings.Join(neededControllers, " +")
		if err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte(enable), 0o644); err != nil {
			return fmt.Errorf("let %s hand controllers on (cgroup v2): %w", parent, err)
		}
	}
	return nil
}

// inheritCpuset fills in what a new v1 cpuset group leaves empty, without which no process can enter it.
func inheritCpuset(dir string) error {
	for _, group := range []string{dir, filepath.Join(dir, "node")} {
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(filepath.Dir(group), name))
			if err != nil {
				value, err = os.ReadFile(filepath.Join(filepath.Dir(group), strings.TrimPrefix(name, "cpuset.")))
			}
			if err != nil {
				return fmt.Errorf("read the cpuset of %s: %w", filepath.Dir(group), err)
			}
			target := filepath.Join(group, name)
			if _, err := os.Stat(target); err != nil {
				target = filepath.Join(group, strings.TrimPrefix(name, "cpuset."))
			}
			if err := os.WriteFile(target, value, 0o644); err != nil {
				return fmt.Errorf("set the cpuset of %s: %w", group, err)
			}
		}
	}
	return nil
}

// Processes returns the PIDs in the group and below it, as the caller's PID namespace numbers them.
func (c Cgroups) Processes() ([]int, error) {
	seen := map[int]bool{}
	for _, dir := range c.dirs {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Name() != "cgroup.procs" {
				return ignoreMissing(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return ignoreMissing(err)
			}
			for _, field := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(field); err == nil {
					seen[pid] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the processes of %s: %w", dir, err)
		}
	}
	var pids []int
	for pid := range seen {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}

// Remove removes the group and all below it; it fails while a process is in one.
func (c Cgroups) Remove() error {
	var problems []error
	for _, dir := range c.dirs {
		var groups []string
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return ignoreMissing(err)
		})
		problems = append(problems, err)
		slices.Reverse(groups) // children before their parents
		for _, group := range groups {
			if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
				problems = append(problems, fmt.Errorf("remove the control group: %w", err))
			}
		}
	}
	return errors.Join(problems...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
