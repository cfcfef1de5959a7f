package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/prove"
	"github.com/meshproof/meshproof/framework/run"
	"github.com/meshproof/meshproof/reports/terminal"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func newProveCommand(patterns []pattern.Pattern) *cobra.Command {
	var options run.Options
	var cluster clusterOptions
	var choice proveChoice
	cmd := &cobra.Command{
		Use: "prove PATTERN...", Short: "Break patterns in one way at a time, and see whether the right check goes red",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			selected, err := run.Select(patterns, args)
			if err != nil {
				return usageError("%w", err)
			}
			for _, one := range selected {
				if err := provePattern(cmd.Context(), patterns, one, choice, cluster, options); err != nil {
					return err
				}
			}
			return nil
		},
	}
	clusterFlags(cmd, &cluster)
	runFlags(cmd, &options)
	flags := cmd.Flags()
	flags.StringSliceVar(&choice.only, "mutant", nil, "only these mutants")
	flags.BoolVar(&choice.diagnose, "diagnose", false, "name the likely cause behind every mutant too, and want it to be by the rule that the mutant says")
	judgingFlags(flags, &options)
	return cmd
}

// proveChoice is what a proof is made of.
type proveChoice struct {
	// only are the names of the mutants; empty means all.
	only     []string
	diagnose bool
}

func provePattern(ctx context.Context, patterns []pattern.Pattern, p pattern.Pattern, choice proveChoice, cluster clusterOptions, options run.Options) error {
	mutants, err := prove.Load(p)
	if err != nil {
		return usageError("%w", err)
	}
	if mutants, err = chooseMutants(mutants, choice.only); err != nil {
		return err
	}
	options.Version, options.Args = version(), os.Args[1:]
	ready, err := prepare(ctx, patterns, []string{p.Name}, cluster, options)
	if err != nil {
		return err
	}
	if err := ready.plan.CheckAccess(ctx, ready.client); err != nil {
		return environmentError(err)
	}
	session, err := run.OpenSession(ctx, ready.plan, ready.client, ready.identity)
	var conflict *run.ConflictError
	if errors.As(err, &conflict) {
		return usageError("%w", conflict)
	}
	if err != nil {
		return environmentError(err)
	}
	table := &proofTable{name: p.Name, diagnose: choice.diagnose}
	fmt.Printf("prove %s · %d mutants · %s\n", p.Name, len(mutants), terminal.Identity(ready.identity))
	results, err := prove.Run(ctx, session, mutants, prove.Options{Unmet: ready.plan.Jobs[0].Unmet, Claims: p.Claims, Diagnose: choice.diagnose, Sink: quiet{}}, table)
	if err = errors.Join(err, session.Close(ctx)); err != nil {
		return environmentError(err)
	}
	return table.summary(results, session.Folder)
}

func chooseMutants(all []prove.Mutant, only []string) ([]prove.Mutant, error) {
	if len(only) == 0 {
		return all, nil
	}
	var names []string
	for _, m := range all {
		names = append(names, m.Name)
	}
	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, usageError("there is no mutant %q; the mutants: %s", name, strings.Join(names, ", "))
		}
	}
	return slices.DeleteFunc(all, func(m prove.Mutant) bool { return !slices.Contains(only, m.Name) }), nil
}

// quiet leaves the single events to the reports.
type quiet struct{}

func (quiet) Event(v1.Event) {}

// proofTable prints a row per mutant.
type proofTable struct {
	name string
	// diagnose has the likely causes printed.
	diagnose bool
}

func (t *proofTable) Baseline(judged v1.Pattern, took time.Duration) {
	counts := judged.Counts()
	fmt.Printf("  %-34s %-18s proven %d of %d %28.1f s\n", "as it is", "baseline", counts.Passed, counts.Selected, took.Seconds())
}

func (t *proofTable) Started(prove.Mutant) {}

func (t *proofTable) Finished(r prove.Result) {
	fmt.Printf("  %-34s %-18s %-40s %5.1f s\n", r.Mutant, r.Score, r.Intended, r.Seconds)
	if r.Detail != "" {
		fmt.Printf("      %s\n", r.Detail)
	}
	if t.diagnose && r.Likely != "" {
		fmt.Printf("      likely (%s): %s\n", cmp.Or(r.Diagnosis, "no rule"), r.Likely)
	}
}

func (t *proofTable) summary(results []prove.Result, folder string) error {
	count := map[prove.Score]int{}
	bad := 0
	for _, r := range results {
		count[r.Score]++
		if !r.Score.Good() {
			bad++
		}
	}
	var told []string
	for _, s := range []prove.Score{prove.Killed, prove.Green, prove.KilledByAnother, prove.Survived, prove.FalseAlarm, prove.Misdiagnosed, prove.NoEffect, prove.Broken, prove.Skipped} {
		if count[s] > 0 {
			told = append(told, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	fmt.Printf("%s: %s · %s\n", t.name, strings.Join(told, " · "), folder)
	if bad > 0 {
		return &exitError{code: exitFailed, err: errors.New("")}
	}
	return nil
}
