package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// agedCache has entries "bin/<name>" that were used so long ago.
func agedCache(t *testing.T, ages map[string]time.Duration) Cache {
	cache := Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	for name, age := range ages {
		dir, err := cache.Entry(t.Context(), "bin", name, func(_ context.Context, dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "share"), 0o500), os.WriteFile(filepath.Join(dir, "program"), make([]byte, 1<<20), 0o755))
		})
		must(t, err)
		then := time.Now().Add(-age)
		must(t, os.Chtimes(filepath.Join(dir, manifestName), then, then))
	}
	return cache
}

func TestTrim(t *testing.T) {
	const day = 24 * time.Hour
	ages := map[string]time.Duration{"now": 0, "today": 2 * time.Hour, "yesterday": day, "old": 4 * day, "older": 9 * day}
	for name, row := range map[string]struct {
		enoughAt int // how many entries are left when the space suffices
		want     string
		step     string
	}{
		"space enough":           {enoughAt: 5, want: "now today yesterday", step: "2 entries of the cache, 0.0 GiB"},
		"one more is too many":   {enoughAt: 2, want: "now today", step: "3 entries of the cache, 0.0 GiB"},
		"never enough":           {enoughAt: 0, want: "now", step: "4 entries of the cache, 0.0 GiB"},
		"a lab holds the oldest": {enoughAt: 5, want: "now older today yesterday", step: "1 entries of the cache, 0.0 GiB"},
	} {
		t.Run(name, func(t *testing.T) {
			cache := agedCache(t, ages)
			if strings.Contains(name, "holds") {
				older := cache.path("bin", "older")
				must(t, Artifacts{Root: older, Kubernetes: older, CoreDNS: older, Router: older}.Hold())
			}
			left := func() []string {
				found, err := filepath.Glob(cache.path("bin", "*") + "/" + manifestName)
				must(t, err)
				for index := range found {
					found[index] = filepath.Base(filepath.Dir(found[index]))
				}
				slices.Sort(found)
				return found
			}
			steps := &finishedSteps{}
			must(t, cache.Trim(time.Now(), func() bool { return len(left()) <= row.enoughAt }, steps))
			if got := strings.Join(left(), " "); got != row.want {
				t.Errorf("left are %q, want %q", got, row.want)
			}
			if got := strings.Join(steps.details, "; "); got != row.step {
				t.Errorf("it told %q, want %q", got, row.step)
			}
			for _, entry := range left() {
				if !cache.Has("bin", entry) {
					t.Errorf("%s is there and not sound", entry)
				}
			}
			if _, err := os.Stat(cache.path("bin", "old")); err == nil {
				t.Error("an old entry's folder is still there")
			}
		})
	}
}

// TestEntryNotesItsUse: an entry that is asked for is not unused, however long ago it was built.
func TestEntryNotesItsUse(t *testing.T) {
	cache := agedCache(t, map[string]time.Duration{"old": 100 * time.Hour})
	_, err := cache.Entry(t.Context(), "bin", "old", func(context.Context, string) error { return errors.New("built again") })
	must(t, err)
	steps := &finishedSteps{}
	must(t, cache.Trim(time.Now(), func() bool { return false }, steps))
	if !cache.Has("bin", "old") || len(steps.details) > 0 {
		t.Errorf("what was just used is removed, or a step told of nothing: %v", steps.details)
	}
}

// finishedSteps notes what each step came to.
type finishedSteps struct{ details []string }

func (s *finishedSteps) Start(string) Step               { return s }
func (s *finishedSteps) Update(int, int, string)         {}
func (s *finishedSteps) Finish(detail string, err error) { s.details = append(s.details, detail) }
