package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/meshproof/meshproof/framework/internal/process"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/lab/node"
)

// InitArgument is the hidden word of the command line by which a program that embeds meshproof becomes the first process
// of a lab: the command package hands `<program> InitArgument SPEC` to RunInit before anything else.
const InitArgument = "__lab-init"

// RunInit is the first process of a lab.
func RunInit(specFile string) error { return node.Main(specFile) }

// startTimeout bounds a whole start, after everything is built; each part has a shorter limit of its own.
const startTimeout = 5 * time.Minute

// Up returns the lab, after building what is missing and starting it when it is not running. A running lab is returned as
// it is, with the revisions of Istio that are asked for and that it lacked. When a start fails, nothing of the lab is left
// running.
func Up(ctx context.Context, options Options) (*Lab, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	selection, err := options.Versions.Resolve()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrVersions, err)
	}
	// A lab that needs nothing answers at once, without a lock and whatever the machine lacks.
	running, err := Open(options)
	if err == nil {
		if missing, err := running.missing(options.Versions, selection); err != nil || len(missing) == 0 {
			return running, err
		}
	} else if !errors.Is(err, ErrNotRunning) {
		return nil, err
	} else if err := checkMachine(options); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, options)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// Another process may have started it meanwhile, or ended it.
	running, err = Open(options)
	if errors.Is(err, ErrNotRunning) {
		return startNew(ctx, options, selection)
	}
	if err != nil {
		return nil, err
	}
	return running, running.complete(ctx, options, selection)
}

// startNew builds everything and starts a lab where none runs.
func startNew(ctx context.Context, options Options, selection build.Selection) (*Lab, error) {
	if err := discard(ctx, options); err != nil {
		return nil, fmt.Errorf("remove what an earlier lab left: %w", err)
	}
	cache := build.Cache{Dir: options.CacheDir}
	artifacts, err := build.All(ctx, cache, selection, options.Progress)
	if err != nil {
		return nil, err
	}
	store, err := imageStore(ctx, cache, options, artifacts)
	if err != nil {
		return nil, err
	}
	started, err := start(ctx, options, artifacts, store)
	if err != nil {
		return nil, errors.Join(err, keepLogs(options), discard(context.WithoutCancel(ctx), options))
	}
	return started, nil
}

// storeEntry is the name of the cache entries that imageStore makes.
const storeEntry = "store"

// imageStore returns the cache entry that holds a container store with all images imported and unpacked.
func imageStore(ctx context.Context, cache build.Cache, options Options, artifacts build.Artifacts) (string, error) {
	return cache.Entry(ctx, storeEntry, build.Key(artifacts.StoreKey, artifacts.Root), func(ctx context.Context, dir string) error {
		return build.Timed(options.Progress, "image store", func(build.Step) (string, error) {
			temporary := options
			temporary.Name = options.Name + "-store"
			spec, err := newSpec(temporary, artifacts, true)
			if err != nil {
				return "", err
			}
			defer func() { _ = discard(context.WithoutCancel(ctx), temporary) }()
			first, err := launch(spec)
			if err != nil {
				return "", err
			}
			defer first.end()
			if err := first.follow(ctx, options.Progress); err != nil {
				return "", err
			}
			return "", os.Rename(spec.StoreDir(), filepath.Join(dir, "containerd"))
		})
	})
}

func newSpec(options Options, artifacts build.Artifacts, storeOnly bool) (node.Spec, error) {
	program, err := os.Executable()
	if err != nil {
		return node.Spec{}, fmt.Errorf("find the running program: %w", err)
	}
	spec := node.Spec{
		Name: options.Name, StateDir: options.dir(), CacheDir: options.CacheDir, Program: program,
		Artifacts: artifacts, Cgroup: "/meshproof-" + options.Name, StoreOnly: storeOnly,
	}
	if err := os.MkdirAll(spec.StateDir, 0o700); err != nil {
		return node.Spec{}, fmt.Errorf("make the lab's folder: %w", err)
	}
	return spec, spec.Write()
}

