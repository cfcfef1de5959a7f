// Command bench measures what people wait for, and prints it as a table: the start of the lab with everything built, its
// first build from empty caches, the memory of the idle lab, a run of each pattern, by stage, and the joining of evidence at
// scale. It measures bin/meshproof
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

	"github.com/meshproof/meshproof/framework/pattern"
	v1 "github.com/meshproof/meshproof/reports/v1"
	"github.com/meshproof/meshproof/suites"
)

const labName = "bench"

func main() {
	runs := flag.Int("runs", 3, "how often each is measured; the table shows the median")
	cold := flag.Int("cold", 1, "how often the first build is measured, from empty caches (minutes each; 0: not)")
	only := flag.String("pattern", "", "only runs of this pattern are measured, and not the start of the lab; join: only the joining of evidence")
	flag.Parse()
	b := &bench{program: "bin/meshproof", table: &table{}, only: *only}
	if err := b.run(*runs, *cold); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	b.table.print()
	for _, missed := range b.missed {
		fmt.Fprintln(os.Stderr, "bench:", missed)
	}
	if len(b.missed) > 0 {
		os.Exit(1)
	}
}

type bench struct {
	program string
	table   *table
	only    string
	// missed are the limits that were not held.
	missed []string
}

func (b *bench) run(runs, cold int) error {
	if b.only == "" || b.only == "join" {
		if err := b.join(runs); err != nil || b.only == "join" {
			return err
		}
	}
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
		if b.only != "" {
			break
		}
		if _, _, err := b.command(nil, "lab", "down", "--name", labName); err != nil {
			return err
		}
		if err := b.start(); err != nil {
			return err
		}
	}
	for _, p := range suites.All() {
		for range runs {
			if b.only != "" && b.only != p.Name {
				break
			}
			if err := b.pattern(p); err != nil {
				return err
			}
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

// pattern measures a run by its own report. The claims that wait for a period of the platform are told apart: that time is
// not the mesh's.
func (b *bench) pattern(p pattern.Pattern) error {
	results, err := os.MkdirTemp("", "meshproof-bench-results-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(results) }()
	_, took, err := b.command([]string{"KUBECONFIG="}, "run", p.Name, "--lab", labName, "--results", results)
	if err != nil {
		return err
	}
	report, err := v1.Load(filepath.Join(results, "latest"))
	if err != nil {
		return err
	}
	b.table.add(p.Name, "meshproof run", took.Seconds(), "s")
	verdicts := 0.0
	for _, judged := range report.Patterns {
		for _, phase := range judged.Phases {
			b.table.add(p.Name, phase.Name, phase.Seconds, "s")
			if slices.Contains([]string{"install", "settle", "prepare"}, phase.Name) {
				verdicts += phase.Seconds
			}
		}
		for _, claim := range judged.Claims {
			stage := "judge " + claim.Alias
			if known, _ := p.Claim(claim.Alias); known.Period != "" {
				stage += ", with " + known.Period
			} else {
				verdicts += claim.Seconds
			}
			b.table.add(p.Name, stage, claim.Seconds, "s")
		}
	}
	b.table.add(p.Name, "from install to the last verdict", verdicts, "s")
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
