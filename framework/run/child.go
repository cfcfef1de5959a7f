package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/pattern"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// EventsFD is the file on which a child writes its events; its standard input carries the Job and stays open as long as
// the parent lives.
const EventsFD = 3

// cleanUpTimeout bounds the clean-up beyond the wait for the namespaces to go.
const cleanUpTimeout = 30 * time.Second

// Child runs one pattern in this process: it reads its Job from in, and writes events to out. It returns false when a spec
// failed or the pattern could not be run.
func Child(patterns []pattern.Pattern, in io.Reader, out io.Writer) bool {
	evidence.LimitMemory()
	c := &child{journal: v1.NewJournal(out, v1.JournalOptions{Redactor: redactor}), alone: make(chan struct{})}
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&c.job); err != nil {
		fmt.Fprintln(os.Stderr, "read the job:", err)
		return false
	}
	go func() {
		c.obey(decoder)
		// The parent has ended: nobody would read the events of this process, and the next run removes what it left.
		os.Exit(v1.ExitEnvironment)
	}()
	index := slices.IndexFunc(patterns, func(p pattern.Pattern) bool { return p.Name == c.job.Pattern })
	if index < 0 {
		fmt.Fprintf(os.Stderr, "there is no pattern %q\n", c.job.Pattern)
		return false
	}
	c.pattern = patterns[index]
	if err := redactor.Add(slices.Concat(c.pattern.Secrets(c.job.Values), c.job.Cluster.Secrets())...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	return c.run()
}

type child struct {
	job     Job
	pattern pattern.Pattern
	journal *v1.Journal
	env     *pattern.Env
	install *installation
	// alone is closed when no other pattern installs or judges.
	alone chan struct{}
	// halting is the wish that no further check begins; decided are the claims, by alias, that have their verdict.
	halting halting
	decided map[string]bool
	// diagnoses are what most likely is behind the verdicts of red claims, by alias.
	diagnoses map[string]*v1.Diagnosis

	mu       sync.Mutex
	problem  string
	leftover []string
}

// failer is what Ginkgo needs of a *testing.T; the verdicts come from the specs' own reports.
type failer struct{}

func (failer) Fail() {}

func (c *child) run() bool {
	gomega.RegisterFailHandler(ginkgo.Fail)
	var life context.Context
	life, end := context.WithCancel(context.Background())
	defer end()
	ginkgo.BeforeSuite(func(ctx ginkgo.SpecContext) { c.setUp(ctx, life) })
	return c.judgeAll()
}

// judgeAll runs the specs of the job's claims, and says the last word.
func (c *child) judgeAll() bool {
	c.register()
	suite, reporter := ginkgo.GinkgoConfiguration()
	var filter []string
	for _, alias := range c.job.Claims {
		filter = append(filter, pattern.LabelOf(alias))
	}
	suite.LabelFilter = "/^(" + strings.Join(filter, "|") + ")$/"
	reporter.NoColor, reporter.Verbose = true, true
	passed := ginkgo.RunSpecs(failer{}, c.pattern.Name, suite, reporter)
	if c.problem == "" {
		c.skipRest()
	}
	c.emit(v1.Event{Type: v1.PatternFinished, Error: c.problem, Leftovers: c.leftover})
	return passed
}

// register makes the environment and registers the pattern's specs, with what goes on around each of them.
func (c *child) register() {
	c.env = &pattern.Env{Pattern: c.pattern, Values: c.job.Values, Hardened: c.job.Options.Hardened, TimeoutScale: c.job.Options.TimeoutScale}
	// At the top level, because Ginkgo heeds the priority of a spec, which is that of its claim, only there.
	c.pattern.Specs(c.env)
	ginkgo.BeforeEach(c.started)
	ginkgo.JustAfterEach(c.diagnose)
	ginkgo.AfterEach(c.env.RequireJudgement)
	ginkgo.ReportAfterEach(c.finished)
}

