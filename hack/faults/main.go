// Command faults disturbs runs of a pattern at random moments of each of their phases: it interrupts and kills them, stops
// the API server for a while, and deletes the gateway's pod. It prints a row per fault. A verdict that blames the mesh, a
// claim without a reason, a journal that cannot be read, and anything that is left behind are wrong, and fail the program.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/meshproof/meshproof/hack/internal/drive"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// runTimeout bounds one run, disturbed or not.
const runTimeout = 5 * time.Minute

func main() {
	f := &faults{}
	flag.StringVar(&f.pattern, "pattern", "basic-gateway", "what is run")
	lab := flag.String("lab", "faults", "the lab; one that does not run is started, and ended afterwards")
	seed := flag.Uint64("seed", 1, "chooses the moments")
	only := flag.String("only", "", "a regular expression: only the faults whose name and phase it matches, as in 'SIGINT install'")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := f.run(ctx, *lab, *seed, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

type faults struct {
	pattern string
	lab     *drive.Lab
	random  *rand.Rand
	// usual is how long each phase takes undisturbed.
	usual map[string]float64
	table *tabwriter.Writer
	wrong int
}

func (f *faults) run(ctx context.Context, lab string, seed uint64, only string) (err error) {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if f.lab, err = drive.Up(lab); err != nil {
		return err
	}
	f.random = rand.New(rand.NewPCG(seed, seed))
	if err := f.undisturbed(); err != nil {
		return err
	}
	fmt.Printf("seed %d\n", seed)
	f.table = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(f.table, "fault\thit\tafter\texit\tpassed\tfailed\tinconcl.\tskipped\tjournal\tleft at once\tleft after\ttold\twrong")
	count := 0
	for _, one := range f.plan() {
		if !chosen.MatchString(one.name + " " + one.phase) {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		count++
		if err := f.one(ctx, one); err != nil {
			return fmt.Errorf("%s during %s: %w", one.name, one.phase, err)
		}
	}
	if err := f.table.Flush(); err != nil {
		return err
	}
	// What was disturbed must not have harmed the lab.
	if err := f.undisturbed(); err != nil {
		return err
	}
	if err := f.lab.Down(); err != nil {
		return err
	}
	if f.wrong > 0 {
		return fmt.Errorf("%d of %d faults were not met as they should be", f.wrong, count)
	}
	fmt.Printf("\n%d faults: no verdict was wrong, every journal could be read, nothing was left, and the next run was proven whole\n", count)
	return nil
}

// undisturbed runs the pattern, which must be proven whole, and remembers how long its phases take.
func (f *faults) undisturbed() error {
	running, err := f.lab.Start(f.pattern)
	if err != nil {
		return err
	}
	outcome, err := running.Wait(runTimeout)
	if err != nil {
		return err
	}
	if outcome.Exit != v1.ExitPassed || outcome.Problem != nil {
		return fmt.Errorf("the pattern is not proven undisturbed (exit %d, %w):\n%s", outcome.Exit, outcome.Problem, outcome.Output)
	}
	f.usual = drive.Seconds(outcome.Report)
	return outcome.Discard()
}

// one disturbs one run.
func (f *faults) one(ctx context.Context, one fault) error {
	running, err := f.lab.Start(f.pattern)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeoutCause(ctx, runTimeout, fmt.Errorf("the run did not get so far within %s", runTimeout))
	defer cancel()
	begun, err := running.Await(waiting, begins(one.phase))
	if err != nil {
		return err
	}
	if !begun {
		return fmt.Errorf("the run ended before")
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Duration(one.moment * f.usual[durations[one.phase]] * float64(time.Second))):
	}
	hit, after := where(running.Events()), running.Since()
	if err := one.strike(f, running); err != nil {
		return err
	}
	outcome, err := running.Wait(runTimeout)
	if err != nil {
		return err
	}
	left, err := f.lab.Left()
	if err != nil {
		return err
	}
	wrong := one.judge(outcome, left)
	after2, err := f.recover(one)
	if err != nil {
		return err
	}
	if len(after2) > 0 {
		wrong = append(wrong, "left: "+strings.Join(after2, ", "))
	}
	if child, err := orphan(); err != nil || child != 0 {
		wrong = append(wrong, fmt.Sprintf("process %d of the run lives on (%v)", child, err))
	}
	f.row(one, hit, after, outcome, left, after2, wrong)
	if len(wrong) > 0 {
		f.wrong++
		fmt.Fprintf(os.Stderr, "%s\nits results are in %s\n", outcome.Output, outcome.Folder)
		return nil
	}
	return outcome.Discard()
}

// recover removes what is left, by meshproof clean or by the next run, and returns what is left then.
func (f *faults) recover(one fault) ([]string, error) {
	if one.recoverByRun {
		if err := f.undisturbed(); err != nil {
			return nil, fmt.Errorf("the next run: %w", err)
		}
	} else if err := f.lab.Clean(); err != nil {
		return nil, err
	}
	return f.lab.Left()
}

func (f *faults) row(one fault, hit string, after time.Duration, outcome drive.Outcome, atOnce, afterwards, wrong []string) {
	counts := v1.Summary(outcome.Report)
	journal := "complete"
	switch {
	case outcome.Problem != nil:
		journal = "unreadable"
	case !outcome.Report.Run.Complete:
		journal = "folds"
	}
	by := "clean"
	if one.recoverByRun {
		by = "next run"
	}
	fmt.Fprintf(f.table, "%s\t%s\t%.1f s\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%d (%s)\t%s\t%s\n", one.name, hit, after.Seconds(), outcome.Exit, counts.Passed, counts.Failed, counts.Inconclusive, counts.Skipped,
		journal, len(atOnce), len(afterwards), by, shortened(told(outcome.Report)), shortened(strings.Join(wrong, "; ")))
	fmt.Fprintf(os.Stderr, "%s during %s: exit %d, %+v %s\n", one.name, hit, outcome.Exit, counts, strings.Join(wrong, "; "))
}

// longest is how much of a reason fits into the table.
const longest = 110

func shortened(text string) string {
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "..."
	}
	return text
}
