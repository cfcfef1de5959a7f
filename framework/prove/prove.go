package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/run"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// ResultFile is the file, in the folder of the results, that holds all scores.
const ResultFile = "prove.json"

// Told is told how the work goes on.
type Told interface {
	// Baseline is called when the unchanged pattern was judged.
	Baseline(judged v1.Pattern, took time.Duration)
	// Started and Finished are called around each mutant.
	Started(m Mutant)
	Finished(r Result)
}

// Options are the choices of a proof.
type Options struct {
	// Unmet says, by name, which requirements of the pattern the cluster does not meet.
	Unmet map[string]string
	// Claims are those of the pattern.
	Claims []pattern.Claim
	// Diagnose says that the likely cause behind every mutant is named, and must be by the rule that the mutant says.
	Diagnose bool
	// Sink is told of the events of every judging.
	Sink run.Sink
}

// Run judges the session's pattern as it is, which must be proven whole, and then with each mutant. It writes what came of
// them to ResultFile. The error is of the environment; a mutant that survives is a result.
func Run(ctx context.Context, session *run.Session, mutants []Mutant, options Options, told Told) ([]Result, error) {
	p := proof{session: session, folder: session.Folder, options: options}
	return p.run(ctx, mutants, told)
}

// proof is one pattern, installed, with what is done to it.
type proof struct {
	session interface {
		Judge(ctx context.Context, judging run.Judging, sink run.Sink) (v1.Pattern, error)
		Mutate(ctx context.Context, file, shows string) (effect string, err error)
		Restore(ctx context.Context) error
	}
	// folder is that of the session's results.
	folder  string
	options Options
}

func (p proof) run(ctx context.Context, mutants []Mutant, told Told) ([]Result, error) {
	started := time.Now()
	baseline, err := p.session.Judge(ctx, run.Judging{Name: "baseline"}, p.options.Sink)
	if err != nil {
		return nil, err
	}
	told.Baseline(baseline, time.Since(started))
	if counts := baseline.Counts(); baseline.Error != "" || counts.Failed+counts.Inconclusive > 0 || counts.Passed == 0 {
		return nil, fmt.Errorf("the pattern itself is not proven (%d failed, %d inconclusive; %s): a mutant could not be told from it; see %s",
			counts.Failed, counts.Inconclusive, baseline.Error, p.folder)
	}
	var results []Result
	for _, mutant := range mutants {
		if err := ctx.Err(); err != nil {
			return results, errors.Join(context.Cause(ctx), write(p.folder, results))
		}
		told.Started(mutant)
		result, err := p.one(ctx, mutant)
		if result.Score != "" { // which counts, also when it could not be taken back
			results = append(results, result)
			told.Finished(result)
		}
		if err != nil {
			return results, errors.Join(fmt.Errorf("mutant %s: %w", mutant.Name, err), write(p.folder, results))
		}
	}
	return results, write(p.folder, results)
}

// one brings in a mutant, judges it when a proxy shows its effect, and takes it back.
func (p proof) one(ctx context.Context, m Mutant) (result Result, err error) {
	started := time.Now()
	defer func() { result.Seconds = time.Since(started).Seconds() }()
	if why, unmet := p.options.Unmet[m.Requires]; unmet {
		return Result{Mutant: m.Name, Says: m.Says, Score: Skipped, Detail: why}, nil
	}
	folder := filepath.Join(p.folder, "mutants", m.Name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return result, fmt.Errorf("make the results folder: %w", err)
	}
	file := filepath.Join(folder, "patches.yaml")
	if err := os.WriteFile(file, m.Patches, 0o644); err != nil {
		return result, err
	}
	effect, err := p.session.Mutate(ctx, file, m.Shows)
	if err != nil {
		// It must be taken back all the same, and says nothing about the next one.
		broken := Result{Mutant: m.Name, Says: m.Says, Score: Broken, Detail: err.Error()}
		return broken, p.session.Restore(ctx)
	}
	result = Result{Mutant: m.Name, Says: m.Says, Score: NoEffect, Detail: "no proxy shows any effect"}
	if effect != "" {
		judged, err := p.session.Judge(ctx, run.Judging{Name: filepath.Join("mutants", m.Name), Mutation: file, Leave: p.leave(m), Diagnose: p.diagnose(m)}, p.options.Sink)
		if err != nil {
			return Result{}, err
		}
		if !p.options.Diagnose {
			m.Diagnosis = "" // nobody has looked
		}
		result = score(m, judged)
		result.Effect = effect
	}
	return result, p.session.Restore(ctx)
}

// leave are the claims that a mutant is not judged by: those that wait for a period of the platform, unless it names them.
func (p proof) leave(m Mutant) map[string]string {
	leave := map[string]string{}
	for _, claim := range p.options.Claims {
		if _, named := m.wanted()[claim.Alias]; claim.Period != "" && !named {
			leave[claim.Alias] = "it waits for " + claim.Period + ", and the mutant does not concern it"
		}
	}
	return leave
}

// diagnose is the claim whose likely cause is named; empty for none.
func (p proof) diagnose(m Mutant) string {
	if !p.options.Diagnose {
		return ""
	}
	return m.Killed.By
}

func write(folder string, results []Result) error {
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, ResultFile), append(data, '\n'), 0o644)
}
