//go:build lab

package run_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// TestOffline: with a kubeconfig the program needs nothing but itself. It is alone in a root file system with the kubeconfig:
// no Go tool, no shell, no home, no variable of the environment; and in a network from which no route leads out.
func TestOffline(t *testing.T) {
	l, root := labtest.Lab(t), t.TempDir()
	// The lab may have been started by another build of the program, with the images of that.
	if err := l.EnsureFixtures(t.Context(), labtest.Options(""), []string{"bookinfo", "agent"}); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"proc", "dev", "tmp", "results"} {
		if err := os.Mkdir(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	place(t, labtest.Program(t), filepath.Join(root, "meshproof"), 0o755)
	place(t, l.KubeconfigInside, filepath.Join(root, "kubeconfig"), 0o600)
	for line := range strings.Lines(labtest.MustRun(t, "lab", "exec", "--", "cat", "/proc/net/route").Stdout) {
		if fields := strings.Fields(line); len(fields) < 2 || fields[1] == "00000000" {
			t.Fatalf("the lab's network has a way out: %s", line)
		}
	}
	// /proc tells the program where it is, and /dev/null is what it gives its child; the lab's mount namespace is private.
	const enter = `mount -t proc proc "$1/proc" && touch "$1/dev/null" && mount --bind /dev/null "$1/dev/null" && root=$1 && shift && exec env -i "$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)" "$root" "$@"`
	cmd, err := l.Command(context.Background(), "sh", "-c", enter, "sh", root, "/meshproof", "run", "basic-gateway", "--claim", "BG1,BG5",
		"--kubeconfig", "/kubeconfig", "--image-registry", build.Registry, "--results", "/results")
	if err != nil {
		t.Fatal(err)
	}
	// Command starts the program that asks, which must know the hidden word.
	cmd.Path, cmd.Args[0] = labtest.Program(t), labtest.Program(t)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	report := labtest.Report(t, filepath.Join(root, "results"))
	if counts := v1.Summary(report); counts.Passed != 2 || counts.Selected != 2 || report.Cluster.Provider != "kubeconfig" || report.Run.Client != "pod" {
		t.Errorf("%+v on %+v\n%s", counts, report.Cluster, labtest.Unproven(report))
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if want := []string{"dev", "kubeconfig", "meshproof", "proc", "results", "tmp"}; !slices.Equal(names, want) {
		t.Errorf("it has made files: %v, want %v", names, want)
	}
	if names := labtest.Left(t); len(names) > 0 {
		t.Errorf("namespaces are left: %v", names)
	}
}

// place copies a file, with nothing but the standard library in between.
func place(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, mode); err != nil {
		t.Fatal(err)
	}
}
