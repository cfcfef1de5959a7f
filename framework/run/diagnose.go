package run

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/diagnose"
	"github.com/meshproof/meshproof/framework/diagnose/rules"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/envoy"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/proxyconfig"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// diagnosisTimeout bounds what is collected about one check.
const diagnosisTimeout = 15 * time.Second

// diagnosisFolder is the one in a check's folder.
const diagnosisFolder = "diagnosis"

// begin reads the statistics that a diagnosis compares with. What cannot be read is missing there, which is told then.
func (i *installation) begin(ctx context.Context, proxies []*mesh.Proxy) {
	i.before, _ = diagnose.Statistics(ctx, proxies)
}

// diagnose collects what a red check leaves, and names what most likely is behind it, before what it changed is taken back. It
// changes no verdict. A mutant's checks are red on purpose, many of them, and nobody looks into each: of the one that is asked for, the
// cause is named, and nothing is collected.
func (c *child) diagnose(ctx ginkgo.SpecContext) {
	report := ginkgo.CurrentSpecReport()
	claim, found := c.claimOf(report.Labels())
	if !found || c.env.Observer == nil || ctx.Err() != nil || c.job.Mutation != "" && c.job.Diagnose != claim.Alias {
		return
	}
	outcome := c.env.Outcome(claim.Alias)
	verdict := judge(c.blank(claim), report, outcome).Verdict
	if verdict != v1.Failed && verdict != v1.Inconclusive || len(outcome.Judgements) == 0 && !report.Failed() {
		return // a check without a judgement is told as such, and has nothing to look into
	}
	limited, cancel := context.WithTimeout(ctx, c.job.Options.TimeoutScale.Of(diagnosisTimeout))
	defer cancel()
	live := c.install.live()
	c.name(limited, claim, c.install.facts(verdict, outcome, live))
	if c.job.Mutation != "" {
		return
	}
	if err := diagnose.Collect(limited, filepath.Join(c.job.Results, claim.Alias, diagnosisFolder), c.install.scene(report.StartTime, outcome, live)); err != nil {
		c.note("the diagnosis of "+claim.Alias+" is not whole", err)
	}
	if err := c.install.reproduce(limited, claim, outcome); err != nil {
		c.note("there is no reproducer of "+claim.Alias, err)
	}
}

// name names the likely cause of a verdict.
func (c *child) name(ctx context.Context, claim pattern.Claim, facts *rules.Scene) {
	started := time.Now()
	diagnosis, err := rules.Likely(ctx, rules.BuiltIn(), facts)
	if err != nil {
		c.note("what is likely behind "+claim.Alias+" is not surely known", err)
	}
	if c.diagnoses == nil {
		c.diagnoses = map[string]*v1.Diagnosis{}
	}
	c.diagnoses[claim.Alias] = &diagnosis
	ginkgo.GinkgoWriter.Printf("the likely cause was looked for in %s\n", time.Since(started).Round(time.Millisecond))
}

// note tells what a person who looks into a check should know of its diagnosis.
func (c *child) note(what string, err error) {
	c.emit(v1.Event{Type: v1.Note, Message: what + ": " + strings.ReplaceAll(err.Error(), "\n", "; ")})
}

// scene is where a check ends that began then.
func (i *installation) scene(began time.Time, outcome pattern.Outcome, live lister) diagnose.Scene {
	c := i.child
	used := i.used(outcome)
	return diagnose.Scene{
		Client: i.client, Hops: i.ruleHops(), Used: used, Proxies: c.env.Observer.Proxies(used...), Pattern: i.recorded(new(proxyconfig.Names)), Before: i.before,
		Objects: i.objects, Namespaces: c.pattern.Namespaces(c.job.Values), Live: live, Flows: lookedAt(outcome), Since: began, Redactor: redactor,
	}
}

// facts are what can be found out about a check that has come to this.
func (i *installation) facts(verdict v1.Verdict, outcome pattern.Outcome, live lister) *rules.Scene {
	observer := i.child.env.Observer
	decisive, _ := decisiveJudgement(outcome.Judgements)
	return &rules.Scene{
		Verdict: verdict, Judgement: decisive, Flows: lookedAt(outcome), Hops: i.ruleHops(), Used: i.used(outcome), Gaps: observer.Gaps(), Objects: live, Now: time.Now(),
		Dump: func(ctx context.Context, hop, resource string) ([]byte, error) {
			for _, proxy := range observer.Proxies(hop) {
				return proxy.Dump(ctx, resource)
			}
			return nil, nil
		},
		Statistics: func(ctx context.Context, hop string) (envoy.Stats, error) {
			for _, proxy := range observer.Proxies(hop) {
				return proxy.Stats(ctx)
			}
			return envoy.Stats{}, nil
		},
		Log: i.log(ginkgo.CurrentSpecReport().StartTime),
	}
}

// lookedAt are those that a diagnosis is about: those that decided, or else a sample.
func lookedAt(outcome pattern.Outcome) []evidence.Flow {
	decisive, found := decisiveJudgement(outcome.Judgements)
	if found && len(decisive.Contrary) > 0 {
		return decisive.Contrary[:min(len(decisive.Contrary), mostEvidence)]
	}
	if outcome.Sample != nil {
		return []evidence.Flow{*outcome.Sample}
	}
	return nil
}

// used are the names of the hops that a check used.
func (i *installation) used(outcome pattern.Outcome) []string {
	return diagnose.UsedHops(i.ruleHops(), outcome.Hops, outcome.Judgements, lookedAt(outcome))
}

// lister returns the objects of the run's namespaces.
type lister = func(context.Context) ([]*unstructured.Unstructured, error)

// live lists them once, however often it is asked.
func (i *installation) live() lister {
	var once sync.Once
	var objects []*unstructured.Unstructured
	var err error
	return func(ctx context.Context) ([]*unstructured.Unstructured, error) {
		once.Do(func() {
			objects, err = diagnose.Live(ctx, i.client, i.child.pattern.Namespaces(i.child.job.Values))
		})
		return objects, err
	}
}

// log reads what the application of a hop has written since then.
func (i *installation) log(since time.Time) func(context.Context, string) (string, error) {
	return func(ctx context.Context, name string) (string, error) {
		hop, found := i.child.pattern.Hop(name)
		if !found || hop.Container == "" {
			return "", nil
		}
		pods := i.client.Typed.CoreV1().Pods(i.child.job.Values[hop.Namespace])
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: hop.Selector})
		if err != nil {
			return "", err
		}
		var text strings.Builder
		from := metav1.NewTime(since)
		for _, pod := range list.Items {
			log, err := pods.GetLogs(pod.Name, &corev1.PodLogOptions{Container: hop.Container, SinceTime: &from, LimitBytes: new(int64(1 << 20))}).DoRaw(ctx)
			if err != nil {
				return "", err
			}
			text.Write(log)
		}
		return text.String(), nil
	}
}

// ruleHops are the pattern's hops, as rules know them.
func (i *installation) ruleHops() []rules.Hop {
	var hops []rules.Hop
	for _, hop := range i.child.pattern.Hops {
		hops = append(hops, rules.Hop{
			Name: hop.Name, Namespace: i.child.job.Values[hop.Namespace], Selector: hop.Selector, Container: hop.Container,
			Gateway: hop.Kind == pattern.Gateway, Proxy: slices.Contains([]pattern.Kind{pattern.Sidecar, pattern.Gateway}, hop.Kind),
		})
	}
	return hops
}
