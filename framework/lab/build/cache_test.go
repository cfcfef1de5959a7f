package build

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// wantError fails the test unless err holds every one of the words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error = %v\nwant one with %q", err, word)
		}
	}
}

// put writes files, as pairs of path below dir and content, and the folders that lead to them.
func put(t *testing.T, dir string, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		path := filepath.Join(dir, pairs[i])
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(pairs[i+1]), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// must fails the test for an error of its own doing.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

// sample is an entry with a small file in a folder, a file that is large enough to be hashed, and a link.
type sample struct {
	cache  Cache
	builds atomic.Int32
}

func newSample(t *testing.T) *sample {
	return &sample{cache: Cache{Dir: filepath.Join(t.TempDir(), "cache")}}
}

func (s *sample) build(_ context.Context, dir string) error {
	s.builds.Add(1)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return errors.Join(err, errors.New("the build began in a folder that is not empty"))
	}
	return errors.Join(
		os.MkdirAll(filepath.Join(dir, "share"), 0o755),
		os.WriteFile(filepath.Join(dir, "share/small"), []byte("small"), 0o644),
		os.WriteFile(filepath.Join(dir, "large"), bytes.Repeat([]byte("x"), hashAbove), 0o755),
		os.Symlink("large", filepath.Join(dir, "link")),
	)
}

// entry returns the folder of the sample's entry; the test fails when there is none.
func (s *sample) entry(t *testing.T) string {
	t.Helper()
	dir, err := s.cache.Entry(t.Context(), "name", "key", s.build)
	must(t, err)
	return dir
}

func TestEntryBuildsOnce(t *testing.T) {
	s := newSample(t)
	if s.cache.Has("name", "key") {
		t.Error("it has what was never built")
	}
	dir := s.entry(t)
	if again := s.entry(t); again != dir || s.builds.Load() != 1 {
		t.Errorf("the second call returned %s after %d builds, want %s after 1", again, s.builds.Load(), dir)
	}
	if !s.cache.Has("name", "key") || s.builds.Load() != 1 {
		t.Error("it does not have what was built, or built it to find out")
	}
	if dir != filepath.Join(s.cache.Dir, "name", "key") || read(t, filepath.Join(dir, "share/small")) != "small" {
		t.Errorf("the entry in %s is not what was built", dir)
	}
	for _, other := range [][2]string{{"name", "other"}, {"other", "key"}} {
		if _, err := s.cache.Entry(t.Context(), other[0], other[1], s.build); err != nil {
			t.Error(err)
		}
	}
	if s.builds.Load() != 3 {
		t.Errorf("%d builds, want one for each name and key", s.builds.Load())
	}
}

// keepingTime changes a file and gives it back its time.
func keepingTime(t *testing.T, path string, change func()) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	change()
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
}

func TestEntryNoticesDamage(t *testing.T) {
	flip := func(path string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, path)
			keepingTime(t, path, func() {
				data := []byte(read(t, path))
				data[len(data)/2] ^= 1
				must(t, os.WriteFile(path, data, 0o644))
			})
		}
	}
	manifest := func(text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { put(t, dir, manifestName, text) }
	}
	for name, row := range map[string]struct {
		damage func(t *testing.T, dir string)
		builds int32
	}{
		"none": {func(*testing.T, string) {}, 1},
		"another size": {func(t *testing.T, dir string) {
			keepingTime(t, filepath.Join(dir, "share/small"), func() { put(t, dir, "share/small", "smaller") })
		}, 2},
		"another time": {func(t *testing.T, dir string) {
			must(t, os.Chtimes(filepath.Join(dir, "share/small"), time.Time{}, time.Unix(1, 0)))
		}, 2},
		"one bit of a large file":       {flip("large"), 2},
		"one bit of a small file alone": {flip("share/small"), 1}, // not looked at, by design
		"a missing file":                {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "share/small"))) }, 2},
		"a missing folder":              {func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "share"))) }, 2},
		"a link in place of a file": {func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, "large"), filepath.Join(dir, "moved")))
			must(t, os.Symlink("moved", filepath.Join(dir, "large")))
		}, 2},
		"a missing manifest":  {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, manifestName))) }, 2},
		"an empty manifest":   {manifest(""), 2},
		"half a manifest":     {manifest(`{"files": {"share/small": {"si`), 2},
		"a manifest of zeros": {manifest("\x00\x00\x00\x00"), 2},
		"no entry at all":     {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, 2},
		"read-only folders": {func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, manifestName)))
			must(t, os.Chmod(filepath.Join(dir, "share"), 0o555))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSample(t)
			dir := s.entry(t)
			put(t, dir, "stray", "not of the build")
			row.damage(t, dir)
			if sound := s.cache.Has("name", "key"); sound != (row.builds == 1) {
				t.Errorf("it is taken for sound: %t", sound)
			}
			if again := s.entry(t); again != dir || s.builds.Load() != row.builds {
				t.Fatalf("%s after %d builds, want %s after %d", again, s.builds.Load(), dir, row.builds)
			}
			if row.builds == 1 {
				return
			}
			if read(t, filepath.Join(dir, "share/small")) != "small" || read(t, filepath.Join(dir, "link")) != strings.Repeat("x", hashAbove) {
				t.Error("the entry is not what was built again")
			}
			if _, err := os.Lstat(filepath.Join(dir, "stray")); err == nil {
				t.Error("something of the damaged entry is left")
			}
		})
	}
}

