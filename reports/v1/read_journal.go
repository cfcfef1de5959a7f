package v1

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ReadJournal returns the events of a journal in their order. A last line that was cut off in the middle is dropped: the
// run was killed while it wrote it. Any other line that is no event is an error that names the line, returned together with the
// events before it; so is a journal of another schema version (see VersionError).
func ReadJournal(r io.Reader) ([]Event, error) {
	var events []Event
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return events, fmt.Errorf("reading line %d of the journal: %w", number, err)
		}
		last := err != nil
		if last && len(line) == 0 {
			return events, nil
		}
		event, err := parseEvent(line)
		var wrong *VersionError
		switch {
		case err == nil:
			events = append(events, event)
		case last && !errors.As(err, &wrong):
			return events, nil
		default:
			return events, fmt.Errorf("line %d of the journal: %w", number, err)
		}
		if last {
			return events, nil
		}
	}
}

func parseEvent(line []byte) (Event, error) {
	// The version is looked at first: an event of another version may not even have the shape of this one.
	var head struct {
		SchemaVersion string    `json:"schemaVersion"`
		Type          EventType `json:"type"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return Event{}, fmt.Errorf("not an event: %w", err)
	}
	if head.SchemaVersion != "" && head.SchemaVersion != SchemaVersion {
		return Event{}, &VersionError{Found: head.SchemaVersion}
	}
	if head.Type == "" {
		return Event{}, errors.New(`not an event: it has no "type"`)
	}
	var event Event
	if err := json.Unmarshal(line, &event); err != nil {
		return Event{}, fmt.Errorf("not a %s event: %w", head.Type, err)
	}
	return event, nil
}
