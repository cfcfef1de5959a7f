package v1_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestWriteThenLoad(t *testing.T) {
	dir, want := t.TempDir(), example.Report()
	for range 2 { // the second write replaces the first
		if err := v1.Write(dir, want); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, v1.ReportFile)} {
		got, err := v1.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("Write left %v behind, %v", entries, err)
	}
	info, err := os.Stat(filepath.Join(dir, v1.ReportFile))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info, err)
	}
}

func TestWriteErrors(t *testing.T) {
	if err := v1.Write(filepath.Join(t.TempDir(), "absent"), v1.Report{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a folder that is absent: %v", err)
	}
	var wrong *v1.VersionError
	if err := v1.Write(t.TempDir(), v1.Report{SchemaVersion: "other"}); !errors.As(err, &wrong) {
		t.Errorf("another version: %v", err)
	}
}

func TestWriteRedactsAndFillsLists(t *testing.T) {
	dir := t.TempDir()
	report := v1.Report{Patterns: []v1.Pattern{{Name: "p", Error: "mongodb://a:swordfish@db", Claims: []v1.Claim{{ID: "p/a", Verdict: v1.Passed, Evidence: []v1.Evidence{{}}}}}, {Name: "q"}}}
	if err := v1.Write(dir, report); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, v1.ReportFile))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(data); strings.Contains(text, "swordfish") || strings.Contains(text, "null") {
		t.Errorf("written:\n%s", text)
	}
	if report.Patterns[1].Claims != nil || report.Patterns[0].Claims[0].Evidence[0].Items != nil {
		t.Error("Write changed its argument")
	}
}

// TestLoadFolder has a report and a journal that differ in the run's ID, so that the ID tells which one was taken.
func TestLoadFolder(t *testing.T) {
	const (
		complete   = `{"schemaVersion":"meshproof.dev/report/v1","run":{"id":"report","version":"","startedAt":"2026-11-22T15:04:05Z","complete":true}}`
		incomplete = `{"schemaVersion":"meshproof.dev/report/v1","run":{"id":"report","version":"","startedAt":"2026-11-22T15:04:05Z","complete":false}}`
		journal    = `{"time":"2026-11-22T15:04:05Z","type":"run-started","schemaVersion":"meshproof.dev/report/v1","run":{"id":"journal"}}` + "\n"
		broken     = "{\n"
		newer      = `{"schemaVersion":"meshproof.dev/report/v7"}`
	)
	old, late := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		report, journal         string
		reportTime, journalTime time.Time
		want                    string
		err                     string
	}{
		"report only":                       {report: incomplete, want: "report"},
		"journal only":                      {journal: journal, want: "journal"},
		"both":                              {report: complete, journal: journal, reportTime: late, journalTime: old, want: "report"},
		"both of one time":                  {report: complete, journal: journal, reportTime: old, journalTime: old, want: "report"},
		"older report":                      {report: complete, journal: journal, reportTime: old, journalTime: late, want: "journal"},
		"incomplete report":                 {report: incomplete, journal: journal, reportTime: late, journalTime: old, want: "journal"},
		"broken report":                     {report: broken, journal: journal, reportTime: late, journalTime: old, want: "journal"},
		"older report, broken journal":      {report: complete, journal: broken, reportTime: old, journalTime: late, want: "report"},
		"incomplete report, broken journal": {report: incomplete, journal: broken, reportTime: old, journalTime: late, err: "line 1 of the journal"},
		"newer version":                     {report: newer, err: `"meshproof.dev/report/v7" is not known here, only "meshproof.dev/report/v1"`},
		"neither":                           {err: "holds neither report.json nor journal.jsonl"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put := func(file, text string, at time.Time) {
				if text == "" {
					return
				}
				path := filepath.Join(dir, file)
				if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
					t.Fatal(err)
				}
			}
			put(v1.ReportFile, tc.report, tc.reportTime)
			put(v1.JournalFile, tc.journal, tc.journalTime)
			got, err := v1.Load(dir)
			if (err == nil) != (tc.err == "") || (err != nil && !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if got.Run.ID != tc.want {
				t.Errorf("loaded %q, want %q", got.Run.ID, tc.want)
			}
		})
	}
}

func TestLoadFile(t *testing.T) {
	for name, tc := range map[string]struct{ file, text, err string }{
		"journal by another name": {"a.txt", `{"type":"note"}` + "\n", ""},
		"cut-off journal":         {"a.jsonl", `{"type":"note"`, "the journal holds no event"},
		"empty journal":           {"a.jsonl", "", "the journal holds no event"},
		"no JSON":                 {"a.json", "hello", "not a report"},
		"other JSON":              {"a.json", "{}", "it has no schemaVersion, so it is no meshproof result"},
		"wrong shape":             {"a.json", `{"schemaVersion":"meshproof.dev/report/v1","run":[]}`, "not a report"},
		"field of the future":     {"a.json", `{"schemaVersion":"meshproof.dev/report/v1","weather":"fine"}`, ""},
	} {
		path := filepath.Join(t.TempDir(), tc.file)
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := v1.Load(path)
		if (err == nil) != (tc.err == "") || (err != nil && (!strings.Contains(err.Error(), tc.err) || !strings.Contains(err.Error(), path))) {
			t.Errorf("%s: error %v, want %q", name, err, tc.err)
		}
	}
	if _, err := v1.Load(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}
