package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/traffic"
)

// proxyContainer is the name of the proxy's container in every pod that has one, native sidecars included.
const proxyContainer = "istio-proxy"

// Observer follows the logs of every pod of some hops, in memory, and knows their proxies.
type Observer struct {
	client  *kube.Client
	sources []*source
	// gaps and refusalGaps are what Flows has of these names.
	gaps, refusalGaps map[string]Gap
}

// source is one pod of a hop.
type source struct {
	hop    Hop
	pod    corev1.Pod
	proxy  *mesh.Proxy
	access *kube.Tail
	app    *kube.Tail
	logs   accessLogs
	// flush is how often the proxy writes its log.
	flush time.Duration
}

// Observe starts following the pods of the hops as they are now, until ctx ends. A hop without a pod is an error.
func Observe(ctx context.Context, client *kube.Client, hops []Hop, since time.Time) (*Observer, error) {
	o := &Observer{client: client, gaps: map[string]Gap{}, refusalGaps: map[string]Gap{}}
	var group errgroup.Group
	group.SetLimit(8)
	for _, hop := range hops {
		if hop.Absent {
			o.gaps[hop.Name] = Gap{Why: "the manifests give " + hop.Name + " no pod", Remedy: "give its Deployment a replica", Silent: true}
			continue
		}
		pods, err := client.Typed.CoreV1().Pods(hop.Namespace).List(ctx, metav1.ListOptions{LabelSelector: hop.Selector})
		if err != nil {
			return nil, fmt.Errorf("find the pods of %s: %w", hop.Name, err)
		}
		running := slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning })
		if len(running) == 0 {
			return nil, fmt.Errorf("no running pod has the labels %s in namespace %s (hop %s)", hop.Selector, hop.Namespace, hop.Name)
		}
		for _, pod := range running {
			s := &source{hop: hop, pod: pod}
			o.sources = append(o.sources, s)
			group.Go(func() error { return s.open(ctx, client, since) })
		}
	}
	return o, group.Wait()
}

// open starts following the pod, until life ends.
func (s *source) open(life context.Context, client *kube.Client, since time.Time) (err error) {
	if s.hop.Container != "" {
		if s.app, err = client.Follow(life, s.pod.Namespace, s.pod.Name, s.hop.Container, since); err != nil {
			return err
		}
	}
	if !s.hop.Proxy {
		return nil
	}
	s.proxy = mesh.NewProxy(life, client, s.hop.Name, s.pod)
	s.access, err = client.Follow(life, s.pod.Namespace, s.pod.Name, proxyContainer, since)
	return err
}

// ReadFormats reads the access-log format of every proxy from its own configuration, when the proxies hold what was
// applied. A proxy that writes no readable access log is a gap, which the claims that need it will name.
func (o *Observer) ReadFormats(ctx context.Context) error {
	for _, s := range o.sources {
		if s.proxy == nil {
			continue
		}
		_, dump, err := s.proxy.Listeners(ctx)
		if err != nil {
			return err
		}
		sinks, err := accesslog.Discover(dump)
		if err != nil {
			return fmt.Errorf("read the access-log format of proxy %s: %w", s.proxy, err)
		}
		info, err := s.proxy.ServerInfo(ctx)
		if err != nil {
			return err
		}
		s.flush = info.FileFlushInterval
		var gap *Gap
		if s.logs, gap = takeLogs(s.proxy.String(), sinks); gap != nil {
			o.gaps[s.hop.Name] = *gap
		}
		if !logsRefusals(sinks) {
			o.refusalGaps[s.hop.Name] = Gap{
				Why:    fmt.Sprintf("proxy %s writes no line for a connection that no filter chain takes", s.proxy),
				Remedy: "set disableEnvoyListenerLog of the mesh's configuration to false, and have the access log go to /dev/stdout",
			}
		}
	}
	return nil
}

// Patience is how long a record of a probe already sent is waited for: a proxy writes its log as often as it says, and the
// line may miss one turn and needs its way through the API server.
func (o *Observer) Patience() time.Duration {
	const way = 2 * time.Second
	slowest := time.Duration(0)
	for _, s := range o.sources {
		slowest = max(slowest, s.flush)
	}
	return 2*slowest + way
}

// Proxies returns the proxies of all hops, or of the named ones.
func (o *Observer) Proxies(hops ...string) []*mesh.Proxy {
	var proxies []*mesh.Proxy
	for _, s := range o.sources {
		if s.proxy != nil && (len(hops) == 0 || slices.Contains(hops, s.hop.Name)) {
			proxies = append(proxies, s.proxy)
		}
	}
	return proxies
}

// Address returns the addresses of a hop's pods.
func (o *Observer) Addresses(hop string) []string {
	var addresses []string
	for _, s := range o.sources {
		if s.hop.Name == hop {
			addresses = append(addresses, s.pod.Status.PodIP)
		}
	}
	return addresses
}

// Witness is a record that every probe must leave: at least one access-log line of a hop (of its inbound side, or of its
// outbound side), or one record of its application.
type Witness struct {
	Hop     string
	Inbound bool
	// Record asks for the application's record instead of a line.
	Record bool
}

// Mark is a position in every log; only what comes after it is looked at.
type Mark map[*kube.Tail]int

