package run

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/pattern"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// ChildArgument is the hidden word by which the program starts itself to run one pattern: the command package hands it to
// Child before anything else.
const ChildArgument = "__run-child"

// Runner carries out a plan.
type Runner struct {
	plan    *Plan
	cluster v1.Cluster
	client  *kube.Client
	sink    Sink
	runID   string
	folder  string
	journal *v1.Journal

	mu       sync.Mutex
	events   []v1.Event
	children map[*exec.Cmd]bool
	signal   string
	signals  int
	// stopped says why no further check is to begin; inputs are those of the children that are told.
	stopped string
	inputs  map[io.Writer]bool
}

// Result is what a run came to.
type Result struct {
	Report v1.Report
	// Folder holds the results.
	Folder string
}

// Execute carries out the plan on the identified cluster. Its error is of the environment; verdicts, red ones too, are in
// the report.
func Execute(ctx context.Context, plan *Plan, client *kube.Client, cluster v1.Cluster, sink Sink) (*Result, error) {
	r := &Runner{plan: plan, cluster: cluster, client: client, sink: sink, children: map[*exec.Cmd]bool{}, inputs: map[io.Writer]bool{}}
	if err := r.openResults(); err != nil {
		return nil, err
	}
	run := v1.Run{ID: r.runID, Version: plan.Options.Version, Args: plan.Options.Args, StartedAt: time.Now(), Client: plan.Jobs[0].Client}
	r.emit(v1.Event{Type: v1.RunStarted, Run: &run, Cluster: &cluster})
	for index := range plan.Jobs {
		job := &plan.Jobs[index]
		job.RunID, job.Results = r.runID, filepath.Join(r.folder, job.Pattern)
		seeded := seed(plan.byName[job.Pattern], *job)
		r.emit(v1.Event{Type: v1.PatternSeeded, PatternName: job.Pattern, Pattern: &seeded})
	}
	stop := r.handleSignals()
	err := r.runJobs(ctx)
	stop()
	run.FinishedAt, run.Interrupted = time.Now(), r.interrupted()
	if err != nil {
		run.Error = err.Error()
	}
	r.emit(v1.Event{Type: v1.RunFinished, Run: &run})
	return r.finish(err)
}

// emit records an event, and stops the run when its options want that after such a one.
func (r *Runner) emit(event v1.Event) {
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	event = redactor.Event(event)
	r.record(event)
	if r.plan != nil && r.plan.Options.FailFast {
		r.failFast(event)
	}
}

// record tells the journal and the sink of an event, and keeps it for the report.
func (r *Runner) record(event v1.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
	if err := r.journal.Append(event); err != nil {
		// The report is still made of what is in memory.
		fmt.Fprintln(os.Stderr, "meshproof: write the journal:", err)
	}
	r.sink.Event(event)
}

// runJobs runs the patterns, as many at once as the options say, and never two at once that share an exclusive resource. A
// pattern that has judged its claims does not count any more: to clean up is to wait. Those that need an exclusive resource, or
// to be alone, come last, so that no other waits for them.
func (r *Runner) runJobs(ctx context.Context) error {
	slots := make(chan struct{}, max(1, r.plan.Options.Jobs))
	shared := newResources()
	var group sync.WaitGroup
	var lock sync.Mutex
	var problems []error
	wanted := func(job Job) int {
		p := r.plan.byName[job.Pattern]
		underLoad := func(alias string) bool {
			claim, _ := p.Claim(alias)
			return claim.Load
		}
		if slices.ContainsFunc(job.Claims, underLoad) {
			return len(p.Exclusive) + 1
		}
		return len(p.Exclusive)
	}
	jobs := slices.Clone(r.plan.Jobs)
	slices.SortStableFunc(jobs, func(a, b Job) int { return cmp.Compare(wanted(a), wanted(b)) })
	for _, job := range jobs {
		slots <- struct{}{}
		taken := shared.take(r.plan.byName[job.Pattern].Exclusive)
		if ctx.Err() != nil {
			taken.give()
			break
		}
		group.Go(func() {
			t := turn{judged: sync.OnceFunc(func() { taken.give(); <-slots }), alone: taken.becomeAlone}
			defer t.judged()
			if err := r.runJob(ctx, job, t); err != nil {
				lock.Lock()
				defer lock.Unlock()
				problems = append(problems, err)
			}
		})
	}
	group.Wait()
	return errors.Join(problems...)
}