// start starts a node on a copy of the image store and waits until it is ready.
func start(ctx context.Context, options Options, artifacts build.Artifacts, store string) (*Lab, error) {
	spec, err := newSpec(options, artifacts, false)
	if err != nil {
		return nil, err
	}
	if err := linkTree(filepath.Join(store, "containerd"), spec.StoreDir()); err != nil {
		return nil, fmt.Errorf("copy the image store: %w", err)
	}
	first, err := launch(spec)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the lab was not ready after %s", startTimeout))
	defer cancel()
	started, err := func() (*Lab, error) {
		if err := first.follow(ctx, options.Progress); err != nil {
			return nil, err
		}
		if err := node.WriteHostKubeconfig(spec, first.port); err != nil {
			return nil, err
		}
		return first.accept(spec)
	}()
	if err != nil {
		first.end()
		return nil, err
	}
	return started, nil
}

// firstProcess is that of a lab that is being started.
type firstProcess struct {
	cmd     *exec.Cmd
	reports *os.File
	lease   *os.File
	port    int
	log     string
}

// launch starts the first process in namespaces of its own and in a control group of its own.
func launch(spec node.Spec) (*firstProcess, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the forwarder's port: %w", err)
	}
	defer listener.Close()
	listenerFile, err := listener.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer listenerFile.Close()
	reports, reportsWriter, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reportsWriter.Close()
	leaseReader, lease, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, reports.Close())
	}
	defer leaseReader.Close()
	if err := os.MkdirAll(spec.LogDir(), 0o755); err != nil {
		return nil, err
	}
	logPath := filepath.Join(spec.LogDir(), "supervisor.log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(spec.Program, InitArgument, spec.SpecFile())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	cmd.ExtraFiles = []*os.File{reportsWriter, leaseReader, listenerFile} // ReportFD, LeaseFD, ListenerFD
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
	}
	p := &firstProcess{cmd: cmd, reports: reports, lease: lease, port: listener.Addr().(*net.TCPAddr).Port, log: logPath}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the lab's first process in namespaces of its own: %w", err), reports.Close(), lease.Close())
	}
	groups, err := node.FindCgroups(spec.Cgroup)
	if err == nil {
		err = groups.Enter(cmd.Process.Pid)
	}
	if err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// follow passes the node's reports on until it is ready, has ended, or ctx ends.
func (p *firstProcess) follow(ctx context.Context, progress build.Progress) error {
	stop := context.AfterFunc(ctx, func() { p.reports.Close() })
	defer stop()
	steps := map[string]build.Step{}
	failure := ""
	lines := bufio.NewScanner(p.reports)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var report node.Report
		if err := json.Unmarshal(lines.Bytes(), &report); err != nil {
			return fmt.Errorf("read the lab's reports: %w", err)
		}
		switch {
		case report.Ready:
			return nil
		case report.Error != "":
			failure = report.Error
		case report.Done:
			steps[report.Step].Finish(report.Detail, nil)
			delete(steps, report.Step)
		default:
			steps[report.Step] = progress.Start(report.Step)
		}
	}
	for _, step := range steps {
		step.Finish("", errors.New("not finished"))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("start the lab: %w", context.Cause(ctx))
	}
	// The reports ended, so the process did too.
	err := p.cmd.Wait()
	switch {
	case failure != "":
		return fmt.Errorf("start the lab: %s", failure)
	case err != nil:
		return fmt.Errorf("start the lab: its first process ended (%w); see %s%s", err, p.log, lastLog(p.log))
	}
	return nil
}

// accept tells the node that it stays, and writes down how it is found again.
func (p *firstProcess) accept(spec node.Spec) (*Lab, error) {
	ticks, err := process.StartTicks(p.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	a := spec.Artifacts
	l := &Lab{
		Name: spec.Name, Dir: spec.StateDir, PID: p.cmd.Process.Pid, StartTicks: ticks,
		Kubeconfig: spec.HostKubeconfig(), KubeconfigInside: spec.AdminKubeconfig(), Port: p.port,
		Kubernetes: a.Selection.Kubernetes.Version, Revisions: revisionsOf(a.Meshes),
		StartedAt: time.Now(), Cgroup: spec.Cgroup, Programs: []string{a.Kubernetes, a.Meshes[0].Istio}, Artifacts: a,
	}
	if err := l.save(); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(p.lease, node.KeepWord); err != nil {
		return nil, fmt.Errorf("accept the lab: %w", err)
	}
	return l, errors.Join(p.lease.Close(), p.reports.Close(), p.cmd.Process.Release())
}

// end kills the first process, and with it everything in its namespaces.
func (p *firstProcess) end() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.lease.Close()
	_ = p.reports.Close()
}

func lastLog(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return ":\n  " + strings.Join(lines[max(0, len(lines)-8):], "\n  ")
}
