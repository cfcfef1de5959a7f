package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// takeoverTimeout is for HAProxy to read a configuration and to serve it: 0.1 s on two busy cores.
	takeoverTimeout = 20 * time.Second
	// drainTimeout is what connections get to end when the router is told to end.
	drainTimeout = 5 * time.Second
)

// haproxy runs HAProxy, one process per configuration: each new one takes the listening sockets over from the one before
// it, which goes on with the connections that it has and ends with the last of them. So no connection is refused or cut.
type haproxy struct {
	program string
	// dir holds a folder per configuration, runDir the sockets.
	dir, runDir string
	// ended gets every process that has ended.
	ended chan *worker

	generation int
	current    *worker
	running    sync.WaitGroup
}

// worker is one process.
type worker struct {
	cmd *exec.Cmd
	dir string
	// ended is closed when the process has ended.
	ended chan struct{}
}

// failure is the error of a process that has ended: nil if another one had taken over from it.
func (h *haproxy) failure(w *worker) error {
	if w != h.current {
		return nil
	}
	return fmt.Errorf("HAProxy (process %d) ended: %s", w.cmd.Process.Pid, w.cmd.ProcessState)
}

// apply makes HAProxy serve these files, and returns when it does. If it does not accept them, what it served before goes
// on; why, it has written to standard error. A configuration is checked by the process that is to serve it, before that
// takes anything over.
func (h *haproxy) apply(ctx context.Context, files map[string]string) error {
	h.generation++
	dir := filepath.Join(h.dir, strconv.Itoa(h.generation))
	if err := writeFiles(dir, files); err != nil {
		return err
	}
	next, err := h.start(dir)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	ctx, cancel := context.WithTimeout(ctx, takeoverTimeout)
	defer cancel()
	if err := h.awaitTakeover(ctx, next); err != nil {
		_ = next.cmd.Process.Kill() // it may have ended already
		return errors.Join(err, os.RemoveAll(dir))
	}
	previous := h.current
	h.current = next
	if previous == nil {
		return nil
	}
	// HAProxy reads its files once.
	return os.RemoveAll(previous.dir)
}

func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
	}
	return nil
}

func (h *haproxy) adminSocket() string { return filepath.Join(h.runDir, "admin.sock") }

// start starts a process, which takes over from the current one as soon as it can serve.
func (h *haproxy) start(dir string) (*worker, error) {
	// Quiet, it still says what is wrong with a configuration, but no more when it serves: not which proxies have ended.
	args := []string{"-db", "-q", "-f", mainFile}
	if h.current != nil {
		args = append(args, "-x", h.adminSocket(), "-sf", strconv.Itoa(h.current.cmd.Process.Pid))
	}
	w := &worker{cmd: exec.Command(h.program, args...), dir: dir, ended: make(chan struct{})}
	w.cmd.Dir = dir
	w.cmd.Stderr = os.Stderr
	// Its access log goes to file 3, because it closes the first three when it is quiet.
	w.cmd.ExtraFiles = []*os.File{os.Stdout}
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start HAProxy: %w", err)
	}
	h.running.Add(1)
	go func() {
		_ = w.cmd.Wait() // the process's state says how it ended
		close(w.ended)
		h.running.Done()
		h.ended <- w
	}()
	return w, nil
}

// awaitTakeover asks who answers on the admin socket, until it is the process that was started.
func (h *haproxy) awaitTakeover(ctx context.Context, next *worker) error {
	ticker := time.NewTicker(3 * time.Millisecond)
	defer ticker.Stop()
	for {
		pid, last := askPID(ctx, h.adminSocket())
		if last == nil && pid == next.cmd.Process.Pid {
			return nil
		}
		if last == nil {
			last = fmt.Errorf("process %d answers on the admin socket", pid)
		}
		select {
		case <-ticker.C:
		case <-next.ended:
			return fmt.Errorf("HAProxy does not accept the configuration (%s)", next.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("waited %s for HAProxy (process %d) to serve: %w; last seen: %w", takeoverTimeout, next.cmd.Process.Pid, context.Cause(ctx), last)
		}
	}
}

// askPID returns the number of the process that answers on the admin socket.
func askPID(ctx context.Context, socket string) (int, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "show info\n"); err != nil {
		return 0, err
	}
	answer := bufio.NewScanner(conn)
	for answer.Scan() {
		if value, found := strings.CutPrefix(answer.Text(), "Pid: "); found {
			return strconv.Atoi(value)
		}
	}
	return 0, errors.Join(answer.Err(), errors.New("the answer to `show info` names no process"))
}

// stop lets connections end, for a while. Earlier processes are ending already.
func (h *haproxy) stop() {
	if h.current == nil {
		return
	}
	_ = h.current.cmd.Process.Signal(syscall.SIGUSR1) // it may have ended already
	drained := make(chan struct{})
	go func() {
		h.running.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(drainTimeout): // the container's end is theirs
	}
}
