package v1

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The names of a run's files in its results folder.
const (
	ReportFile  = "report.json"
	JournalFile = "journal.jsonl"
)

// VersionError says that a file was written in a version of the result model that this program does not know.
type VersionError struct {
	// Found is the file's schemaVersion; empty when it has none.
	Found string
	// Known is the one that this program knows; empty means SchemaVersion.
	Known string
}

// Error says which version was found, which is known, and what to do.
func (e *VersionError) Error() string {
	known := cmp.Or(e.Known, SchemaVersion)
	if e.Found == "" {
		return fmt.Sprintf("it has no schemaVersion, so it is no meshproof result (want %q)", known)
	}
	return fmt.Sprintf("schemaVersion %q is not known here, only %q: read it with the meshproof that wrote it, or a newer one", e.Found, known)
}

// Load returns the report at path: a results folder, a report or a journal, told apart by their content.
//
// Of a folder it takes report.json when that is complete and no older than the journal, and folds journal.jsonl otherwise.
// A schemaVersion other than this package's is a *VersionError; a folder that holds neither file wraps fs.ErrNotExist.
func Load(path string) (Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Report{}, fmt.Errorf("loading results: %w", err)
	}
	if info.IsDir() {
		return loadFolder(path)
	}
	return loadFile(path)
}

func loadFolder(dir string) (Report, error) {
	reportPath, journalPath := filepath.Join(dir, ReportFile), filepath.Join(dir, JournalFile)
	reportInfo, noReport := os.Stat(reportPath)
	journalInfo, noJournal := os.Stat(journalPath)
	switch {
	case noReport != nil && noJournal != nil:
		for _, err := range []error{noReport, noJournal} {
			if !errors.Is(err, fs.ErrNotExist) {
				return Report{}, fmt.Errorf("loading results: %w", err)
			}
		}
		return Report{}, fmt.Errorf("loading results: %s holds neither %s nor %s: %w", dir, ReportFile, JournalFile, fs.ErrNotExist)
	case noReport != nil:
		return loadFile(journalPath)
	case noJournal != nil:
		return loadFile(reportPath)
	}

	written, reportErr := loadFile(reportPath)
	usable := reportErr == nil && written.Run.Complete
	if usable && !reportInfo.ModTime().Before(journalInfo.ModTime()) {
		return written, nil
	}
	folded, journalErr := loadFile(journalPath)
	if journalErr == nil {
		return folded, nil
	}
	// Copying a folder can turn the times of its files around, so a complete report outlives a journal that cannot be read.
	if usable {
		return written, nil
	}
	return Report{}, errors.Join(reportErr, journalErr)
}

func loadFile(path string) (Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Report{}, fmt.Errorf("loading results: %w", err)
	}
	decode := decodeReport
	if isJournal(path, data) {
		decode = decodeJournal
	}
	report, err := decode(data)
	if err != nil {
		return Report{}, fmt.Errorf("loading %s: %w", path, err)
	}
	return report, nil
}

// isJournal tells a journal from a report by its first JSON value, and by its name when there is no whole value.
func isJournal(path string, data []byte) bool {
	var first struct {
		Type EventType `json:"type"`
	}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&first); err != nil {
		return filepath.Ext(path) == filepath.Ext(JournalFile)
	}
	return first.Type != ""
}

func decodeJournal(data []byte) (Report, error) {
	events, err := ReadJournal(bytes.NewReader(data))
	if err != nil {
		return Report{}, err
	}
	if len(events) == 0 {
		return Report{}, errors.New("the journal holds no event")
	}
	return Fold(events), nil
}

func decodeReport(data []byte) (Report, error) {
	var head struct {
		SchemaVersion string `json:"schemaVersion"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Report{}, fmt.Errorf("not a report: %w", err)
	}
	if head.SchemaVersion != SchemaVersion {
		return Report{}, &VersionError{Found: head.SchemaVersion}
	}
	var report Report
	if err := json.Unmarshal(data, &report); err != nil {
		return Report{}, fmt.Errorf("not a report: %w", err)
	}
	return report, nil
}