// emit writes an event. A parent that does not read any more has ended, and so does this process.
func (c *child) emit(event v1.Event) {
	event.Time, event.PatternName = time.Now(), c.pattern.Name
	if err := c.journal.Append(event); err != nil {
		fmt.Fprintln(os.Stderr, "write an event:", err)
	}
}

// errInterrupted is the error of a phase that an interrupt ended: whatever else it then says of the cluster is misleading.
var errInterrupted = errors.New("interrupted")

// phase runs one phase with its events, and returns its error.
func (c *child) phase(ctx context.Context, name string, work func() (detail string, err error)) error {
	phase := v1.Phase{Name: name, StartedAt: time.Now()}
	c.emit(v1.Event{Type: v1.PhaseStarted, Phase: &phase})
	detail, err := work()
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		err = errInterrupted
	}
	phase.Detail, phase.Seconds = detail, time.Since(phase.StartedAt).Seconds()
	switch why := c.halting.reason(); {
	case err != nil && errors.Is(context.Cause(ctx), errHalted):
		phase.Detail = "given up; " + why
	case err != nil:
		phase.Error = err.Error()
	}
	c.emit(v1.Event{Type: v1.PhaseFinished, Phase: &phase})
	return err
}

// setUp installs and settles; its failure is the suite's own, and reddens no innocent claim.
func (c *child) setUp(ctx ginkgo.SpecContext, life context.Context) {
	// The specs are registered by now, and nothing is installed yet.
	if missing := c.env.Unproven(); len(missing) > 0 {
		c.fail(fmt.Errorf("pattern %s has claims without a spec: %s", c.pattern.Name, strings.Join(missing, ", ")))
	}
	config, err := c.job.Cluster.RESTConfig(true)
	if err != nil {
		c.fail(err)
	}
	client, err := kube.New(config)
	if err != nil {
		c.fail(err)
	}
	c.install = &installation{child: c, client: client, life: life}
	if !c.job.Options.Keep && !c.job.Attached {
		limit := c.cleanUpLimit()
		ginkgo.DeferCleanup(c.cleanUp, ginkgo.NodeTimeout(limit), ginkgo.GracePeriod(limit))
	}
	c.begin(ctx, c.install.run)
}

// begin installs, as long as checks may begin after it.
func (c *child) begin(ctx context.Context, install func(context.Context) error) {
	bound, release := c.halting.bound(ctx)
	defer release()
	err := install(bound)
	switch why := c.halting.reason(); {
	case err != nil && why != "":
		c.skipRest()
		ginkgo.Skip(why)
	case err != nil:
		c.fail(err)
	}
}

// fail ends the pattern: none of its claims can be judged.
func (c *child) fail(err error) {
	c.mu.Lock()
	c.problem = err.Error()
	c.mu.Unlock()
	ginkgo.Fail(err.Error())
}

func (c *child) cleanUpLimit() time.Duration {
	return c.job.Options.Timeouts.Gone + c.job.Options.TimeoutScale.Of(cleanUpTimeout)
}

// cleanUp removes what is installed. An interrupt, which asks for just that, does not end it; a second one does, with the
// process.
func (c *child) cleanUp(interruptible ginkgo.SpecContext) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(interruptible), c.cleanUpLimit())
	defer cancel()
	err := c.phase(ctx, v1.PhaseCleanUp, func() (string, error) {
		left, err := c.install.remove(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.leftover = left
		if err != nil {
			return "", err
		}
		namespaces := len(c.pattern.Namespaces(c.job.Values))
		if c.job.Options.Adopt {
			return fmt.Sprintf("all that is meshproof's gone from %d adopted namespaces", namespaces), nil
		}
		return fmt.Sprintf("%d namespaces and all in them gone", namespaces), nil
	})
	if err != nil {
		ginkgo.Fail(err.Error())
	}
}

// claimOf is the claim that the current spec proves.
func (c *child) claimOf(labels []string) (pattern.Claim, bool) {
	return c.pattern.Claim(pattern.AliasOf(labels))
}

