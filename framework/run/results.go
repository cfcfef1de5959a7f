package run

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/meshproof/meshproof/reports/junit"
	"github.com/meshproof/meshproof/reports/prom"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// openResults makes the run's folder and its journal.
func (r *Runner) openResults() error {
	if session := r.plan.session; session != nil {
		r.runID, r.folder = session.runID, session.nextFolder
	} else {
		r.runID = randomRunID()
		r.folder = filepath.Join(r.plan.Options.ResultsDir, r.runID)
	}
	if err := os.MkdirAll(r.folder, 0o755); err != nil {
		return fmt.Errorf("make the results folder: %w", err)
	}
	for _, job := range r.plan.Jobs {
		if err := redactor.Add(slices.Concat(r.plan.byName[job.Pattern].Secrets(job.Values), job.Cluster.Secrets())...); err != nil {
			return err
		}
	}
	journal, err := v1.CreateJournal(filepath.Join(r.folder, v1.JournalFile), v1.JournalOptions{Redactor: redactor})
	if err != nil {
		return err
	}
	r.journal = journal
	if r.plan.session != nil {
		return nil
	}
	return pointLatest(r.plan.Options.ResultsDir, r.runID)
}

// pointLatest makes results/latest lead to this run.
func pointLatest(resultsDir, runID string) error {
	latest := filepath.Join(resultsDir, "latest")
	temporary := latest + "." + runID
	if err := os.Symlink(runID, temporary); err != nil {
		return fmt.Errorf("point %s to this run: %w", latest, err)
	}
	return os.Rename(temporary, latest)
}

func randomRunID() string {
	random := make([]byte, 2)
	// crypto/rand never fails on the supported systems.
	_, _ = rand.Read(random)
	return newRunID(time.Now(), hex.EncodeToString(random))
}

// finish writes the reports.
func (r *Runner) finish(environment error) (*Result, error) {
	report := v1.Fold(r.events)
	err := errors.Join(
		r.journal.Close(), v1.Write(r.folder, report),
		writeReport(filepath.Join(r.folder, "junit.xml"), report, junit.Write),
		writeReport(filepath.Join(r.folder, "metrics.prom"), report, prom.Write),
	)
	if err != nil {
		err = fmt.Errorf("write the reports: %w", err)
	}
	return &Result{Report: report, Folder: r.folder}, errors.Join(environment, err)
}

func writeReport(path string, report v1.Report, write func(io.Writer, v1.Report) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file, report), file.Close())
}
