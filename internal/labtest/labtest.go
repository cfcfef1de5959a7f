// Package labtest helps the tests that use a real lab: it builds the command once and runs it as a user would.
package labtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/meshproof/meshproof/framework/lab"
)

// commandTimeout bounds one command; the longest builds a whole lab.
const commandTimeout = 30 * time.Minute

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "meshproof-test-*")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "meshproof")
	compile := exec.Command("go", "build", "-trimpath", "-o", program, "github.com/meshproof/meshproof/cmd/meshproof")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0") // as make has it: a static program
	output, err := compile.CombinedOutput()
	if err != nil {
		return "", errors.New(string(output))
	}
	return program, nil
})

// Program returns the path of the command, built from the working tree.
func Program(t testing.TB) string {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatalf("build meshproof: %v", err)
	}
	return program
}

// Result is what a command said, and how it ended.
type Result struct {
	Stdout, Stderr string
	Code           int
	Duration       time.Duration
}

// Run runs the command to its end.
func Run(t testing.TB, args ...string) Result {
	t.Helper()
	return Finish(t, Start(t, args...))
}

// Running is a command that was started.
type Running struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
	started        time.Time
	stop           context.CancelFunc
}

// Start starts the command, without KUBECONFIG, so that it uses the lab.
func Start(t testing.TB, args ...string) *Running {
	t.Helper()
	return StartWith(t, nil, args...)
}

// StartWith is Start with more in the environment, as NAME=value.
func StartWith(t testing.TB, environment []string, args ...string) *Running {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), commandTimeout)
	r := &Running{Cmd: exec.CommandContext(ctx, Program(t), args...), started: time.Now(), stop: stop}
	for _, entry := range os.Environ() {
		if len(entry) < 11 || entry[:11] != "KUBECONFIG=" {
			r.Env = append(r.Env, entry)
		}
	}
	r.Env = append(r.Env, environment...)
	r.Stdout, r.Stderr = &r.stdout, &r.stderr
	cmd := r.Cmd
	if err := cmd.Start(); err != nil {
		t.Fatalf("start meshproof %v: %v", args, err)
	}
	return r
}

// Finish waits for a started command.
func Finish(t testing.TB, r *Running) Result {
	t.Helper()
	defer r.stop()
	err := r.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run meshproof %v: %v", r.Args[1:], err)
	}
	return Result{Stdout: r.stdout.String(), Stderr: r.stderr.String(), Code: r.ProcessState.ExitCode(), Duration: time.Since(r.started)}
}

// MustRun runs the command, which must succeed.
func MustRun(t testing.TB, args ...string) Result {
	t.Helper()
	result := Run(t, args...)
	if result.Code != 0 {
		t.Fatalf("meshproof %v: exit %d\n%s\n%s", args, result.Code, result.Stdout, result.Stderr)
	}
	return result
}

// Options are those of the lab with this name, in the folders that the command uses here; empty is the default lab, or the
// one that the tests were started with.
func Options(name string) lab.Options {
	if name == "" {
		name = os.Getenv("MESHPROOF_LAB")
	}
	return lab.Options{Name: name, CacheDir: os.Getenv("MESHPROOF_CACHE_DIR"), StateDir: os.Getenv("MESHPROOF_STATE_DIR")}
}