func (c *child) started(ctx ginkgo.SpecContext) {
	if claim, found := c.claimOf(ginkgo.CurrentSpecReport().Labels()); found {
		if why := c.job.Skipped[claim.Alias]; why != "" {
			ginkgo.Skip(why)
		}
		if claim.Load {
			c.awaitAlone(ctx)
		}
		if why := c.halting.reason(); why != "" {
			c.skipRest()
			ginkgo.Skip(why)
		}
		started := c.blank(claim)
		started.StartedAt = time.Now()
		c.emit(v1.Event{Type: v1.ClaimStarted, Claim: &started})
		c.env.RequireUnspoilt()
	}
}

// awaitAlone waits, before the first claim under load, until no other pattern of the run installs or judges: what is measured
// from then on would be theirs, too. It has no limit of its own: it ends with the others, each of whose waits has one.
func (c *child) awaitAlone(ctx context.Context) {
	select {
	case <-c.alone:
		return
	default:
	}
	if !c.job.Beside {
		return
	}
	bound, release := c.halting.bound(ctx)
	defer release()
	_ = c.phase(bound, v1.PhaseWait, func() (string, error) { // what ends it otherwise ends the spec, too
		select {
		case <-c.alone:
			return "no other pattern installs or judges", nil
		case <-bound.Done():
			return "", context.Cause(bound)
		}
	})
}

// decide tells the verdict of a claim, after which the others may not be begun any more.
func (c *child) decide(claim v1.Claim) {
	if c.decided == nil {
		c.decided = map[string]bool{}
	}
	c.decided[claim.Alias] = true
	c.emit(v1.Event{Type: v1.ClaimFinished, Claim: &claim})
	if c.job.Options.FailFast && unproven(claim) {
		c.halting.wish(notBegun(claim))
	}
}

// skipRest tells of the claims without a verdict that they were not begun, when none is to begin any more.
func (c *child) skipRest() {
	why := c.halting.reason()
	if why == "" {
		return
	}
	for _, alias := range c.job.Claims {
		if claim, found := c.pattern.Claim(alias); found && !c.decided[claim.Alias] {
			skipped := c.blank(claim)
			skipped.Verdict, skipped.Reason = v1.Skipped, why
			c.decide(skipped)
		}
	}
}

func (c *child) blank(claim pattern.Claim) v1.Claim {
	return v1.Claim{ID: c.pattern.ID(claim), Alias: claim.Alias, Text: claim.Text, Ends: claim.Ends}
}

// finished turns a spec's end into the claim's verdict. A spec that was never reached keeps its claim without one, and the
// report then says why.
func (c *child) finished(report ginkgo.SpecReport) {
	claim, found := c.claimOf(report.Labels())
	if !found || report.State.Is(types.SpecStateSkipped|types.SpecStatePending) {
		return
	}
	verdict := judge(c.blank(claim), report, c.env.Outcome(claim.Alias))
	if verdict.Verdict != v1.Passed {
		verdict.Diagnosis = c.diagnoses[claim.Alias]
		verdict.Look = c.keepDetails(claim, report, verdict)
	}
	verdict.Source = sourceOf(report.LeafNodeLocation.FileName, report.LeafNodeLocation.LineNumber)
	c.decide(verdict)
}

// keepDetails writes what a person needs who looks into a red check, and returns the folder relative to the report.
func (c *child) keepDetails(claim pattern.Claim, report ginkgo.SpecReport, verdict v1.Claim) string {
	folder := filepath.Join(c.job.Results, claim.Alias)
	data, err := json.MarshalIndent(map[string]any{"claim": verdict, "failure": report.Failure.Message, "location": report.Failure.Location.String(), "output": report.CapturedGinkgoWriterOutput}, "", "  ")
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "check.json"), []byte(redactor.String(string(data))), 0o644)
	}
	if err != nil {
		c.emit(v1.Event{Type: v1.Note, Message: "the details of " + claim.Alias + " could not be kept: " + err.Error()})
		return ""
	}
	return filepath.Join(c.pattern.Name, claim.Alias)
}

// redactor removes what looks like a secret, and the secrets of the patterns that this process runs, from all that it writes.
var redactor = &v1.Redactor{}
