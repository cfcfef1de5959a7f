package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

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
	// Sink is told of the events of every judging.
	Sink run.Sink
}

// Run judges the session's pattern as it is, which must be proven whole, and then with each mutant. It writes what came of
// them to ResultFile. The error is of the environment; a mutant that survives is a result.
func Run(ctx context.Context, session *run.Session, mutants []Mutant, options Options, told Told) ([]Result, error) {
	started := time.Now()
	baseline, err := session.Judge(ctx, "baseline", "", options.Sink)
	if err != nil {
		return nil, err
	}
	told.Baseline(baseline, time.Since(started))
	if counts := baseline.Counts(); baseline.Error != "" || counts.Failed+counts.Inconclusive > 0 || counts.Passed == 0 {
		return nil, fmt.Errorf("the pattern itself is not proven (%d failed, %d inconclusive; %s): a mutant could not be told from it; see %s",
			counts.Failed, counts.Inconclusive, baseline.Error, session.Folder)
	}
	var results []Result
	for _, mutant := range mutants {
		if err := ctx.Err(); err != nil {
			return results, errors.Join(context.Cause(ctx), write(session.Folder, results))
		}
		told.Started(mutant)
		result, err := one(ctx, session, mutant, options)
		if err != nil {
			return results, errors.Join(fmt.Errorf("mutant %s: %w", mutant.Name, err), write(session.Folder, results))
		}
		results = append(results, result)
		told.Finished(result)
	}
	return results, write(session.Folder, results)
}

// one brings in a mutant, judges it when a proxy shows its effect, and takes it back.
func one(ctx context.Context, session *run.Session, m Mutant, options Options) (result Result, err error) {
	started := time.Now()
	defer func() { result.Seconds = time.Since(started).Seconds() }()
	if why, unmet := options.Unmet[m.Requires]; unmet {
		return Result{Mutant: m.Name, Says: m.Says, Score: Skipped, Detail: why}, nil
	}
	folder := filepath.Join(session.Folder, "mutants", m.Name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return result, fmt.Errorf("make the results folder: %w", err)
	}
	file := filepath.Join(folder, "patches.yaml")
	if err := os.WriteFile(file, m.Patches, 0o644); err != nil {
		return result, err
	}
	effect, err := session.Mutate(ctx, file, m.Shows)
	if err != nil {
		// It must be taken back all the same, and says nothing about the next one.
		broken := Result{Mutant: m.Name, Says: m.Says, Score: Broken, Detail: err.Error()}
		return broken, session.Restore(ctx)
	}
	result = Result{Mutant: m.Name, Says: m.Says, Score: NoEffect, Detail: "no proxy shows any effect"}
	if effect != "" {
		judged, err := session.Judge(ctx, filepath.Join("mutants", m.Name), file, options.Sink)
		if err != nil {
			return result, err
		}
		result = score(m, judged)
		result.Effect = effect
	}
	return result, session.Restore(ctx)
}

func write(folder string, results []Result) error {
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, ResultFile), append(data, '\n'), 0o644)
}
