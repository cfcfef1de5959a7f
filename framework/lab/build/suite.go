package build

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
)

// Suite is what the image of meshproof itself is called: the running program, with the patterns that it was built with.
const Suite = "meshproof"

// SuitePath is where its program is in the suite's image.
const SuitePath = "/meshproof"

// running is the program that becomes the suite's image; tests put another one there.
var running = os.Executable

// SuitePublication is tagged by the running program's own content: it is told by no sources, because it may be of another
// repository, with patterns that nobody here knows.
func SuitePublication() (Publication, error) {
	program, err := running()
	if err != nil {
		return Publication{}, fmt.Errorf("find the running program: %w", err)
	}
	sum, err := hashFile(program)
	if err != nil {
		return Publication{}, fmt.Errorf("read the running program: %w", err)
	}
	return Publication{Program: Suite, Name: Suite, Tag: Key(sum)}, nil
}

// suiteImage is the image of one architecture: the program alone, which any user may run.
func suiteImage(p Publication, arch, program string) image {
	return image{
		name: p.Name, tag: p.Tag, user: "65532:65532", entrypoint: []string{SuitePath}, arch: arch,
		files: []imageFile{{path: SuitePath, source: program, mode: 0o755}},
	}
}

// SuiteArchive returns an archive of the suite's image for this machine's architecture, for the lab's container runtime.
func SuiteArchive(ctx context.Context, cache Cache, progress Progress) (archive string, p Publication, err error) {
	if p, err = SuitePublication(); err != nil {
		return "", p, err
	}
	b := builder{cache: cache, progress: progress, arch: runtime.GOARCH}
	archive, err = imageArchive(ctx, cache, Key(Suite, p.Tag), "image of the suite", progress, func() ([]image, error) {
		program, err := b.suite(ctx, p)
		return []image{suiteImage(p, runtime.GOARCH, program)}, err
	})
	return archive, p, err
}

// suite returns the program of the suite for the builder's architecture: the running one, or else what the Go tool makes of
// the same main package in the working folder's module.
func (b builder) suite(ctx context.Context, p Publication) (string, error) {
	program, err := running()
	if err != nil {
		return "", fmt.Errorf("find the running program: %w", err)
	}
	if runtime.GOOS == "linux" && b.arch == runtime.GOARCH && static(program) {
		return program, nil
	}
	info, known := debug.ReadBuildInfo()
	if !known || info.Path == "" {
		return "", fmt.Errorf("the program does not know the package that it was built from, so that it cannot be built for linux/%s", b.arch)
	}
	dir, err := b.cache.Entry(ctx, filepath.Join("bin", "suite"), Key(p.Tag, b.toolchain, info.Path), func(ctx context.Context, dir string) error {
		return Timed(b.progress, "build "+Suite, func(step Step) (string, error) { return "", buildSuite(ctx, b.arch, info.Path, dir, step) })
	})
	return filepath.Join(dir, Suite), err
}

// buildSuite builds the program into a folder.
func buildSuite(ctx context.Context, arch, pkg, dir string, step Step) error {
	p := part{name: Suite, arch: arch, packages: []string{pkg}, program: Suite}
	if err := p.compile(ctx, "", dir, step); err != nil {
		return fmt.Errorf("build the suite for linux/%s, of package %s, which must be in the module of the working folder (--platform leaves a platform out): %w", arch, pkg, err)
	}
	return nil
}

// static tells whether the program runs without shared libraries, of which the image has none.
func static(program string) bool {
	file, err := elf.Open(program)
	if err != nil {
		return false
	}
	defer file.Close()
	return interpreter(file) == ""
}
