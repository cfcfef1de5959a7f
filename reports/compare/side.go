package compare

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Side is what is compared: one run, or several of the same on the same mesh, which tell the noise of its times.
type Side struct {
	// Path is where it was loaded from.
	Path string
	// runs are in the order of their times.
	runs []run
}

type run struct {
	report v1.Report
	folder string
}

// part is one run's part of a pattern.
type part struct {
	run     string
	pattern v1.Pattern
	// version is that of the mesh.
	version string
	// folder holds the run's results, the pattern's own in a folder of its name.
	folder string
}

// Load reads a side: the results of a run, as v1.Load takes them, or a folder with the folders of several runs. A run that was
// interrupted or killed is refused, because what it did not get to says nothing.
func Load(path string) (Side, error) {
	side := Side{Path: path}
	report, err := v1.Load(path)
	switch {
	case err == nil:
		folder := path
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			folder = filepath.Dir(path)
		}
		side.runs = []run{{report, folder}}
	case errors.Is(err, fs.ErrNotExist):
		if side.runs, err = loadRuns(path, err); err != nil {
			return Side{}, err
		}
	default:
		return Side{}, err
	}
	slices.SortFunc(side.runs, func(a, b run) int { return a.report.Run.StartedAt.Compare(b.report.Run.StartedAt) })
	return side, side.check()
}

// loadRuns loads every run in a folder. Links are left out: "latest" leads to a run that is there already.
func loadRuns(path string, none error) ([]run, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, none
	}
	var runs []run
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		folder := filepath.Join(path, entry.Name())
		report, err := v1.Load(folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		runs = append(runs, run{report, folder})
	}
	if len(runs) == 0 {
		return nil, none
	}
	return runs, nil
}

func (s Side) check() error {
	first := s.runs[0].report
	for _, r := range s.runs {
		switch {
		case r.report.Run.Interrupted != "":
			return fmt.Errorf("%s was interrupted (%s), and what it did not get to says nothing: run it again", r.folder, r.report.Run.Interrupted)
		case !r.report.Run.Complete:
			return fmt.Errorf("%s was killed or is still going on, and what it did not get to says nothing: run it again", r.folder)
		case len(r.report.Patterns) == 0:
			return fmt.Errorf("%s holds no pattern: %s", r.folder, cmp.Or(r.report.Run.Error, "nothing was selected"))
		case mesh(r.report) != mesh(first):
			return fmt.Errorf("%s holds runs of %s and of %s: give a folder with runs of one mesh", s.Path, mesh(first), mesh(r.report))
		}
	}
	for _, name := range s.patterns() {
		if err := sameVariant(name, s.of(name), nil); err != nil {
			return err
		}
	}
	return nil
}

// mesh names what the runs of a side must have in common.
func mesh(r v1.Report) string {
	m := r.Cluster.Mesh
	return fmt.Sprintf("%s %s (revision %s) on cluster %s", m.Flavour, m.Version, m.Revision, r.Cluster.UID)
}

func (s Side) identity() Identity {
	identity := Identity{Cluster: s.runs[len(s.runs)-1].report.Cluster}
	for _, r := range s.runs {
		identity.Runs = append(identity.Runs, r.report.Run.ID)
	}
	return identity
}

// patterns are the names of the patterns that its runs have.
func (s Side) patterns() []string {
	var names []string
	for _, r := range s.runs {
		for _, pattern := range r.report.Patterns {
			names = append(names, pattern.Name)
		}
	}
	return union(names, nil)
}

// of returns what each of its runs has of a pattern.
func (s Side) of(name string) []part {
	var parts []part
	for _, r := range s.runs {
		for _, pattern := range r.report.Patterns {
			if pattern.Name == name {
				parts = append(parts, part{run: r.report.Run.ID, pattern: pattern, version: r.report.Cluster.Mesh.Version, folder: r.folder})
			}
		}
	}
	return parts
}
