package run

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/pattern"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// playFailFast is a pattern's process whose specs and install are these: the second claim of shop fails as soon as bank
// installs and pier judges, neither of which ends before it is told to.
func playFailFast(job Job, orders *json.Decoder) error {
	flag.Parse()
	c := &child{job: job, journal: v1.NewJournal(os.NewFile(EventsFD, "events"), v1.JournalOptions{})}
	go func() {
		c.obey(orders)
		os.Exit(v1.ExitEnvironment)
	}()
	// begun tells the others how far this one is, and await waits for them.
	begun := func() { gomega.Expect(os.WriteFile(job.Results+".begun", nil, 0o600)).To(gomega.Succeed()) }
	await := func(others ...string) {
		for _, other := range others {
			gomega.Eventually(filepath.Join(filepath.Dir(job.Results), other+".begun")).WithTimeout(time.Minute).Should(gomega.BeAnExistingFile())
		}
	}
	c.pattern = example(job.Pattern, strings.ToUpper(job.Pattern[:2]), func(p *pattern.Pattern) {
		p.Specs = func(env *pattern.Env) {
			ginkgo.It("is first", env.Claim(p.Claims[0].Alias), func() {
				if job.Pattern == "pier" {
					begun()
					gomega.Eventually(c.halting.reason).WithTimeout(time.Minute).ShouldNot(gomega.BeEmpty())
					ginkgo.Fail("it is judged to its end")
				}
				await("bank", "pier")
				ginkgo.Fail("it is closed")
			})
			ginkgo.It("is second", env.Claim(p.Claims[1].Alias), func() { ginkgo.Fail("it was begun") })
		}
	})
	gomega.RegisterFailHandler(ginkgo.Fail)
	ginkgo.BeforeSuite(func(ctx ginkgo.SpecContext) {
		ginkgo.DeferCleanup(func(ctx ginkgo.SpecContext) error {
			return c.phase(ctx, v1.PhaseCleanUp, func() (string, error) { return "all gone", nil })
		})
		c.begin(ctx, func(ctx context.Context) error {
			return c.phase(ctx, "install", func() (string, error) {
				if job.Pattern != "bank" {
					return "1 object", nil
				}
				begun()
				<-ctx.Done()
				return "", ctx.Err()
			})
		})
	})
	c.judgeAll()
	return nil
}

