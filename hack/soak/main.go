// Command soak runs a pattern many times in a row, some of them while both cores are kept busy, and then twice side by
// side. It prints a row per run, and a summary: a verdict that is not the same every time is a flip, and fails the soak.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/meshproof/meshproof/hack/internal/drive"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// runTimeout bounds one run, however busy the machine is.
const runTimeout = 5 * time.Minute

// burnTimeout bounds the burner, should nobody end it.
const burnTimeout = 10 * time.Minute

func main() {
	s := &soak{}
	flag.StringVar(&s.pattern, "pattern", "basic-gateway", "what is run")
	lab := flag.String("lab", "soak", "the lab; one that does not run is started, and ended afterwards")
	runs := flag.Int("runs", 20, "how many runs in a row")
	busy := flag.Int("busy", 5, "how many of them, the last ones, while every core is kept busy")
	burning := flag.Bool("burn", false, "keep every core busy until standard input ends: what the program starts itself for")
	flag.Parse()
	if *burning {
		burn()
		return
	}
	if err := s.run(*lab, *runs, *busy); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// burn keeps every core busy.
func burn() {
	for range runtime.NumCPU() {
		go func() {
			for x := 1.0; ; x = math.Sqrt(x + 1) {
				runtime.KeepAlive(x)
			}
		}()
	}
	time.AfterFunc(burnTimeout, func() { os.Exit(0) })
	_, _ = io.Copy(io.Discard, os.Stdin) // its end is what counts
}

type soak struct {
	pattern string
	lab     *drive.Lab
	rows    []row
	table   *tabwriter.Writer
}

// row is one run.
type row struct {
	name     string
	busy     bool
	outcome  drive.Outcome
	verdicts map[string]v1.Verdict
}

func (s *soak) run(lab string, runs, busy int) (err error) {
	if s.lab, err = drive.Up(lab); err != nil {
		return err
	}
	s.table = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(s.table, "run\tcores\texit\tpassed\tfailed\tinconcl.\tskipped\tlock\tinstall\tsettle\tjudge\tclean-up\tin all\tflips\t")
	for number := range runs {
		if err := s.one(fmt.Sprint(number+1), number >= runs-busy); err != nil {
			return err
		}
	}
	if err := s.sideBySide(); err != nil {
		return err
	}
	if err := s.table.Flush(); err != nil {
		return err
	}
	s.summary()
	left, err := s.lab.Left()
	if err != nil {
		return err
	}
	if err := s.lab.Down(); err != nil {
		return err
	}
	return s.verdict(left)
}

// one runs the pattern once.
func (s *soak) one(name string, busy bool) error {
	stop := func() (string, error) { return "free", nil }
	if busy {
		var err error
		if stop, err = startBurner(); err != nil {
			return err
		}
	}
	running, err := s.lab.Start(s.pattern)
	if err != nil {
		_, stopErr := stop()
		return errors.Join(err, stopErr)
	}
	return s.finish(name, busy, running, stop)
}

// sideBySide runs the pattern twice at once, kept apart by suffixes.
func (s *soak) sideBySide() error {
	var both []*drive.Run
	for _, suffix := range []string{"a", "b"} {
		running, err := s.lab.Start(s.pattern, "--suffix", suffix)
		if err != nil {
			return err
		}
		both = append(both, running)
	}
	for index, running := range both {
		name, cores := []string{"a of a|b", "b of a|b"}[index], func() (string, error) { return "shared", nil }
		if err := s.finish(name, false, running, cores); err != nil {
			return err
		}
	}
	return nil
}

// finish waits for a run and adds its row. stop ends what goes on beside it, and says what the cores did.
func (s *soak) finish(name string, busy bool, running *drive.Run, stop func() (string, error)) error {
	outcome, err := running.Wait(runTimeout)
	cores, stopErr := stop()
	if err == nil {
		err = outcome.Problem
	}
	if err = errors.Join(err, stopErr); err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	r := row{name: name, busy: busy, outcome: outcome, verdicts: map[string]v1.Verdict{}}
	for _, p := range outcome.Report.Patterns {
		for _, claim := range p.Claims {
			r.verdicts[claim.Alias] = claim.Verdict
		}
	}
	s.rows = append(s.rows, r)
	counts, seconds := v1.Summary(outcome.Report), drive.Seconds(outcome.Report)
	fmt.Fprintf(s.table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t", name, cores, outcome.Exit, counts.Passed, counts.Failed, counts.Inconclusive, counts.Skipped)
	for _, stage := range stages {
		fmt.Fprintf(s.table, "%.1f\t", seconds[stage])
	}
	flips := r.flips(s.rows[0])
	fmt.Fprintf(s.table, "%.1f\t%s\t\n", outcome.Took.Seconds(), strings.Join(flips, " "))
	fmt.Fprintf(os.Stderr, "run %s (%s): exit %d, %d of %d proven, %.1f s %s\n", name, cores, outcome.Exit, counts.Passed, counts.Selected, outcome.Took.Seconds(), strings.Join(flips, " "))
	if outcome.Exit != v1.ExitPassed {
		fmt.Fprintf(os.Stderr, "%s\nits results are in %s\n", outcome.Output, outcome.Folder)
		return nil
	}
	return outcome.Discard()
}

// stages are the columns.
var stages = []string{"lock", "install", "settle", "judge", v1.PhaseCleanUp}

// flips are the claims with another verdict than in the first run, with both.
func (r row) flips(first row) []string {
	var flips []string
	for alias, verdict := range r.verdicts {
		if before := first.verdicts[alias]; verdict != before {
			flips = append(flips, fmt.Sprintf("%s:%s->%s", alias, before, verdict))
		}
	}
	slices.Sort(flips)
	return flips
}

// summary prints, for free and for busy cores, the median, least and most of each stage.
func (s *soak) summary() {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\nstage\tcores\tmedian\tleast\tmost\truns\t")
	for _, stage := range append(stages, "in all") {
		for _, busy := range []bool{false, true} {
			var values []float64
			for _, r := range s.rows {
				if r.busy != busy || strings.Contains(r.name, "|") {
					continue
				}
				value := drive.Seconds(r.outcome.Report)[stage]
				if stage == "in all" {
					value = r.outcome.Took.Seconds()
				}
				values = append(values, value)
			}
			if len(values) == 0 {
				continue
			}
			slices.Sort(values)
			fmt.Fprintf(table, "%s\t%s\t%.1f s\t%.1f\t%.1f\t%d\t\n", stage, map[bool]string{false: "free", true: "busy"}[busy], values[len(values)/2], values[0], values[len(values)-1], len(values))
		}
	}
	_ = table.Flush() // to standard output
}

// verdict is the error of a soak in which something was not as it should be.
func (s *soak) verdict(left []string) error {
	var bad []string
	for _, r := range s.rows {
		if flips := r.flips(s.rows[0]); r.outcome.Exit != v1.ExitPassed || len(flips) > 0 {
			bad = append(bad, fmt.Sprintf("run %s: exit %d %s", r.name, r.outcome.Exit, strings.Join(flips, " ")))
		}
	}
	if len(left) > 0 {
		bad = append(bad, "left behind: "+strings.Join(left, ", "))
	}
	if len(bad) > 0 {
		return fmt.Errorf("%d of %d runs were not as they should be: %s", len(bad), len(s.rows), strings.Join(bad, "; "))
	}
	fmt.Printf("\n%d runs: every claim had the same verdict each time, and nothing was left behind\n", len(s.rows))
	return nil
}

// startBurner starts this program again as the burner, which ends with its standard input. stop says how many cores it kept
// busy.
func startBurner() (stop func() (string, error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	burner := exec.Command(self, "-burn")
	input, err := burner.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := burner.Start(); err != nil {
		return nil, err
	}
	started := time.Now()
	return func() (string, error) {
		if err := errors.Join(input.Close(), burner.Wait()); err != nil {
			return "", fmt.Errorf("the burner: %w", err)
		}
		return fmt.Sprintf("full, %.1f of %d burnt", burner.ProcessState.UserTime().Seconds()/time.Since(started).Seconds(), runtime.NumCPU()), nil
	}, nil
}
