package build

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree lists what is below dir: content by path of files, "-> target" of links, "/" of empty folders.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		must(t, err)
		switch {
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			must(t, err)
			found[rel] = "-> " + target
		case !entry.IsDir():
			found[rel] = read(t, path)
		default:
			if inside, err := os.ReadDir(path); err == nil && len(inside) == 0 {
				found[rel] = "/"
			}
		}
		return nil
	}))
	return found
}

func link(t *testing.T, target, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.Symlink(target, path))
}

func TestMergeInto(t *testing.T) {
	for name, row := range map[string]struct {
		make func(t *testing.T, root string) // in root: lib is merged into usr/lib
		want map[string]string
	}{
		"nothing": {func(*testing.T, string) {}, map[string]string{}},
		"a folder to nowhere yet": {func(t *testing.T, root string) { put(t, root, "lib/a", "a", "lib/deep/er/b", "b") },
			map[string]string{"usr/lib/a": "a", "usr/lib/deep/er/b": "b"}},
		"folders of the same names": {func(t *testing.T, root string) {
			put(t, root, "lib/x/a", "a", "lib/x/y/b", "b", "usr/lib/x/c", "c", "usr/lib/x/y/d", "d")
		}, map[string]string{"usr/lib/x/a": "a", "usr/lib/x/y/b": "b", "usr/lib/x/c": "c", "usr/lib/x/y/d": "d"}},
		"a file that both have": {func(t *testing.T, root string) { put(t, root, "lib/a", "new", "usr/lib/a", "old") },
			map[string]string{"usr/lib/a": "new"}},
		"links": {func(t *testing.T, root string) {
			put(t, root, "lib/liba.so.1.2", "a")
			link(t, "liba.so.1.2", filepath.Join(root, "lib/liba.so.1"))
			link(t, "/nowhere", filepath.Join(root, "lib/dangling"))
		}, map[string]string{"usr/lib/liba.so.1.2": "a", "usr/lib/liba.so.1": "-> liba.so.1.2", "usr/lib/dangling": "-> /nowhere"}},
		"a folder that is merged already": {func(t *testing.T, root string) {
			put(t, root, "usr/lib/a", "a")
			link(t, "usr/lib", filepath.Join(root, "lib"))
		}, map[string]string{"usr/lib/a": "a", "lib": "-> usr/lib"}},
		"an empty folder": {func(t *testing.T, root string) { must(t, os.MkdirAll(filepath.Join(root, "lib/empty"), 0o755)) },
			map[string]string{"usr/lib/empty": "/"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			row.make(t, root)
			must(t, mergeInto(filepath.Join(root, "lib"), filepath.Join(root, "usr/lib")))
			if diff := cmp.Diff(row.want, tree(t, root)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMergeIntoRefusesAFolderForAFile(t *testing.T) {
	root := t.TempDir()
	put(t, root, "lib/a", "a file", "usr/lib/a/b", "a folder")
	if err := mergeInto(filepath.Join(root, "lib"), filepath.Join(root, "usr/lib")); err == nil {
		t.Error("a file took the place of a folder")
	}
}

// packages is a root as Debian 12's packages leave it, some of it not merged into /usr.
func packages(t *testing.T) string {
	root := t.TempDir()
	put(t, root,
		"usr/bin/containerd", "1", "usr/bin/ctr", "2", "usr/bin/etcd", "3", "usr/sbin/runc", "4", "usr/sbin/haproxy", "10", "usr/lib/cni/bridge", "5",
		"sbin/xtables-nft-multi", "6", "bin/mount", "7", "lib/x86_64-linux-gnu/libc.so.6", "8", "usr/lib/x86_64-linux-gnu/libz.so.1", "9",
		"etc/passwd", "x", "var/lib/dpkg/info", "x", "usr/share/doc/a", "x", "usr/include/a.h", "x",
		"usr/lib/x86_64-linux-gnu/perl/a", "x", "usr/lib/x86_64-linux-gnu/perl-base/a", "x", "usr/lib/x86_64-linux-gnu/gconv/a", "x")
	link(t, "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", filepath.Join(root, "lib64/ld-linux-x86-64.so.2"))
	link(t, "/etc/alternatives/iptables", filepath.Join(root, "usr/sbin/iptables"))
	return root
}

func TestFinishRoot(t *testing.T) {
	root := packages(t)
	want := map[string]string{
		"usr/bin/containerd": "1", "usr/bin/ctr": "2", "usr/bin/etcd": "3", "usr/sbin/runc": "4", "usr/sbin/haproxy": "10", "usr/lib/cni/bridge": "5",
		"usr/sbin/xtables-nft-multi": "6", "usr/bin/mount": "7", "usr/lib/x86_64-linux-gnu/libc.so.6": "8", "usr/lib/x86_64-linux-gnu/libz.so.1": "9",
		"usr/lib64/ld-linux-x86-64.so.2": "-> /lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
	}
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		want["usr/sbin/"+name] = "-> xtables-nft-multi"
	}
	for _, time := range []string{"first", "second"} {
		must(t, finishRoot(root))
		if diff := cmp.Diff(want, tree(t, root)); diff != "" {
			t.Errorf("the %s time (-want +got):\n%s", time, diff)
		}
	}
}

func TestFinishRootNamesWhatIsMissing(t *testing.T) {
	for _, missing := range []string{"usr/bin/containerd", "usr/bin/ctr", "usr/bin/etcd", "usr/sbin/runc", "usr/sbin/haproxy", "usr/lib/cni/bridge", "sbin/xtables-nft-multi", "bin/mount"} {
		t.Run(missing, func(t *testing.T) {
			root := packages(t)
			must(t, os.Remove(filepath.Join(root, missing)))
			wantError(t, finishRoot(root), filepath.Base(missing))
		})
	}
}

func TestNewAptStartsAfresh(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "apt")
	put(t, dir, "status", "Package: a\n", "state/lists/old", "x")
	a, err := newApt(dir)
	must(t, err)
	if diff := cmp.Diff(map[string]string{"status": "", "state/lists/partial": "/", "cache/archives/partial": "/"}, tree(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.remove()
	if _, err := os.Stat(dir); err == nil {
		t.Error("it is still there after it was removed")
	}
}

// A machine without the tools is told which, before anything is made.
func TestMissingTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	cache := Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	_, err := debianRoot(t.Context(), cache, Silent{})
	wantError(t, err, "apt-get", "Debian packages")
	_, err = Toolchain(t.Context())
	wantError(t, err, "needs the Go tool")
	_, err = findPip(t.Context())
	wantError(t, err, "python3-pip")
	if diff := cmp.Diff(map[string]string{}, tree(t, filepath.Dir(cache.Dir))); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
}
