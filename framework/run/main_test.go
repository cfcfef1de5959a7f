package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ChildArgument {
		if err := playChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	klog.SetLogger(logr.Discard()) // who elects a leader logs it
	os.Exit(m.Run())
}

// playChild is what the program does when it is started as a pattern's process: it tells what it was given, in the summary
// of each claim, and a host name as if the cluster had told it.
func playChild() error {
	var job Job
	orders := json.NewDecoder(os.Stdin)
	if err := orders.Decode(&job); err != nil {
		return err
	}
	if job.Options.FailFast {
		return playFailFast(job, orders)
	}
	journal := v1.NewJournal(os.NewFile(EventsFD, "events"), v1.JournalOptions{})
	told := v1.Pattern{Name: job.Pattern, Parameters: map[string]string{"hostname": "told.lab"}}
	for _, alias := range job.Claims {
		summary := fmt.Sprintf("attached %t, host %s, mutation %s", job.Attached, job.Values["hostname"], filepath.Base(job.Mutation))
		finished := v1.Claim{ID: job.Pattern + "/" + map[string]string{"SH1": "is-open", "SH2": "is-safe"}[alias], Verdict: v1.Passed, Summary: summary}
		if err := journal.Append(v1.Event{Type: v1.ClaimFinished, PatternName: job.Pattern, Claim: &finished}); err != nil {
			return err
		}
	}
	return errors.Join(
		journal.Append(v1.Event{Type: v1.ParametersKnown, PatternName: job.Pattern, Pattern: &told}),
		journal.Append(v1.Event{Type: v1.PatternFinished, PatternName: job.Pattern}),
	)
}
