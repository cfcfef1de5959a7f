// Package drive runs bin/meshproof as a user would, for the programs beside it that watch it for long and break it.
package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Program is what is run, from the root of the repository.
const Program = "bin/meshproof"

// Lab is a lab to run patterns on.
type Lab struct {
	Name    string
	started bool
}

// Up returns the lab of this name, and starts it when it does not run.
func Up(name string) (*Lab, error) {
	l := &Lab{Name: name}
	if err := l.command("lab", "status", "--name", name).Run(); err == nil {
		return l, nil
	}
	fmt.Fprintf(os.Stderr, "starting lab %q\n", name)
	if output, err := l.command("lab", "up", "--name", name).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("start lab %s: %w\n%s", name, err, output)
	}
	l.started = true
	return l, nil
}

// Down ends the lab, if Up started it.
func (l *Lab) Down() error {
	if !l.started {
		return nil
	}
	if output, err := l.command("lab", "down", "--name", l.Name).CombinedOutput(); err != nil {
		return fmt.Errorf("end lab %s: %w\n%s", l.Name, err, output)
	}
	return nil
}

// command is one of meshproof, without KUBECONFIG, so that it uses the lab.
func (l *Lab) command(args ...string) *exec.Cmd {
	cmd := exec.Command(Program, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "KUBECONFIG=") })
	cmd.Env = append(cmd.Env, "MESHPROOF_LAB="+l.Name)
	return cmd
}

// Kubectl runs kubectl in the lab, and returns what it printed.
func (l *Lab) Kubectl(args ...string) (string, error) {
	output, err := l.command(append([]string{"lab", "exec", "--", "kubectl"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(output))
	}
	return strings.TrimSpace(string(output)), nil
}

// Left lists the namespaces of runs that are on the cluster.
func (l *Lab) Left() ([]string, error) {
	names, err := l.Kubectl("get", "namespaces", "-l", "meshproof.dev/run", "-o", "name")
	return strings.Fields(names), err
}

// Clean runs meshproof clean.
func (l *Lab) Clean() error {
	if output, err := l.command("clean").CombinedOutput(); err != nil {
		return fmt.Errorf("meshproof clean: %w\n%s", err, output)
	}
	return nil
}

// Run is a run of a pattern under way.
type Run struct {
	cmd     *exec.Cmd
	folder  string
	started time.Time
	output  bytes.Buffer
	ended   chan error
}

// Start starts a run of a pattern, with results in a folder of its own.
func (l *Lab) Start(pattern string, args ...string) (*Run, error) {
	folder, err := os.MkdirTemp("", "meshproof-run-*")
	if err != nil {
		return nil, err
	}
	r := &Run{folder: folder, started: time.Now(), ended: make(chan error, 1)}
	r.cmd = l.command(append([]string{"run", pattern, "--results", folder}, args...)...)
	r.cmd.Stdout, r.cmd.Stderr = &r.output, &r.output
	if err := r.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	go func() { r.ended <- r.cmd.Wait() }()
	return r, nil
}

// Signal sends the run's process a signal.
func (r *Run) Signal(signal os.Signal) error { return r.cmd.Process.Signal(signal) }

// Since is how long ago the run was started.
func (r *Run) Since() time.Duration { return time.Since(r.started) }

// Outcome is what came of a run.
type Outcome struct {
	// Exit is the exit code, or -1 for a run that was killed.
	Exit   int
	Output string
	Took   time.Duration
	// Folder holds the results, until Discard. Report is theirs; Problem is why there is none.
	Folder  string
	Report  v1.Report
	Problem error
}

// Discard removes the results.
func (o Outcome) Discard() error { return os.RemoveAll(o.Folder) }

// Wait waits for the end of the run. One that does not end in time is killed, and an error.
func (r *Run) Wait(timeout time.Duration) (Outcome, error) {
	var exit *exec.ExitError
	select {
	case err := <-r.ended:
		if err != nil && !errors.As(err, &exit) {
			return Outcome{}, err
		}
	case <-time.After(timeout):
		_ = r.cmd.Process.Kill() // it may end meanwhile
		<-r.ended
		return Outcome{}, fmt.Errorf("the run did not end within %s:\n%s", timeout, r.output.String())
	}
	o := Outcome{Exit: r.cmd.ProcessState.ExitCode(), Output: r.output.String(), Took: time.Since(r.started), Folder: r.folder}
	o.Report, o.Problem = v1.Load(filepath.Join(r.folder, "latest"))
	return o, nil
}

// journalPeriod is how often a journal is looked at.
const journalPeriod = 10 * time.Millisecond

// Await waits for an event that the run writes to its journal. It returns false when the run ends without it.
func (r *Run) Await(ctx context.Context, wanted func(v1.Event) bool) (bool, error) {
	ticker := time.NewTicker(journalPeriod)
	defer ticker.Stop()
	for {
		if slices.ContainsFunc(r.Events(), wanted) {
			return true, nil
		}
		select {
		case err := <-r.ended:
			r.ended <- err
			return slices.ContainsFunc(r.Events(), wanted), nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// Events are those that the run has written so far.
func (r *Run) Events() []v1.Event {
	file, err := os.Open(filepath.Join(r.folder, "latest", v1.JournalFile))
	if err != nil {
		return nil // not begun
	}
	defer file.Close()
	events, _ := v1.ReadJournal(file) // what cannot be read yet will be
	return events
}

// Seconds are how long each phase of a run's first pattern took, and all its checks together as "judge".
func Seconds(report v1.Report) map[string]float64 {
	seconds := map[string]float64{}
	for _, p := range report.Patterns[:min(1, len(report.Patterns))] {
		for _, phase := range p.Phases {
			seconds[phase.Name] += phase.Seconds
		}
		for _, claim := range p.Claims {
			seconds["judge"] += claim.Seconds
		}
	}
	return seconds
}
