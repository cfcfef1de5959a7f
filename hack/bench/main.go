// Command bench measures what people wait for, and prints it as a table: the start of the lab with everything built, its
// first build from empty caches, the memory of the idle lab, and a run of basic-gateway, by stage. It measures bin/meshproof
// as a user would run it, with a lab of its own.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

const labName = "bench"

func main() {
	runs := flag.Int("runs", 3, "how often each is measured; the table shows the median")
	cold := flag.Int("cold", 1, "how often the first build is measured, from empty caches (minutes each; 0: not)")
	flag.Parse()
	b := &bench{program: "bin/meshproof", table: &table{}}
	if err := b.run(*runs, *cold); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	b.table.print()
}

type bench struct {
	program string
	table   *table
}

func (b *bench) run(runs, cold int) error {
	for range cold {
		if err := b.firstBuild(); err != nil {
			return err
		}
	}
	// One start that is not counted builds what the cache lacks.
	if _, _, err := b.command(nil, "lab", "up", "--name", labName); err != nil {
		return err
	}
	for range runs {
		if _, _, err := b.command(nil, "lab", "down", "--name", labName); err != nil {
			return err
		}
		if err := b.start(); err != nil {
			return err
		}
	}
	for range runs {
		if err := b.pattern(); err != nil {
			return err
		}
	}
	_, _, err := b.command(nil, "lab", "down", "--name", labName)
	return err
}

// command runs meshproof and returns what it said on standard error, and how long it took.
func (b *bench) command(environment []string, args ...string) (string, time.Duration, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(b.program, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	started := time.Now()
	err := cmd.Run()
	took := time.Since(started)
	if err != nil {
		return "", took, fmt.Errorf("meshproof %s: %w\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stderr.String(), took, nil
}

// stage is a line of the command's progress: "  done  kube-apiserver (detail)    1.9 s".
var stage = regexp.MustCompile(`(?m)^  done  (\S.*?)\s+([0-9.]+) s$`)

// parenthesis is the detail after a stage's name.
var parenthesis = regexp.MustCompile(` \(.*\)$`)

func (b *bench) stages(group, progress string) {
	for _, match := range stage.FindAllStringSubmatch(progress, -1) {
		seconds, err := strconv.ParseFloat(match[2], 64)
		if err == nil {
			b.table.add(group, parenthesis.ReplaceAllString(match[1], ""), seconds, "s")
		}
	}
}

// firstBuild measures `lab up` with nothing cached: not by meshproof, and not by Go.
func (b *bench) firstBuild() error {
	empty, err := os.MkdirTemp("", "meshproof-bench-*")
	if err != nil {
		return err
	}
	defer func() {
		_ = exec.Command("chmod", "-R", "u+w", empty).Run() // Go makes its module cache read-only
		_ = os.RemoveAll(empty)
	}()
	environment := []string{"GOCACHE=" + filepath.Join(empty, "build"), "GOMODCACHE=" + filepath.Join(empty, "modules"), "GOFLAGS=-modcacherw"}
	cache := filepath.Join(empty, "cache")
	progress, took, err := b.command(environment, "lab", "up", "--name", labName+"-cold", "--cache-dir", cache)
	if err != nil {
		return err
	}
	b.table.add("first build", "lab up from empty caches", took.Seconds(), "s")
	b.stages("first build", progress)
	_, _, err = b.command(nil, "lab", "down", "--name", labName+"-cold", "--cache-dir", cache)
	return err
}

func (b *bench) start() error {
	progress, took, err := b.command(nil, "lab", "up", "--name", labName)
	if err != nil {
		return err
	}
	b.table.add("start", "lab up, everything built", took.Seconds(), "s")
	b.stages("start", progress)
	memory, err := labMemory()
	if err != nil {
		return err
	}
	b.table.add("memory", "idle lab with istiod (PSS of all processes)", memory/(1<<20), "MiB")
	return nil
}

// labMemory is the proportional set size of all processes of the lab, in bytes.
func labMemory() (float64, error) {
	lists, err := filepath.Glob("/sys/fs/cgroup/memory/meshproof-" + labName)
	if err != nil {
		return 0, err
	}
	if len(lists) == 0 {
		lists = []string{"/sys/fs/cgroup/meshproof-" + labName} // cgroup v2
	}
	pids := map[string]bool{}
	err = filepath.WalkDir(lists[0], func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return err
		}
		data, err := os.ReadFile(path)
		for _, pid := range strings.Fields(string(data)) {
			pids[pid] = true
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	total := 0.0
	for pid := range pids {
		data, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
				kib, err := strconv.ParseFloat(fields[1], 64)
				if err != nil {
					return 0, err
				}
				total += kib * 1024
			}
		}
	}
	return total, nil
}

// pattern measures a run by its own report.
func (b *bench) pattern() error {
	results, err := os.MkdirTemp("", "meshproof-bench-results-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(results) }()
	_, took, err := b.command([]string{"KUBECONFIG="}, "run", "basic-gateway", "--lab", labName, "--results", results)
	if err != nil {
		return err
	}
	report, err := v1.Load(filepath.Join(results, "latest"))
	if err != nil {
		return err
	}
	b.table.add("basic-gateway", "meshproof run", took.Seconds(), "s")
	verdicts := 0.0
	for _, p := range report.Patterns {
		for _, phase := range p.Phases {
			b.table.add("basic-gateway", phase.Name, phase.Seconds, "s")
			if phase.Name == "install" || phase.Name == "settle" {
				verdicts += phase.Seconds
			}
		}
		for _, claim := range p.Claims {
			b.table.add("basic-gateway", "judge "+claim.Alias, claim.Seconds, "s")
			verdicts += claim.Seconds
		}
	}
	b.table.add("basic-gateway", "from install to the last verdict", verdicts, "s")
	return nil
}

// table gathers measurements by group and stage, in the order in which they first came.
type table struct{ rows []*row }

type row struct {
	group, stage, unit string
	values             []float64
}

func (t *table) add(group, stage string, value float64, unit string) {
	index := slices.IndexFunc(t.rows, func(r *row) bool { return r.group == group && r.stage == stage })
	if index < 0 {
		t.rows = append(t.rows, &row{group: group, stage: stage, unit: unit})
		index = len(t.rows) - 1
	}
	t.rows[index].values = append(t.rows[index].values, value)
}

func (t *table) print() {
	writer := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(writer, "group\tstage\tmedian\tleast\tmost\truns\t")
	for _, r := range t.rows {
		slices.Sort(r.values)
		fmt.Fprintf(writer, "%s\t%s\t%.1f %s\t%.1f\t%.1f\t%d\t\n", r.group, r.stage, r.values[len(r.values)/2], r.unit, r.values[0], r.values[len(r.values)-1], len(r.values))
	}
	_ = writer.Flush() // to standard output
}