// turn is a pattern's among those that run.
type turn struct {
	// judged is called when there is nothing left but to clean up; alone waits until no other pattern installs or judges, and
	// tells whether it came to that.
	judged func()
	alone  func() bool
}

// runJob takes the names of a pattern, runs its child, and gives the names back.
func (r *Runner) runJob(ctx context.Context, job Job, t turn) error {
	p := r.plan.byName[job.Pattern]
	if r.leaveOut(job) {
		return nil
	}
	if r.plan.session != nil { // which holds the names, and removes what is installed
		if finished, err := r.runChild(ctx, job, t); err != nil && !finished {
			r.emit(v1.Event{Type: v1.PatternFinished, PatternName: p.Name, Error: err.Error()})
		}
		return nil
	}
	phase := v1.Phase{Name: "lock", StartedAt: time.Now()}
	r.emit(v1.Event{Type: v1.PhaseStarted, PatternName: p.Name, Phase: &phase})
	release, detail, err := takeNames(ctx, r.client, p, job)
	phase.Seconds, phase.Detail = time.Since(phase.StartedAt).Seconds(), detail
	if err != nil {
		phase.Error = err.Error()
	}
	r.emit(v1.Event{Type: v1.PhaseFinished, PatternName: p.Name, Phase: &phase})
	if err != nil {
		r.emit(v1.Event{Type: v1.PatternFinished, PatternName: p.Name, Error: err.Error()})
		return err
	}
	defer release()
	finished, err := r.runChild(ctx, job, t)
	if err != nil && !finished {
		if r.interrupted() != "" {
			err = errInterrupted // before it could take notice
		}
		left := r.removeFor(ctx, job)
		r.emit(v1.Event{Type: v1.PatternFinished, PatternName: p.Name, Error: err.Error(), Leftovers: left})
	}
	return nil // the pattern's own error is in the report
}

// removeFor removes what a child that died has left, unless everything is to be kept, or was abandoned by a second
// interrupt.
func (r *Runner) removeFor(ctx context.Context, job Job) []string {
	namespaces := r.plan.byName[job.Pattern].Namespaces(job.Values)
	if job.Options.Keep || r.abandoned() {
		return namespaces
	}
	left, err := removeAll(context.WithoutCancel(ctx), r.client, r.plan.byName[job.Pattern], job)
	if err != nil {
		r.emit(v1.Event{Type: v1.Note, PatternName: job.Pattern, Message: "clean up after its process: " + err.Error()})
	}
	return left
}

func (r *Runner) abandoned() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signals > 1
}

