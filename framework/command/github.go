package command

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/meshproof/meshproof/reports/github"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// tellGitHub writes annotations to out, and appends the job summary to the file that GitHub has made for this step; an empty
// name means that there is none.
func tellGitHub(out io.Writer, report v1.Report, results, summaryFile string) error {
	err := github.WriteAnnotations(out, report, results)
	if summaryFile == "" {
		return err
	}
	return errors.Join(err, appendSummary(summaryFile, report, results))
}

// appendSummary keeps the whole of the file within what GitHub shows: another command of the same step may have written to it.
func appendSummary(path string, report v1.Report, results string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write the job summary: %w", err)
	}
	info, err := file.Stat()
	if err == nil {
		_, err = file.WriteString(github.Summary(report, results, github.MaxSummary-int(info.Size())))
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the job summary: %w", err)
	}
	return nil
}
