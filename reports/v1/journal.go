package v1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// JournalOptions says how a journal is kept; its zero value is a journal that redacts known patterns only and leaves
// flushing to the operating system.
type JournalOptions struct {
	// Redactor removes secrets from every event before it is written; nil still removes what looks like one.
	Redactor *Redactor
	// Sync flushes the file to disk after every verdict and at the end of the run, so that they survive a crash of the machine.
	Sync bool
}

// Journal writes events, one JSON line each, and never changes a line once it is written. It is safe for concurrent use.
type Journal struct {
	mu      sync.Mutex
	w       io.Writer
	file    *os.File // nil for NewJournal
	options JournalOptions
	broken  error
}

// CreateJournal opens the journal at path, which must not exist or be empty: a journal belongs to one run, and overwriting
// one would destroy results.
func CreateJournal(path string, options JournalOptions) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("creating the journal: %w", err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() > 0 {
		err = fmt.Errorf("%s holds %d bytes of another run: %w", path, info.Size(), os.ErrExist)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("creating the journal: %w", err), file.Close())
	}
	return &Journal{w: file, file: file, options: options}, nil
}

// NewJournal returns a journal that writes to w, for example the pipe between a child process and its parent. Sync is ignored.
func NewJournal(w io.Writer, options JournalOptions) *Journal {
	return &Journal{w: w, options: options}
}

// Append redacts e and writes it in a single write. An event without a time gets the present one. After a failed write
// the journal may end in half a line, so every later Append returns that first error.
func (j *Journal) Append(e Event) error {
	if e.Type == "" {
		return errors.New("appending to the journal: the event has no type")
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Type == RunStarted {
		e.SchemaVersion = SchemaVersion
	}
	e = j.options.Redactor.Event(e)
	line, err := encode(e, "")
	if err != nil {
		return fmt.Errorf("appending %s to the journal: %w", e.Type, err)
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return j.broken
	}
	if _, err := j.w.Write(line); err != nil {
		j.broken = fmt.Errorf("appending %s to the journal: %w", e.Type, err)
		return j.broken
	}
	if j.file != nil && j.options.Sync && (e.Type == ClaimFinished || e.Type == RunFinished) {
		if err := j.file.Sync(); err != nil {
			return fmt.Errorf("flushing the journal: %w", err)
		}
	}
	return nil
}

// Close closes the journal's file; it leaves the writer of NewJournal open, which belongs to the caller.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == nil {
		j.broken = fmt.Errorf("appending to the journal: %w", os.ErrClosed)
	}
	if j.file == nil {
		return nil
	}
	file := j.file
	j.file = nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("closing the journal: %w", err)
	}
	return nil
}

// encode returns v as JSON that ends in a newline. "<" and ">" stay as they are: evidence is full of arrows, and is read by people.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
