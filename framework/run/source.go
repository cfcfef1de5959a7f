package run

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// sourceOf is where a check is written, relative to the repository of this program; empty for one of another module, and when
// the program was built without -trimpath: the path of a folder on the machine that built it helps nobody.
func sourceOf(file string, line int) string {
	info, known := debug.ReadBuildInfo()
	if !known || info.Main.Path == "" {
		return ""
	}
	return relativeSource(info.Main.Path, file, line)
}

func relativeSource(module, file string, line int) string {
	relative, found := strings.CutPrefix(file, module+"/")
	if !found {
		return ""
	}
	return fmt.Sprintf("%s:%d", relative, line)
}