// Mark returns the present end of every log.
func (o *Observer) Mark() Mark {
	mark := Mark{}
	for _, tail := range o.tails() {
		_, mark[tail], _ = tail.Lines(1 << 62)
	}
	return mark
}

func (o *Observer) tails() []*kube.Tail {
	var tails []*kube.Tail
	for _, s := range o.sources {
		if s.access != nil {
			tails = append(tails, s.access)
		}
		if s.app != nil {
			tails = append(tails, s.app)
		}
	}
	return tails
}

// Collect joins what the logs hold about the results since mark. It waits, up to timeout, until every answered probe has
// left all witnesses: proxies write their logs late, after a second today and after ten in older versions. When the time
// is up it returns what there is; the matchers say what is missing. What cannot come, because of a gap, is not waited for.
func (o *Observer) Collect(ctx context.Context, results []traffic.Result, mark Mark, witnesses []Witness, timeout time.Duration) (Flows, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	gather := newGathering(o, mark)
	for {
		changed := gather.read()
		flows := Flows{List: join(results, gather.requests()), Gaps: o.gapsNow(), RefusalGaps: o.refusalGaps}
		if complete(flows.List, possible(witnesses, flows.Gaps)) {
			return flows, nil
		}
		if !waitAny(ctx, changed) {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return flows, nil
			}
			return flows, context.Cause(ctx)
		}
	}
}

// gapsNow adds the logs that have broken off since the start.
func (o *Observer) gapsNow() map[string]Gap {
	gaps := map[string]Gap{}
	for hop, gap := range o.gaps {
		gaps[hop] = gap
	}
	for _, s := range o.sources {
		for _, tail := range []*kube.Tail{s.access, s.app} {
			if tail != nil && tail.Err() != nil {
				gaps[s.hop.Name] = Gap{Why: tail.Err().Error(), Remedy: "run again; if it happens again, see why the pod or its log ends", Silent: true}
			}
		}
	}
	return gaps
}

// gathering reads each log once, from its mark on, however often it is asked.
type gathering struct {
	observer *Observer
	next     Mark
	// written are the lines of each proxy.
	written map[*source][]Line
	gathered
}

// gathered is what the logs hold.
type gathered struct {
	lines       []Line
	records     []Record
	connections []Connection
	accepted    []Accepted
}

func newGathering(o *Observer, mark Mark) *gathering {
	g := &gathering{observer: o, next: Mark{}, written: map[*source][]Line{}}
	for tail, index := range mark {
		g.next[tail] = index
	}
	return g
}

// read takes what is new and returns channels that close when there is more.
func (g *gathering) read() []<-chan struct{} {
	var more []<-chan struct{}
	take := func(tail *kube.Tail, each func(string)) {
		if tail == nil {
			return
		}
		lines, next, changed := tail.Lines(g.next[tail])
		g.next[tail] = next
		more = append(more, changed)
		for _, line := range lines {
			each(line)
		}
	}
	for _, s := range g.observer.sources {
		take(s.access, func(text string) {
			if parsed, ok := s.logs.parse(text); ok {
				g.written[s] = append(g.written[s], Line{Line: parsed, Hop: s.hop.Name, Pod: s.pod.Name, Address: s.pod.Status.PodIP, Raw: text})
			}
		})
		take(s.app, func(text string) {
			if parsed, ok := record.Parse([]byte(text)); ok {
				g.records = append(g.records, Record{Request: parsed, Hop: s.hop.Name, LogPod: s.pod.Name})
			} else if parsed, ok := record.ParseConnection([]byte(text)); ok {
				g.connections = append(g.connections, Connection{Connection: parsed, Hop: s.hop.Name, LogPod: s.pod.Name})
			} else if parsed, ok := parseAccepted(text); ok {
				parsed.Hop, parsed.LogPod = s.hop.Name, s.pod.Name
				g.accepted = append(g.accepted, parsed)
			}
		})
	}
	return more
}

// requests returns what was read so far, with one line for each request or connection of each proxy.
func (g *gathering) requests() gathered {
	seen := g.gathered
	for _, s := range g.observer.sources {
		seen.lines = append(seen.lines, s.logs.once(g.written[s])...)
	}
	return seen
}

// possible leaves out the witnesses that a gap makes impossible.
func possible(witnesses []Witness, gaps map[string]Gap) []Witness {
	return slices.DeleteFunc(slices.Clone(witnesses), func(w Witness) bool {
		gap, found := gaps[w.Hop]
		return found && (gap.Silent || !w.Record)
	})
}

// complete tells whether every flow has every witness.
func complete(flows []Flow, witnesses []Witness) bool {
	for _, flow := range flows {
		for _, witness := range witnesses {
			if witness.Record && len(flow.RecordsAt(witness.Hop)) == 0 {
				return false
			}
			if !witness.Record && len(flow.At(witness.Hop, witness.Inbound)) == 0 {
				return false
			}
		}
	}
	return true
}

// waitAny returns true when one of the channels closes, and false when ctx ends first.
func waitAny(ctx context.Context, channels []<-chan struct{}) bool {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan struct{}, len(channels))
	for _, channel := range channels {
		go func() {
			select {
			case <-channel:
				changed <- struct{}{}
			case <-ctx.Done():
			}
		}()
	}
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}
