package build

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sort"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Registry is the name under which the lab's images exist; no such host does, and nothing is ever pulled from it.
const Registry = "meshproof.local"

// image is one container image made of files, without a base and without a Docker engine.
type image struct {
	name       string // without registry and tag
	tag        string
	files      []imageFile
	entrypoint []string
	// user is numeric, because istiod's pod sets runAsNonRoot, which a name cannot satisfy.
	user string
	// arch is what its programs are built for; empty is the architecture of this machine.
	arch string
}

// imageFile is a file or, when link is set, a symbolic link in an image.
type imageFile struct {
	path   string // in the image
	source string // on disk
	data   []byte // used when source and link are empty
	link   string
	mode   int64
}

// reference is the full name of the image.
func (i image) reference() string { return Registry + "/" + i.name + ":" + i.tag }

// build makes the image in memory, apart from its files, which are read when it is written.
func (i image) build() (v1.Image, error) {
	return i.buildWith(tarball.WithCompression(compression.None))
}

// buildWith makes the image with a layer of this form.
func (i image) buildWith(form ...tarball.LayerOption) (v1.Image, error) {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(writeLayer(writer, i.files)) }()
		return reader, nil
	}, form...)
	if err != nil {
		return nil, fmt.Errorf("make the layer of image %s: %w", i.name, err)
	}
	made, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("make image %s: %w", i.name, err)
	}
	config, err := made.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture = "linux", cmp.Or(i.arch, runtime.GOARCH)
	config.Config.Entrypoint, config.Config.User = i.entrypoint, i.user
	config.Config.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	return mutate.ConfigFile(made, config)
}

// writeImages writes the images as one archive that containerd imports.
func writeImages(target string, images []image) error {
	refs := map[name.Reference]v1.Image{}
	for _, i := range images {
		tag, err := name.NewTag(i.reference())
		if err != nil {
			return fmt.Errorf("name image %s: %w", i.name, err)
		}
		if refs[tag], err = i.build(); err != nil {
			return err
		}
	}
	if err := tarball.MultiRefWriteToFile(target, refs); err != nil {
		return fmt.Errorf("write the images to %s: %w", target, err)
	}
	return nil
}

func writeLayer(w io.Writer, files []imageFile) error {
	archive := tar.NewWriter(w)
	made := map[string]bool{}
	files = append([]imageFile(nil), files...)
	sort.Slice(files, func(a, b int) bool { return files[a].path < files[b].path })
	for _, file := range files {
		if err := writeFolders(archive, path.Dir(file.path), made); err != nil {
			return err
		}
		if err := writeFile(archive, file); err != nil {
			return fmt.Errorf("add %s: %w", file.path, err)
		}
	}
	return archive.Close()
}

// writeFolders writes the folders that lead to a file, each once.
func writeFolders(archive *tar.Writer, dir string, made map[string]bool) error {
	if dir == "/" || dir == "." || made[dir] {
		return nil
	}
	if err := writeFolders(archive, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755})
}

func writeFile(archive *tar.Writer, file imageFile) error {
	name := file.path[1:]
	switch {
	case file.link != "":
		return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: file.link, Mode: 0o777})
	case file.source == "":
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: file.mode, Size: int64(len(file.data))}); err != nil {
			return err
		}
		_, err := archive.Write(file.data)
		return err
	}
	source, err := os.Open(file.source)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: file.mode, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(archive, source)
	return err
}

// proxyImage is Istio's proxyv2: pilot-agent, Envoy, its bootstrap template, and iptables for the init container.
func proxyImage(tag, istioDir, envoyDir, root string) (image, error) {
	i := image{name: "istio/proxyv2", tag: tag, entrypoint: []string{"/usr/local/bin/pilot-agent"}}
	i.files = []imageFile{
		{path: "/usr/local/bin/pilot-agent", source: filepath.Join(istioDir, "pilot-agent"), mode: 0o755},
		{path: "/usr/local/bin/envoy", source: filepath.Join(envoyDir, "envoy"), mode: 0o755},
		{path: "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json", source: filepath.Join(istioDir, "envoy_bootstrap.json"), mode: 0o644},
		{path: "/etc/passwd", data: []byte("root:x:0:0:root:/:/sbin/nologin\nistio-proxy:x:1337:1337:istio-proxy:/:/sbin/nologin\n"), mode: 0o644},
		{path: "/etc/group", data: []byte("root:x:0:\nistio-proxy:x:1337:\n"), mode: 0o644},
		{path: "/usr/sbin/xtables-nft-multi", source: filepath.Join(root, "usr/sbin/xtables-nft-multi"), mode: 0o755},
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, action := range []string{"", "-save", "-restore"} {
			for _, variant := range []string{"", "-nft"} {
				i.files = append(i.files, imageFile{path: "/usr/sbin/" + family + variant + action, link: "xtables-nft-multi"})
			}
		}
	}
	// iptables loads its matches and targets by name at run time.
	extensions, err := filepath.Glob(filepath.Join(root, "usr/lib/*/xtables/*.so"))
	if err != nil || len(extensions) == 0 {
		return image{}, fmt.Errorf("the Debian root holds no iptables extensions (%d found): %w", len(extensions), errors.Join(err))
	}
	programs := []string{filepath.Join(envoyDir, "envoy"), filepath.Join(root, "usr/sbin/xtables-nft-multi")}
	for _, extension := range extensions {
		rel, err := filepath.Rel(root, extension)
		if err != nil {
			return image{}, err
		}
		i.files = append(i.files, imageFile{path: "/" + rel, source: extension, mode: 0o644})
		programs = append(programs, extension)
	}
	libraries, err := libraryFiles(root, programs)
	if err != nil {
		return image{}, err
	}
	i.files = append(i.files, libraries...)
	return i, nil
}