// TestFailFastAcrossProcesses: what runs is told, what does not run is not begun, and nothing is left out.
func TestFailFastAcrossProcesses(t *testing.T) {
	t.Parallel()
	client, _ := clusterOf(t)
	cluster := someCluster()
	cluster.Command = func(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, program, args...), nil
	}
	patterns := []pattern.Pattern{example("shop", "SH"), example("bank", "BA"), example("pier", "PI"), example("quay", "QU")}
	plan, err := NewPlan(patterns, cluster, Options{ResultsDir: t.TempDir(), FailFast: true, Jobs: 3})
	if err != nil {
		t.Fatal(err)
	}
	result, err := Execute(t.Context(), plan, client, v1.Cluster{}, deaf{})
	if err != nil {
		t.Fatal(err)
	}
	const skipped = "skipped: not begun, because of --fail-fast: SH1 failed"
	want := map[string]string{
		"SH1": "failed: it is closed", "SH2": skipped, "BA1": skipped, "BA2": skipped,
		"PI1": "failed: it is judged to its end", "PI2": skipped, "QU1": skipped, "QU2": skipped,
	}
	wantPhases := map[string]string{
		"shop": "lock; install 1 object; clean-up all gone", "pier": "lock; install 1 object; clean-up all gone", "quay": "",
		"bank": "lock; install given up; not begun, because of --fail-fast: SH1 failed; clean-up all gone",
	}
	got, gotPhases := map[string]string{}, map[string]string{}
	for _, p := range result.Report.Patterns {
		var phases []string
		for _, phase := range p.Phases {
			phases = append(phases, strings.TrimSpace(phase.Name+" "+phase.Detail+phase.Error))
		}
		gotPhases[p.Name] = strings.Join(phases, "; ")
		for _, claim := range p.Claims {
			got[claim.Alias] = fmt.Sprintf("%s: %s", claim.Verdict, claim.Reason)
		}
		if p.Error != "" {
			t.Errorf("%s ended with the error %s", p.Name, p.Error)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantPhases, gotPhases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	for _, name := range []string{"report.json", "junit.xml", "metrics.prom"} {
		if info, err := os.Stat(filepath.Join(result.Folder, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, error %v", name, info, err)
		}
	}
	if code := v1.ExitCode(result.Report, nil); code != v1.ExitFailed {
		t.Errorf("exit code %d", code)
	}
}

func TestWhatStopsARunThatIsToFailFast(t *testing.T) {
	judged := func(verdict v1.Verdict) v1.Event {
		return v1.Event{Type: v1.ClaimFinished, PatternName: "shop", Claim: &v1.Claim{ID: "shop/is-open", Alias: "SH1", Verdict: verdict}}
	}
	seeded := v1.Event{Type: v1.PatternSeeded, PatternName: "shop", Pattern: &v1.Pattern{Name: "shop", Claims: []v1.Claim{{ID: "shop/is-open", Alias: "SH1"}}}}
	ended := v1.Event{Type: v1.PatternFinished, PatternName: "shop", Error: "install: no quota"}
	const because = "not begun, because of --fail-fast: SH1 "
	for name, test := range map[string]struct {
		late   bool
		events []v1.Event
		want   string
	}{
		"a claim that failed":                  {false, []v1.Event{seeded, judged(v1.Failed)}, because + "failed"},
		"a claim that is inconclusive":         {false, []v1.Event{seeded, judged(v1.Inconclusive)}, because + "is inconclusive"},
		"a claim that passed":                  {false, []v1.Event{seeded, judged(v1.Passed)}, ""},
		"a claim that is skipped":              {false, []v1.Event{seeded, judged(v1.Skipped)}, ""},
		"a pattern that could not be judged":   {false, []v1.Event{seeded, ended}, because + "is inconclusive"},
		"one that died when all was judged":    {false, []v1.Event{seeded, judged(v1.Passed), ended}, ""},
		"one that is over":                     {false, []v1.Event{seeded, judged(v1.Passed), {Type: v1.PatternFinished, PatternName: "shop"}}, ""},
		"nothing, when it is not to fail fast": {true, []v1.Event{seeded, judged(v1.Failed), ended}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Runner{plan: &Plan{Options: Options{FailFast: !test.late}}, journal: v1.NewJournal(io.Discard, v1.JournalOptions{}), sink: deaf{}}
			for _, event := range test.events {
				r.emit(event)
			}
			if r.stopped != test.want {
				t.Errorf("stopped %q, want %q", r.stopped, test.want)
			}
		})
	}
}

// broken is the input of a child that has ended.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestOrdersReachEveryChildOnceAndThoseThatComeLater(t *testing.T) {
	var early, late, gone strings.Builder
	r := &Runner{inputs: map[io.Writer]bool{}}
	r.instruct(&early, true)
	r.instruct(broken{}, true)
	r.instruct(&gone, true)
	r.instruct(&gone, false)
	r.stop("one failed")
	r.stop("another failed")
	r.instruct(&late, true)
	const want = `{"stop":"one failed"}` + "\n"
	if early.String() != want || late.String() != want || gone.String() != "" {
		t.Errorf("told %q, later %q, and what had ended %q", early.String(), late.String(), gone.String())
	}
	c := &child{}
	c.obey(json.NewDecoder(strings.NewReader("{}\n" + early.String() + `{"stop":"another"}` + "\nnonsense\n")))
	if got := c.halting.reason(); got != "one failed" {
		t.Errorf("obeyed %q", got)
	}
}

func TestHaltingBoundsWhatIsUnderWay(t *testing.T) {
	var h halting
	before, release := h.bound(t.Context())
	released, releaseAtOnce := h.bound(t.Context())
	releaseAtOnce()
	if before.Err() != nil || h.reason() != "" {
		t.Fatalf("before the wish: %v, %q", before.Err(), h.reason())
	}
	h.wish("enough")
	after, releaseAfter := h.bound(t.Context())
	defer release()
	defer releaseAfter()
	if !errors.Is(context.Cause(before), errHalted) || !errors.Is(context.Cause(after), errHalted) || errors.Is(context.Cause(released), errHalted) {
		t.Errorf("causes %v, %v, %v", context.Cause(before), context.Cause(after), context.Cause(released))
	}
}
