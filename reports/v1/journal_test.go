package v1_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestJournalRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), v1.JournalFile)
	journal, err := v1.CreateJournal(path, v1.JournalOptions{Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range example.Events() {
		if err := journal.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	if err := journal.Append(v1.Event{Type: v1.Note}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Append after Close: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := v1.ReadJournal(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(example.Events(), got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if !bytes.Contains(data, []byte("10.244.0.22:40704 -> 203.0.113.12")) {
		t.Error("the journal escapes arrows")
	}
}

func TestCreateJournalRefusesAnotherRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), v1.JournalFile)
	for range 2 { // an empty file is no run yet
		journal, err := v1.CreateJournal(path, v1.JournalOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte("precious\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v1.CreateJournal(path, v1.JournalOptions{}); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("error = %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "precious\n" {
		t.Errorf("the journal was changed to %q", data)
	}
}

// oneWrite fails the test when a line arrives in several writes.
type oneWrite struct {
	t     *testing.T
	lines []string
}

func (w *oneWrite) Write(p []byte) (int, error) {
	if strings.Count(string(p), "\n") != 1 || !strings.HasSuffix(string(p), "\n") {
		w.t.Errorf("a write that is no line: %q", p)
	}
	w.lines = append(w.lines, string(p))
	return len(p), nil
}

func TestJournalWritesWholeLinesConcurrently(t *testing.T) {
	w := &oneWrite{t: t}
	journal := v1.NewJournal(w, v1.JournalOptions{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if err := journal.Append(v1.Event{Type: v1.Note, Message: fmt.Sprintf("line one\nof %d", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	events, err := v1.ReadJournal(strings.NewReader(strings.Join(w.lines, "")))
	if err != nil || len(events) != 50 || events[0].Time.IsZero() {
		t.Errorf("%d events, %v", len(events), err)
	}
}

type failingWriter struct{ writes int }

func (w *failingWriter) Write(p []byte) (int, error) {
	w.writes++
	return len(p) / 2, errors.New("no space left on device")
}

func TestJournalStopsAfterAFailedWrite(t *testing.T) {
	w := &failingWriter{}
	journal := v1.NewJournal(w, v1.JournalOptions{})
	first := journal.Append(v1.Event{Type: v1.Note})
	second := journal.Append(v1.Event{Type: v1.Note})
	if first == nil || !errors.Is(second, first) || w.writes != 1 {
		t.Errorf("%v, then %v, in %d writes", first, second, w.writes)
	}
	if err := journal.Append(v1.Event{}); err == nil {
		t.Error("an event without a type was taken")
	}
}

func TestJournalRedacts(t *testing.T) {
	redactor, err := v1.NewRedactor("hunter22")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	event := v1.Event{Type: v1.Note, Message: "mongo --password hunter22 mongodb://admin:swordfish@db"}
	if err := v1.NewJournal(&b, v1.JournalOptions{Redactor: redactor}).Append(event); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hunter22") || strings.Contains(b.String(), "swordfish") {
		t.Errorf("written: %s", b.String())
	}
}

func TestReadJournal(t *testing.T) {
	note := `{"time":"2026-11-22T15:04:05Z","type":"note","message":"x"}`
	for name, tc := range map[string]struct {
		in     string
		events int
		err    string // part of the error; empty when none is wanted
	}{
		"empty":                     {"", 0, ""},
		"whole":                     {note + "\n" + note + "\n", 2, ""},
		"last line without newline": {note + "\n" + note, 2, ""},
		"last line cut off":         {note + "\n" + note[:40], 1, ""},
		"cut off between lines":     {note + "\n", 1, ""},
		"only half a line":          {note[:10], 0, ""},
		"broken line":               {note + "\n" + note[:40] + "\n" + note + "\n", 1, "line 2"},
		"broken last line":          {note + "\n" + note[:40] + "\n", 1, "line 2"},
		"empty line":                {note + "\n\n" + note + "\n", 1, "line 2"},
		"no type":                   {"{}\n", 0, `line 1 of the journal: not an event: it has no "type"`},
		"wrong shape":               {`{"type":"note","message":3}` + "\n", 0, "line 1 of the journal: not a note event"},
		"unknown field":             {`{"type":"note","colour":"red"}` + "\n", 1, ""},
		"unknown type":              {`{"type":"eclipse"}` + "\n", 1, ""},
		"another version":           {`{"type":"run-started","schemaVersion":"meshproof.dev/report/v2"}` + "\n", 0, `"meshproof.dev/report/v2" is not known`},
		"another version, cut off":  {`{"type":"run-started","schemaVersion":"meshproof.dev/report/v2"}`, 0, "line 1"},
	} {
		events, err := v1.ReadJournal(strings.NewReader(tc.in))
		if len(events) != tc.events {
			t.Errorf("%s: %d events, want %d", name, len(events), tc.events)
		}
		if (err == nil) != (tc.err == "") || (err != nil && !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%s: error %v, want %q", name, err, tc.err)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, fs.ErrPermission }

func TestReadJournalPassesReadErrorsOn(t *testing.T) {
	if _, err := v1.ReadJournal(brokenReader{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error = %v", err)
	}
}
