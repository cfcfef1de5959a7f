package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// part is one program of the node, from its start to its end.
type part struct {
	name    string
	log     string
	started time.Time
	pid     int
	// ended is closed when the program has ended; exit then says how.
	ended chan struct{}
	exit  string
}

// parts starts programs and keeps account of them.
type parts struct {
	reaper *reaper
	logDir string
	// failed is told of every part that ends, except one that was to run to its end.
	failed func(error)
	mu     sync.Mutex
	list   []*part
}

// start runs a program that is to go on as long as the node does.
func (p *parts) start(name string, program string, args ...string) (*part, error) {
	started, err := p.launch(name, program, args...)
	if err != nil {
		return nil, err
	}
	go func() {
		<-started.ended
		p.failed(started.failure())
	}()
	return started, nil
}

// launch runs a program whose output goes to a log of its name. Nothing of the supervisor's environment reaches it.
func (p *parts) launch(name string, program string, args ...string) (*part, error) {
	path := filepath.Join(p.logDir, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer log.Close() // the program has its own copy
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	ended, err := p.reaper.start(cmd)
	if err != nil {
		return nil, err
	}
	started := &part{name: name, log: path, started: time.Now(), pid: cmd.Process.Pid, ended: make(chan struct{})}
	p.mu.Lock()
	p.list = append(p.list, started)
	p.mu.Unlock()
	go func() {
		status := <-ended
		started.exit = describe(status)
		close(started.ended)
	}()
	return started, nil
}

// run runs a program to its end. It is then no part any more.
func (p *parts) run(ctx context.Context, name string, program string, args ...string) error {
	started, err := p.launch(name, program, args...)
	if err != nil {
		return err
	}
	defer p.forget(started)
	select {
	case <-started.ended:
		if started.exit != "exit status 0" {
			return started.failure()
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("run %s: %w", name, context.Cause(ctx)), syscall.Kill(started.pid, syscall.SIGKILL))
	}
}

// stop ends a program and waits until it has ended.
func (p *part) stop(ctx context.Context) error {
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s to stop: %w", p.name, context.Cause(ctx))
	}
}

// await asks ready again and again until it succeeds, the part ends, or the time is up; each of the three has its own error.
func (p *part) await(ctx context.Context, ready func(ctx context.Context) error) error {
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	// None of these programs can be watched before it answers, so it is asked; the period is short against its start.
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		if last = ready(ctx); last == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.failure()
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return cause // another part ended, or nobody waits any more
			}
			return fmt.Errorf("waited %s for %s to answer: %w; the last lines of %s:\n%s",
				time.Since(started).Round(100*time.Millisecond), p.name, last, p.log, logTail(p.log))
		case <-ticker.C:
		}
	}
}

// failure is the error of a part that ended though it should run.
func (p *part) failure() error {
	return fmt.Errorf("%s ended (%s) %s after its start; the last lines of %s:\n%s",
		p.name, p.exit, time.Since(p.started).Round(100*time.Millisecond), p.log, logTail(p.log))
}

func (p *parts) forget(one *part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = slices.DeleteFunc(p.list, func(other *part) bool { return other == one })
}

func (p *parts) status() []PartStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []PartStatus
	for _, one := range p.list {
		status := PartStatus{Name: one.name, PID: one.pid, StartedAt: one.started, Log: one.log}
		select {
		case <-one.ended:
			status.Exit = one.exit
		default:
		}
		list = append(list, status)
	}
	return list
}

// logTail returns the last lines of a log, indented.
func logTail(path string) string {
	const lines, most = 8, 16 << 10
	file, err := os.Open(path)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > most {
		if _, err := file.Seek(-most, io.SeekEnd); err != nil {
			return "  (" + err.Error() + ")"
		}
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}
