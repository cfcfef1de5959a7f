package build

import (
	"debug/elf"
	"path/filepath"
	"slices"
	"testing"
)

// TestLibraryFilesOfRealPrograms: what a linker has written is understood too. The test's own program is static, unless it
// is built with a C compiler; the shell is not, on a distribution that has its libraries where Debian has them.
func TestLibraryFilesOfRealPrograms(t *testing.T) {
	for _, program := range []string{"/proc/self/exe", "/bin/sh"} {
		t.Run(filepath.Base(program), func(t *testing.T) {
			file, err := elf.Open(program)
			must(t, err)
			defer func() { _ = file.Close() }()
			needed, err := file.ImportedLibraries()
			must(t, err)
			files, err := libraryFiles("/", []string{program})
			for _, library := range needed {
				if _, missing := findLibrary("/", library); missing != nil {
					wantError(t, err, program, library)
					return
				}
			}
			must(t, err)
			if len(needed) == 0 && interpreter(file) == "" && len(files) > 0 {
				t.Errorf("a static program needs %v", files)
			}
			for _, library := range needed {
				if !slices.ContainsFunc(files, func(f imageFile) bool { return filepath.Base(f.path) == library && filepath.IsAbs(f.source) }) {
					t.Errorf("%s is missing in %v", library, files)
				}
			}
			if loader := interpreter(file); loader == loaderPath() && !slices.ContainsFunc(files, func(f imageFile) bool { return f.path == loader && f.link != "" }) {
				t.Errorf("the loader %s is missing in %v", loader, files)
			}
		})
	}
}
