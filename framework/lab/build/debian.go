package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
)

// debianPackages are what the lab's root file system is made of, with all that they depend on.
var debianPackages = []string{
	"etcd-server", "containerd", "runc", "containernetworking-plugins", "iptables", "conntrack", "iproute2", "mount",
	"haproxy",
}

// debianRoot returns the folder that holds a root file system: Debian packages, fetched by the host's own apt into a
// state of the lab's own, verified by apt, and unpacked without running any of their scripts. Nothing is installed on
// the host, and apt's view of the host is not touched.
func debianRoot(ctx context.Context, cache Cache, progress Progress) (string, error) {
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("the lab's root file system is made of Debian packages, which need %s on this machine (Debian 12 or newer, or Ubuntu): %w", tool, err)
		}
	}
	key := Key(append([]string{runtime.GOARCH, "2"}, debianPackages...)...)
	return cache.Entry(ctx, "debian", key, func(ctx context.Context, dir string) error {
		return Timed(progress, "Debian packages", func(step Step) (string, error) {
			apt, err := newApt(filepath.Join(filepath.Dir(dir), "apt-"+key))
			if err != nil {
				return "", err
			}
			defer apt.remove()
			step.Update(0, 0, "reading package lists")
			if err := apt.run(ctx, "update"); err != nil {
				return "", err
			}
			step.Update(0, 0, "downloading")
			if err := apt.run(ctx, append([]string{"--yes", "--download-only", "install"}, debianPackages...)...); err != nil {
				return "", err
			}
			archives, err := filepath.Glob(filepath.Join(apt.dir, "cache/archives/*.deb"))
			if err != nil {
				return "", err
			}
			if len(archives) == 0 {
				return "", errors.New("apt-get downloaded nothing although it reported success")
			}
			for i, archive := range archives {
				step.Update(i, len(archives), "unpacking")
				if err := unpackPackage(ctx, archive, dir); err != nil {
					return "", err
				}
			}
			if err := finishRoot(dir); err != nil {
				return "", fmt.Errorf("arrange the lab's root file system: %w", err)
			}
			return fmt.Sprintf("%d packages", len(archives)), nil
		})
	})
}

// apt is a state of apt that is not the host's: its own lists, its own archive, and an empty list of installed packages,
// so that the whole closure of dependencies is fetched. Sources, keys and proxies are the host's.
type apt struct{ dir string }

func newApt(dir string) (*apt, error) {
	a := &apt{dir: dir}
	if err := removeAll(dir); err != nil {
		return nil, fmt.Errorf("remove an earlier apt state: %w", err)
	}
	for _, sub := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("make a private apt state: %w", err)
		}
	}
	return a, os.WriteFile(filepath.Join(dir, "status"), nil, 0o644)
}

func (a *apt) remove() { _ = removeAll(a.dir) }

func (a *apt) run(ctx context.Context, args ...string) error {
	options := []string{
		"-q", "-o", "Dir::State=" + filepath.Join(a.dir, "state"), "-o", "Dir::State::status=" + filepath.Join(a.dir, "status"),
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"), "-o", "APT::Install-Recommends=false",
		// The unprivileged download user cannot reach a cache under a home folder.
		"-o", "APT::Sandbox::User=root",
		// Hooks and pins of the host are about its own packages.
		"-o", "Dir::Etc::preferencesparts=/dev/null", "-o", "APT::Update::Post-Invoke-Success::=", "-o", "Acquire::Retries=2",
	}
	cmd := exec.CommandContext(ctx, "apt-get", append(options, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("fetch Debian packages: %w", context.Cause(ctx))
		}
		return fmt.Errorf("fetch Debian packages (apt-get %s): %w; its last lines:\n%s\n"+
			"The lab needs a working apt source for: %s", args[0], err, lastLines(output.String(), 8), strings.Join(debianPackages, " "))
	}
	return nil
}

func unpackPackage(ctx context.Context, archive, dir string) error {
	output, err := exec.CommandContext(ctx, "dpkg-deb", "--extract", archive, dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("unpack %s: %w: %s", filepath.Base(archive), err, bytes.TrimSpace(output))
	}
	return nil
}

// finishRoot does what the packages' own scripts would have done, as far as the lab needs it, and drops what it never reads.
func finishRoot(root string) error {
	// Debian 12 still ships some files under /bin, /sbin and /lib; a real system has merged them into /usr.
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := mergeInto(filepath.Join(root, name), filepath.Join(root, "usr", name)); err != nil {
			return err
		}
	}
	for _, unused := range []string{"etc", "var", "usr/share", "usr/include", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/perl-base", "usr/lib/x86_64-linux-gnu/gconv"} {
		if err := removeAll(filepath.Join(root, unused)); err != nil {
			return err
		}
	}
	// The alternatives system makes these links on a real machine.
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		link := filepath.Join(root, "usr/sbin", name)
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink("xtables-nft-multi", link); err != nil {
			return err
		}
	}
	for _, program := range []string{"usr/bin/containerd", "usr/sbin/runc", "usr/bin/etcd", "usr/lib/cni/bridge", "usr/sbin/xtables-nft-multi", "usr/bin/mount", "usr/bin/ctr", "usr/sbin/haproxy"} {
		if _, err := os.Stat(filepath.Join(root, program)); err != nil {
			return fmt.Errorf("the packages do not hold %s as Debian 12's do: %w", program, err)
		}
	}
	return nil
}

// mergeInto moves the tree from into the tree to, where to already has folders of the same names.
func mergeInto(from, to string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !info.IsDir()) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	for _, entry := range entries {
		source, target := filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())
		if entry.IsDir() {
			if err := mergeInto(source, target); err != nil {
				return err
			}
			continue
		}
		if err := os.Rename(source, target); err != nil {
			return err
		}
	}
	return os.RemoveAll(from)
}