func pilotImage(tag, istioDir string) image {
	return image{name: "istio/pilot", tag: tag, user: "1337:1337", entrypoint: []string{"/usr/local/bin/pilot-discovery"}, files: []imageFile{
		{path: "/usr/local/bin/pilot-discovery", source: filepath.Join(istioDir, "pilot-discovery"), mode: 0o755},
	}}
}

// cniImage is Istio's install-cni, with the plugin that it copies to the node. The plugin runs there, by the node's own iptables.
func cniImage(tag, dir string) image {
	return image{name: "istio/install-cni", tag: tag, user: "0:0", entrypoint: []string{"/usr/local/bin/install-cni"}, files: []imageFile{
		{path: "/usr/local/bin/install-cni", source: filepath.Join(dir, "install-cni"), mode: 0o755},
		{path: "/opt/cni/bin/istio-cni", source: filepath.Join(dir, "istio-cni"), mode: 0o755},
	}}
}

// routerImage is the router's controller and the HAProxy that it runs.
func routerImage(tag, routerDir, root string) (image, error) {
	haproxy := filepath.Join(root, "usr/sbin/haproxy")
	libraries, err := libraryFiles(root, []string{haproxy})
	if err != nil {
		return image{}, err
	}
	return image{name: "router", tag: tag, user: "65532:65532", entrypoint: []string{"/usr/local/bin/router"}, files: append(libraries,
		imageFile{path: "/usr/local/bin/router", source: filepath.Join(routerDir, "router"), mode: 0o755},
		imageFile{path: "/usr/sbin/haproxy", source: haproxy, mode: 0o755},
	)}, nil
}

// programImage is an image of one static program.
func programImage(name, tag, program string) image {
	target := "/" + filepath.Base(program)
	return image{name: name, tag: tag, user: "65532:65532", entrypoint: []string{target}, files: []imageFile{{path: target, source: program, mode: 0o755}}}
}

// libraryFiles are the shared libraries, and the loader, that programs need, taken from root under the names that the
// loader looks for.
func libraryFiles(root string, programs []string) ([]imageFile, error) {
	found := map[string]imageFile{}
	queue := append([]string(nil), programs...)
	for len(queue) > 0 {
		program := queue[0]
		queue = queue[1:]
		file, err := elf.Open(program)
		if err != nil {
			return nil, fmt.Errorf("read the libraries of %s: %w", program, err)
		}
		needed, err := file.ImportedLibraries()
		if err == nil {
			if loader := interpreter(file); loader != "" {
				needed = append(needed, path.Base(loader))
			}
		}
		err = errors.Join(err, file.Close())
		if err != nil {
			return nil, fmt.Errorf("read the libraries of %s: %w", program, err)
		}
		for _, library := range needed {
			if _, done := found[library]; done {
				continue
			}
			source, err := findLibrary(root, library)
			if err != nil {
				return nil, fmt.Errorf("%s needs %s: %w", program, library, err)
			}
			found[library] = imageFile{path: "/lib/" + runtimeTriple() + "/" + library, source: source, mode: 0o755}
			queue = append(queue, source)
		}
	}
	var files []imageFile
	for library, file := range found {
		files = append(files, file)
		if library == loaderName() {
			files = append(files, imageFile{path: loaderPath(), link: "/lib/" + runtimeTriple() + "/" + library})
		}
	}
	return files, nil
}

func interpreter(file *elf.File) string {
	section := file.Section(".interp")
	if section == nil {
		return ""
	}
	data, err := section.Data()
	if err != nil {
		return ""
	}
	return string(bytes.TrimRight(data, "\x00"))
}

func findLibrary(root, library string) (string, error) {
	for _, dir := range []string{"usr/lib/" + runtimeTriple(), "usr/lib", "usr/lib64"} {
		candidate := filepath.Join(root, dir, library)
		if resolved, err := filepath.EvalSymlinks(candidate); err == nil {
			return resolved, nil
		}
	}
	return "", fmt.Errorf("not among the lab's Debian packages (%s)", root)
}

// runtimeTriple is Debian's name for the architecture.
func runtimeTriple() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

func loaderPath() string {
	if runtime.GOARCH == "arm64" {
		return "/lib/ld-linux-aarch64.so.1"
	}
	return "/lib64/ld-linux-x86-64.so.2"
}

func loaderName() string { return path.Base(loaderPath()) }

// imageArchive returns the file in the cache that holds the images.
func imageArchive(ctx context.Context, cache Cache, key, title string, progress Progress, images func() ([]image, error)) (string, error) {
	dir, err := cache.Entry(ctx, "images", key, func(_ context.Context, dir string) error {
		return Timed(progress, title, func(Step) (string, error) {
			list, err := images()
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%d images", len(list)), writeImages(filepath.Join(dir, imagesFile), list)
		})
	})
	return filepath.Join(dir, imagesFile), err
}

// imagesFile is the archive's name in its cache entry.
const imagesFile = "images.tar"
