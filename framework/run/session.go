package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Session is one pattern that is installed once and judged several times, with changes in between.
type Session struct {
	// Folder holds the results of all its judgings.
	Folder string

	plan       *Plan
	pattern    pattern.Pattern
	client     *kube.Client
	cluster    v1.Cluster
	runID      string
	nextFolder string
	release    func()
	// base is what was installed at first, now what is installed.
	base, now []*unstructured.Unstructured
	proxies   map[string]*mesh.Proxy
	// shows is a URL whose answer is looked at, too, until the next change; agent asks for it.
	shows string
	agent traffic.Client
	// affected says that the last change had an effect.
	affected bool
	life     context.Context
	end      context.CancelFunc
}

// effectTimeout is how long the proxies may take to show a change, and to come to rest after it.
const (
	effectTimeout = 20 * time.Second
	effectPeriod  = 250 * time.Millisecond
)

func (s *Session) effectLimit() time.Duration { return s.plan.Options.TimeoutScale.Of(effectTimeout) }

// OpenSession takes the names of a plan's only pattern, and returns a session that has nothing installed yet.
func OpenSession(ctx context.Context, plan *Plan, client *kube.Client, cluster v1.Cluster) (*Session, error) {
	if len(plan.Jobs) != 1 {
		return nil, fmt.Errorf("a session is of one pattern, not of %d", len(plan.Jobs))
	}
	job := &plan.Jobs[0]
	s := &Session{plan: plan, pattern: plan.byName[job.Pattern], client: client, cluster: cluster, runID: randomRunID(), proxies: map[string]*mesh.Proxy{}}
	s.Folder = filepath.Join(plan.Options.ResultsDir, s.runID)
	if err := os.MkdirAll(s.Folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the results folder: %w", err)
	}
	if err := pointLatest(plan.Options.ResultsDir, s.runID); err != nil {
		return nil, err
	}
	plan.session = s
	job.RunID, job.Options.Keep = s.runID, true
	job.Formats = filepath.Join(s.Folder, "formats.json")
	release, _, err := claimNames(ctx, client, s.runID, s.pattern.Name, s.pattern.Namespaces(job.Values), job.Options.Timeouts)
	if err != nil {
		return nil, err
	}
	s.release = release
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

// Judging is one judging of a session.
type Judging struct {
	// Name is the folder of its results.
	Name string
	// Mutation is the file that Mutate was given; empty for none.
	Mutation string
	// Leave says which claims are not judged this time, by alias, and why.
	Leave map[string]string
	// Diagnose is the claim, by alias, whose likely cause is named also under a mutation; empty for none.
	Diagnose string
}

// Judge judges the pattern's claims, in a process of their own, and writes a report. The first time it installs the pattern; later
// it judges what is installed.
func (s *Session) Judge(ctx context.Context, judging Judging, sink Sink) (v1.Pattern, error) {
	job := &s.plan.Jobs[0]
	skipped := job.Skipped
	defer func() { job.Skipped = skipped }()
	job.Skipped = maps.Clone(skipped)
	if job.Skipped == nil {
		job.Skipped = map[string]string{}
	}
	maps.Copy(job.Skipped, judging.Leave)
	job.Attached, job.Mutation, job.Diagnose = s.base != nil, judging.Mutation, judging.Diagnose
	s.nextFolder = filepath.Join(s.Folder, judging.Name)
	result, err := Execute(ctx, s.plan, s.client, s.cluster, sink)
	if err != nil {
		return v1.Pattern{}, err
	}
	judged := result.Report.Patterns[0]
	if interrupted := result.Report.Run.Interrupted; interrupted != "" {
		return judged, fmt.Errorf("interrupted by %s", interrupted)
	}
	if s.base == nil {
		maps.Copy(job.Values, judged.Parameters)
		job.Mutation = ""
		if s.base, err = Objects(s.pattern, *job); err != nil {
			return judged, err
		}
		s.now = s.base
	}
	return judged, nil
}

// Mutate changes what is installed by a file of patches, and returns when the proxies have come to rest again. effect says
// what changed on which proxy; it is empty when none shows anything. shows, when it is not empty, is a URL whose answer
// counts as a proxy's: for what changes a router that cannot be asked for its configuration.
func (s *Session) Mutate(ctx context.Context, file, shows string) (effect string, err error) {
	s.affected = false
	job := s.plan.Jobs[0]
	if s.shows, err = mesh.Substitute("the URL that shows the effect", shows, job.Values); err != nil {
		return "", err
	}
	job.Mutation = file
	target, err := Objects(s.pattern, job)
	if err != nil {
		return "", err
	}
	effect, err = s.bring(ctx, target)
	s.affected = effect != ""
	return effect, err
}

// Restore brings back what was installed at first. Where a change had an effect, taking it back must have one too.
func (s *Session) Restore(ctx context.Context) error {
	if len(mesh.Difference(s.now, s.base)) == 0 && len(s.now) == len(s.base) {
		return nil
	}
	effect, err := s.bring(ctx, s.base)
	if err == nil && effect == "" && s.affected {
		err = fmt.Errorf("no proxy shows within %s that the change was taken back", s.effectLimit())
	}
	return err
}

func (s *Session) bring(ctx context.Context, target []*unstructured.Unstructured) (effect string, err error) {
	before, err := s.fingerprints(ctx)
	if err != nil {
		return "", err
	}
	// Even what is applied in part has to be taken back.
	from := s.now
	s.now = mesh.Between(from, target)
	if err := mesh.Change(ctx, s.client, from, target, s.plan.Jobs[0].Options.Timeouts.Ready); err != nil {
		return "", fmt.Errorf("change what is installed: %w", err)
	}
	s.now = target
	return s.awaitEffect(ctx, before)
}

// awaitEffect waits until the proxies differ from before and have come to rest.
func (s *Session) awaitEffect(ctx context.Context, before mesh.Fingerprints) (effect string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.effectLimit())
	defer cancel()
	ticker := time.NewTicker(effectPeriod)
	defer ticker.Stop()
	last := before
	var unread error // why the latest look failed
	for {
		// A proxy that is starting or leaving cannot be asked; the next look tells.
		now, problem := s.fingerprints(ctx)
		if problem == nil {
			effect = before.Difference(now)
			if effect != "" && last.Difference(now) == "" {
				return effect, nil
			}
			last, unread = now, nil
		} else if ctx.Err() == nil {
			unread = problem
		}
		select {
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return "", context.Cause(ctx)
			}
			if effect == "" && unread != nil {
				return "", fmt.Errorf("the proxies could not be asked within %s: %w", s.effectLimit(), unread)
			}
			return effect, nil
		case <-ticker.C:
		}
	}
}

