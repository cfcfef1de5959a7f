package v1

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write writes the report to dir/report.json, indented, mode 0644, and replaces one that is there in a single step: a
// reader sees the old report or the new one, never half of it. What looks like a secret is removed once more (see Redactor).
// dir must exist. An empty SchemaVersion is filled in; any other than this package's is a *VersionError.
func Write(dir string, report Report) error {
	path := filepath.Join(dir, ReportFile)
	if report.SchemaVersion == "" {
		report.SchemaVersion = SchemaVersion
	}
	if report.SchemaVersion != SchemaVersion {
		return fmt.Errorf("writing %s: %w", path, &VersionError{Found: report.SchemaVersion})
	}
	var patternsOnly *Redactor
	report = patternsOnly.Report(report)
	fillLists(&report)
	data, err := encode(report, "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := replaceFile(path, data); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// fillLists turns the required lists that are nil into empty ones, because the schema has no null. It changes r in
// place, which is safe on the copy that a Redactor returns.
func fillLists(r *Report) {
	if r.Patterns == nil {
		r.Patterns = []Pattern{}
	}
	for i := range r.Patterns {
		p := &r.Patterns[i]
		if p.Claims == nil {
			p.Claims = []Claim{}
		}
		for _, c := range p.Claims {
			for k := range c.Evidence {
				if c.Evidence[k].Items == nil {
					c.Evidence[k].Items = []EvidenceItem{}
				}
			}
		}
	}
}

// replaceFile writes data beside path and renames it, and leaves nothing behind when a step fails.
func replaceFile(path string, data []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(data)
	// CreateTemp makes files that only their owner can read; a report is for everyone who may enter the folder.
	err = errors.Join(err, temp.Chmod(0o644), temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