// runChild starts the child of a pattern and passes its events on. finished tells whether the child said its last word;
// the error then is only its exit status, which the verdicts explain.
func (r *Runner) runChild(ctx context.Context, job Job, t turn) (finished bool, err error) {
	program, err := os.Executable()
	if err != nil {
		return false, fmt.Errorf("find the running program: %w", err)
	}
	// The child ends by itself when it is told to, and cleans up; so it does not end with the context.
	cmd, err := job.Cluster.Command(context.WithoutCancel(ctx), program, ChildArgument)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(job.Results, 0o755); err != nil {
		return false, fmt.Errorf("make the results folder: %w", err)
	}
	logPath := filepath.Join(job.Results, "ginkgo.log")
	log, err := os.Create(logPath)
	if err != nil {
		return false, err
	}
	defer log.Close()
	events, eventsWriter, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer events.Close()
	input, err := cmd.StdinPipe() // takes orders, and stays open as long as this process lives
	if err != nil {
		return false, errors.Join(err, eventsWriter.Close())
	}
	defer input.Close()
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{eventsWriter}
	cmd.SysProcAttr = ownGroup()
	err = cmd.Start()
	_ = eventsWriter.Close() // the child has its own
	if err != nil {
		return false, fmt.Errorf("start the process of pattern %s: %w", job.Pattern, err)
	}
	r.track(cmd, true)
	defer r.track(cmd, false)
	if err := json.NewEncoder(input).Encode(job); err != nil {
		return false, errors.Join(fmt.Errorf("hand the job to the process of pattern %s: %w", job.Pattern, err), cmd.Wait())
	}
	r.instruct(input, true)
	finished = r.passOn(job.Pattern, events, t, input)
	r.instruct(input, false)
	if err := cmd.Wait(); err != nil {
		return finished, fmt.Errorf("the process of pattern %s ended (%w); its output is in %s", job.Pattern, err, logPath)
	}
	if !finished {
		return false, fmt.Errorf("the process of pattern %s ended without a last word; its output is in %s", job.Pattern, logPath)
	}
	return true, nil
}

// passOn records the events of a child, and gives it what they ask for: to be alone is told to its input.
func (r *Runner) passOn(name string, events io.Reader, t turn, input io.Writer) (finished bool) {
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var event v1.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			r.emit(v1.Event{Type: v1.Note, PatternName: name, Message: "an event of the pattern's process could not be read: " + err.Error()})
			continue
		}
		finished = finished || event.Type == v1.PatternFinished
		r.emit(event)
		if event.Type != v1.PhaseStarted || event.Phase == nil {
			continue
		}
		switch event.Phase.Name {
		case v1.PhaseWait:
			go func() {
				if t.alone() {
					r.tell(input, order{Alone: true})
				}
			}()
		case v1.PhaseCleanUp:
			t.judged()
		}
	}
	return finished
}

func (r *Runner) track(cmd *exec.Cmd, running bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if running {
		r.children[cmd] = true
		if r.signals > 0 { // which came before there was a child to be told
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
		return
	}
	delete(r.children, cmd)
}

func (r *Runner) interrupted() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signal
}

// handleSignals forwards the first interrupt to the children, which clean up; a second one kills them, and says how to
// clean up later.
func (r *Runner) handleSignals() (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		count := 0
		for {
			select {
			case <-done:
				return
			case received := <-signals:
				count++
				r.forward(received, count)
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

func (r *Runner) forward(received os.Signal, count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := received.String()
	r.signals = count
	if r.signal == "" {
		r.signal = name
	}
	for cmd := range r.children {
		if count > 1 {
			_ = cmd.Process.Kill() // it may have ended already
			continue
		}
		_ = cmd.Process.Signal(syscall.SIGINT)
	}
	if count == 1 {
		fmt.Fprintf(os.Stderr, "\nmeshproof: %s: cleaning up (again: stop at once and leave what is installed)\n", name)
		return
	}
	fmt.Fprintf(os.Stderr, "\nmeshproof: clean-up abandoned; remove what is left with: meshproof clean\n")
}

// Select returns the patterns with these names, or all when there are none. An unknown name is an error that tells the
// nearest one.
func Select(patterns []pattern.Pattern, names []string) ([]pattern.Pattern, error) {
	if len(names) == 0 {
		return patterns, nil
	}
	var selected []pattern.Pattern
	seen := map[string]bool{}
	for _, name := range names {
		found := false
		for _, p := range patterns {
			if p.Name == name && !seen[name] {
				selected = append(selected, p)
			}
			found = found || p.Name == name
		}
		if !found {
			return nil, unknownPattern(patterns, name)
		}
		seen[name] = true
	}
	return selected, nil
}