func TestEntryBuildsAgainWhatWasInterrupted(t *testing.T) {
	for name, row := range map[string]struct {
		interrupt func(t *testing.T, s *sample)
		builds    int32
	}{
		"by an error": {func(t *testing.T, s *sample) {
			failed := errors.New("no space left on device")
			_, err := s.cache.Entry(t.Context(), "name", "key", func(ctx context.Context, dir string) error { return errors.Join(s.build(ctx, dir), failed) })
			if !errors.Is(err, failed) {
				t.Errorf("error = %v, want %v", err, failed)
			}
		}, 2},
		"by a kill": {func(t *testing.T, s *sample) {
			put(t, s.cache.Dir, "name/key.partial/share/small", "half")
			must(t, os.Chmod(filepath.Join(s.cache.Dir, "name/key.partial/share"), 0o555))
		}, 1},
		"after its last file": {func(t *testing.T, s *sample) {
			dir := filepath.Join(s.cache.Dir, "name/key.partial")
			must(t, os.MkdirAll(dir, 0o755))
			must(t, errors.Join(s.build(t.Context(), dir), seal(dir)))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSample(t)
			row.interrupt(t, s)
			if s.cache.Has("name", "key") {
				t.Error("an unfinished entry is taken for sound")
			}
			dir := s.entry(t)
			if s.builds.Load() != row.builds || read(t, filepath.Join(dir, "share/small")) != "small" {
				t.Errorf("%d builds, want %d, the last from nothing", s.builds.Load(), row.builds)
			}
			if _, err := os.Lstat(dir + ".partial"); err == nil {
				t.Error("the unfinished folder is left")
			}
		})
	}
}

func TestEntryIsBuiltByOneAtATime(t *testing.T) {
	s := newSample(t)
	const callers = 8
	var ready, done sync.WaitGroup
	ready.Add(callers)
	for range callers {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			dir, err := s.cache.Entry(t.Context(), "name", "key", s.build)
			if err != nil || read(t, filepath.Join(dir, "share/small")) != "small" {
				t.Errorf("entry %s, error %v", dir, err)
			}
		})
	}
	done.Wait()
	if s.builds.Load() != 1 {
		t.Errorf("%d builds by %d callers, want 1", s.builds.Load(), callers)
	}
}

// hold takes the lock of the sample's entry, as another process would.
func (s *sample) hold(t *testing.T) (release func()) {
	t.Helper()
	release, err := LockFile(t.Context(), s.cache.path("name", "key")+".lock", "tests")
	must(t, err)
	return release
}

func TestEntryWaitsUntilItsContextEnds(t *testing.T) {
	s := newSample(t)
	defer s.hold(t)()
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted by the user")
	cancel(interrupted)
	_, err := s.cache.Entry(ctx, "name", "key", s.build)
	wantError(t, err, "another process", "key.lock")
	if !errors.Is(err, interrupted) || s.builds.Load() != 0 {
		t.Errorf("error = %v after %d builds; want the cause, and no build", err, s.builds.Load())
	}
}

// A caller that has given up waiting must not hold the lock when it gets it after all.
func TestEntryIsFreeAfterAnAbandonedWait(t *testing.T) {
	// A collection would close the file that holds the lock.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	s := newSample(t)
	release := s.hold(t)
	before := runtime.NumGoroutine()
	abandoned, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.cache.Entry(abandoned, "name", "key", s.build); err == nil {
		t.Fatal("it did not wait")
	}
	release()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for ticker := time.Tick(time.Millisecond); runtime.NumGoroutine() > before; { // it has the lock by then
		select {
		case <-ticker:
		case <-ctx.Done():
			t.Fatal("what was abandoned goes on")
		}
	}
	if _, err := s.cache.Entry(ctx, "name", "key", s.build); err != nil {
		t.Error(err)
	}
}

// Who waited for another's build takes it as it is.
func TestEntryTakesWhatAnotherHasBuilt(t *testing.T) {
	s := newSample(t)
	release := s.hold(t)
	result := make(chan error, 1)
	go func() {
		_, err := s.cache.Entry(t.Context(), "name", "key", s.build)
		result <- err
	}()
	dir := s.cache.path("name", "key")
	must(t, os.MkdirAll(dir, 0o755))
	put(t, dir, "share/small", "another's")
	must(t, seal(dir))
	release()
	must(t, <-result)
	if s.builds.Load() != 0 || read(t, filepath.Join(dir, "share/small")) != "another's" {
		t.Errorf("%d builds, want the other's to be taken", s.builds.Load())
	}
}

func TestEntrySaysWhereItCannotBe(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "file", "")
	_, err := Cache{Dir: filepath.Join(dir, "file")}.Entry(t.Context(), "name", "key", func(context.Context, string) error { return nil })
	wantError(t, err, "cache folder", filepath.Join(dir, "file"))
}

func TestKey(t *testing.T) {
	// Another key for the same parts would build everything on every machine again.
	if got, want := Key("a", "b"), "59b271ae1bbcb1d3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	seen := map[string][]string{}
	for _, parts := range [][]string{{"a", "b"}, {"b", "a"}, {"ab"}, {"a", "b", ""}, {"", "a", "b"}, {"a"}, {}} {
		if other, taken := seen[Key(parts...)]; taken {
			t.Errorf("%q and %q have the same key", other, parts)
		}
		seen[Key(parts...)] = parts
	}
}