// fingerprints are those of all proxies of the pattern's hops as they are now.
func (s *Session) fingerprints(ctx context.Context) (mesh.Fingerprints, error) {
	result := mesh.Fingerprints{}
	for _, hop := range s.pattern.Hops {
		if hop.Kind == pattern.Plain {
			continue
		}
		namespace := s.plan.Jobs[0].Values[hop.Namespace]
		pods, err := s.client.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: hop.Selector, FieldSelector: "status.phase=Running"})
		if err != nil {
			return nil, fmt.Errorf("find the pods of %s: %w", hop.Name, err)
		}
		for _, pod := range pods.Items {
			if pod.DeletionTimestamp != nil {
				continue
			}
			proxy := s.proxies[string(pod.UID)]
			if proxy == nil {
				proxy = mesh.NewProxy(s.life, s.client, hop.Name, pod)
				s.proxies[string(pod.UID)] = proxy
			}
			if result[proxy.String()], err = mesh.TakeFingerprint(ctx, proxy); err != nil {
				return nil, err
			}
		}
	}
	if s.shows == "" {
		return result, nil
	}
	answer, err := s.answer(ctx)
	result["the answer to "+s.shows] = mesh.Fingerprint{"status": answer}
	return result, err
}

// answer asks for the URL that shows an effect, from the pattern's first agent.
func (s *Session) answer(ctx context.Context) (string, error) {
	if s.agent == nil {
		if len(s.pattern.Agents) == 0 {
			return "", fmt.Errorf("pattern %s has no agent that could ask for %s", s.pattern.Name, s.shows)
		}
		var err error
		if s.agent, err = agentClient(ctx, s.life, s.client, s.pattern.Agents[0], s.plan.Jobs[0].Values); err != nil {
			return "", err
		}
	}
	result, err := s.agent.Do(ctx, traffic.NewProbes(traffic.Request{URL: s.shows}, "effect", 1)[0])
	return fmt.Sprintf("%d %s", result.Status, result.Header.Get("Location")), err
}

// Close removes what is installed, and gives the names back.
func (s *Session) Close(ctx context.Context) error {
	defer s.release()
	s.end()
	job := s.plan.Jobs[0]
	left, err := mesh.Remove(context.WithoutCancel(ctx), s.client, s.pattern.Namespaces(job.Values), job.Options.Timeouts.Gone)
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("left behind: %s", strings.Join(left, ", ")))
	}
	return err
}
