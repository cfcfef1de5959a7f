package build

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLibraryFiles(t *testing.T) {
	lib := "usr/lib/" + runtimeTriple() + "/"
	inImage := "/lib/" + runtimeTriple() + "/"
	root := t.TempDir()
	put(t, root,
		"bin/static", elfFile(""),
		"bin/dynamic", elfFile(loaderPath(), "liba.so.1", "libc.so.6"),
		"bin/loaded", elfFile(loaderPath()),
		"bin/round", elfFile("", "libround.so.1"),
		"bin/elsewhere", elfFile("", "libplain.so", "lib64.so"),
		"bin/lost", elfFile("", "liblost.so.3"),
		"bin/deep", elfFile("", "libdeep.so.1"),
		"bin/text", "#!/bin/sh\n",
		"bin/broken", elfFile("", "libbroken.so"),
		lib+"liba.so.1.2.3", elfFile("", "libb.so.2"),
		lib+"libb.so.2", elfFile("", "libc.so.6"),
		lib+"libc.so.6", elfFile("", loaderName()),
		lib+loaderName(), elfFile(""),
		lib+"libround.so.1", elfFile("", "libback.so.1"),
		lib+"libback.so.1", elfFile("", "libround.so.1"),
		lib+"libdeep.so.1", elfFile("", "liblost.so.4"),
		lib+"libbroken.so", "no library",
		"usr/lib/libplain.so", elfFile(""),
		"usr/lib64/lib64.so", elfFile(""),
	)
	must(t, os.Symlink("liba.so.1.2.3", filepath.Join(root, lib+"liba.so.1")))
	for name, row := range map[string]struct {
		programs []string
		want     map[string]string // by path in the image: the file below root, or "-> link"
		err      []string
	}{
		"a static program":                   {programs: []string{"static"}},
		"no program":                         {},
		"a program with its closure":         {programs: []string{"dynamic"}, want: map[string]string{"liba.so.1": lib + "liba.so.1.2.3", "libb.so.2": lib + "libb.so.2", "libc.so.6": lib + "libc.so.6", loaderName(): lib + loaderName(), loaderPath(): "->"}},
		"a program that needs a loader only": {programs: []string{"loaded"}, want: map[string]string{loaderName(): lib + loaderName(), loaderPath(): "->"}},
		"libraries that need each other":     {programs: []string{"round"}, want: map[string]string{"libround.so.1": lib + "libround.so.1", "libback.so.1": lib + "libback.so.1"}},
		"libraries in other folders":         {programs: []string{"elsewhere"}, want: map[string]string{"libplain.so": "usr/lib/libplain.so", "lib64.so": "usr/lib64/lib64.so"}},
		"two programs":                       {programs: []string{"loaded", "static", "round"}, want: map[string]string{loaderName(): lib + loaderName(), loaderPath(): "->", "libround.so.1": lib + "libround.so.1", "libback.so.1": lib + "libback.so.1"}},
		"a library that is not there":        {programs: []string{"lost"}, err: []string{"bin/lost", "liblost.so.3", root}},
		"one that a library needs":           {programs: []string{"deep"}, err: []string{"libdeep.so.1", "liblost.so.4"}},
		"a script":                           {programs: []string{"text"}, err: []string{"bin/text"}},
		"a library that is none":             {programs: []string{"broken"}, err: []string{"libbroken.so"}},
		"a program that is not there":        {programs: []string{"missing"}, err: []string{"bin/missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			var programs []string
			for _, program := range row.programs {
				programs = append(programs, filepath.Join(root, "bin", program))
			}
			files, err := libraryFiles(root, programs)
			if row.err != nil {
				wantError(t, err, row.err...)
				return
			}
			must(t, err)
			want := map[string]string{}
			for path, source := range row.want {
				if path == loaderPath() {
					want[path] = "-> " + inImage + loaderName()
				} else {
					want[inImage+path] = filepath.Join(root, source)
				}
			}
			got := map[string]string{}
			for _, file := range files {
				got[file.path] = file.source
				if file.link != "" {
					got[file.path] = "-> " + file.link
				} else if file.mode != 0o755 {
					t.Errorf("%s has mode %o", file.path, file.mode)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(files) != len(want) {
				t.Errorf("%d files (-want +got):\n%s", len(files), diff)
			}
		})
	}
}
