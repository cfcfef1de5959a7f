package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// enterRoot makes the lab's root file system and moves the process into it. It runs in a mount namespace of its own, and
// the first thing it does is cut that namespace off from the host's.
func enterRoot(spec Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cut the mounts off from the host's: %w", err)
	}
	root := spec.file("root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("meshproof", root, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount the lab's root: %w", err)
	}
	builder := rootBuilder{root: root}
	builder.folders("etc", "run", "tmp", "proc", "sys", "dev", "root", "var/lib", "var/log", "var/run", "opt/meshproof", "opt/cni/bin", "etc/cni/net.d", "old")
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		builder.link("usr/"+name, name)
	}
	builder.bind(filepath.Join(spec.Artifacts.Root, "usr"), "usr", true)
	// istio-cni puts its plugin beside the others, and /usr is read-only.
	builder.linkAll(filepath.Join(spec.Artifacts.Root, "usr/lib/cni"), "/usr/lib/cni", "opt/cni/bin")
	builder.bind("/dev", "dev", false)
	builder.mount("proc", "proc", "proc")
	builder.mount("sysfs", "sys", "sysfs")
	builder.bind("/sys/fs/cgroup", "sys/fs/cgroup", false)
	// The cache and the lab's folder keep their paths, so that a path means the same inside and outside.
	builder.bind(spec.CacheDir, spec.CacheDir, true)
	builder.bind(spec.StateDir, spec.StateDir, false)
	builder.bindFile(spec.Program, "opt/meshproof/meshproof")
	for source, target := range map[string]string{"kubelet": "var/lib/kubelet", "pods": "var/log/pods"} {
		builder.foldersOnHost(spec.file(source))
		builder.bind(spec.file(source), target, false)
	}
	builder.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
	builder.file("etc/group", "root:x:0:\nnogroup:x:65534:\n")
	builder.file("etc/hosts", "127.0.0.1 localhost\n"+NodeAddress+" "+NodeName+"\n")
	builder.file("etc/resolv.conf", resolvConf())
	builder.file("etc/hostname", NodeName+"\n")
	builder.file("etc/nsswitch.conf", "hosts: files dns\n")
	if builder.err != nil {
		return fmt.Errorf("arrange the lab's root: %w", builder.err)
	}
	if err := unix.PivotRoot(root, filepath.Join(root, "old")); err != nil {
		return fmt.Errorf("change into the lab's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the host's root: %w", err)
	}
	// The kubelet hands mounts on to pods, which needs shared propagation from here on.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts with the pods: %w", err)
	}
	return os.Remove("/old")
}

// rootBuilder makes the content of a root; after the first error it does nothing more.
type rootBuilder struct {
	root string
	err  error
}

func (b *rootBuilder) do(what string, action func() error) {
	if b.err == nil {
		if err := action(); err != nil {
			b.err = fmt.Errorf("%s: %w", what, err)
		}
	}
}

func (b *rootBuilder) folders(names ...string) {
	for _, name := range names {
		b.do("make "+name, func() error { return os.MkdirAll(filepath.Join(b.root, name), 0o755) })
	}
}

func (b *rootBuilder) foldersOnHost(path string) {
	b.do("make "+path, func() error { return os.MkdirAll(path, 0o755) })
}

func (b *rootBuilder) link(target, name string) {
	b.do("link "+name, func() error { return os.Symlink(target, filepath.Join(b.root, name)) })
}

// linkAll links each file of a folder, which is called inside what inside says, into another folder.
func (b *rootBuilder) linkAll(folder, inside, into string) {
	b.do("link the files of "+folder, func() error {
		entries, err := os.ReadDir(folder)
		for _, entry := range entries {
			err = errors.Join(err, os.Symlink(filepath.Join(inside, entry.Name()), filepath.Join(b.root, into, entry.Name())))
		}
		return err
	})
}

func (b *rootBuilder) file(name, content string) {
	b.do("write "+name, func() error { return os.WriteFile(filepath.Join(b.root, name), []byte(content), 0o644) })
}

func (b *rootBuilder) mount(source, name, kind string) {
	b.folders(name)
	b.do("mount "+name, func() error { return unix.Mount(source, filepath.Join(b.root, name), kind, 0, "") })
}

func (b *rootBuilder) bind(source, name string, readOnly bool) {
	target := filepath.Join(b.root, name)
	b.do("bind "+source, func() error {
		if err := os.MkdirAll(target, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
		if readOnly {
			return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
		}
		return nil
	})
}

func (b *rootBuilder) bindFile(source, name string) {
	b.file(name, "")
	b.do("bind "+source, func() error { return unix.Mount(source, filepath.Join(b.root, name), "", unix.MS_BIND, "") })
}
