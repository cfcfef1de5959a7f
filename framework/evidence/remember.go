package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
)

// Remember takes from a file the formats that the proxies have written in at earlier times, and adds those that they write
// in now: where fixtures are judged more than once with changes in between, a connection of before is still logged as before.
// A file that does not exist yet holds none.
func (o *Observer) Remember(file string) error {
	var known []*accesslog.Format
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the access-log formats of before: %w", err)
	}
	o.before = slices.Clone(known)
	for _, s := range o.sources {
		for _, format := range s.logs.formats {
			if !slices.ContainsFunc(known, func(f *accesslog.Format) bool { return f.String() == format.String() }) {
				known = append(known, format)
			}
		}
	}
	if data, err = json.Marshal(known); err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return fmt.Errorf("keep the access-log formats: %w", err)
	}
	return nil
}
