package evidence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/framework/wait"
)

// proxyContainer is the name of the proxy's container in every pod that has one, native sidecars included.
const proxyContainer = "istio-proxy"

// Observer follows the logs of every pod of some hops, in memory, and knows their proxies.
type Observer struct {
	client *kube.Client
	// life ends with the observing; hops are those that have pods.
	life    context.Context
	hops    []Hop
	sources []*source
	// retired are pods that others have replaced.
	retired []*source
	// gaps and refusalGaps are what Flows has of these names.
	gaps, refusalGaps map[string]Gap
	// before are formats that the proxies have written in before: see Remember.
	before []*accesslog.Format
	// silence is how long an API server that does not answer is waited for, renewal how long changed pods are.
	silence, renewal time.Duration
	// patience scales how long records are waited for.
	patience wait.Scale
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
	o := &Observer{client: client, life: ctx, gaps: map[string]Gap{}, refusalGaps: map[string]Gap{}, silence: SilenceTimeout, renewal: RenewTimeout}
	var group errgroup.Group
	group.SetLimit(8)
	for _, hop := range hops {
		if hop.Absent {
			o.gaps[hop.Name] = podless(hop)
			continue
		}
		o.hops = append(o.hops, hop)
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

// podless is the gap of a hop that has no pod, as the manifests want it.
func podless(hop Hop) Gap {
	return Gap{Why: "the manifests give " + hop.Name + " no pod", Remedy: "give its Deployment a replica", Silent: true}
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
		if err := o.readFormat(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (o *Observer) readFormat(ctx context.Context, s *source) error {
	if s.proxy == nil {
		return nil
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
	return nil
}

// ScaleWaits makes all that the observer waits for so many times as long.
func (o *Observer) ScaleWaits(scale wait.Scale) {
	o.silence, o.renewal, o.patience = scale.Of(SilenceTimeout), scale.Of(RenewTimeout), scale
}

// RecordTimeout is how long a record may need for its way through the API server.
const RecordTimeout = 2 * time.Second

// Patience is how long a record of a probe already sent is waited for: a proxy writes its log as often as it says, and the
// line may miss one turn and needs its way through the API server.
func (o *Observer) Patience() time.Duration {
	slowest := time.Duration(0)
	for _, s := range o.sources {
		slowest = max(slowest, s.flush)
	}
	return o.patience.Of(2*slowest + RecordTimeout)
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

// Gaps say, by hop, why its evidence cannot be complete, as Flows has it.
func (o *Observer) Gaps() map[string]Gap { return o.gapsNow() }

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
// outbound side), one record of its application, or one of its database.
type Witness struct {
	Hop     string
	Inbound bool
	// Record asks for the application's record instead of a line, Accepted for the database's of a connection.
	Record, Accepted bool
}

// line tells whether the witness is an access log.
func (w Witness) line() bool { return !w.Record && !w.Accepted }

// missing tells whether a flow lacks the witness.
func (w Witness) missing(flow Flow) bool {
	switch {
	case w.Record:
		return len(flow.RecordsAt(w.Hop)) == 0
	case w.Accepted:
		return len(flow.AcceptedAt(w.Hop)) == 0
	}
	return len(flow.At(w.Hop, w.Inbound)) == 0
}

// Mark is a position in every log; only what comes after it is looked at.
type Mark map[*kube.Tail]int

// Mark returns the present end of every log.
func (o *Observer) Mark() Mark {
	mark := Mark{}
	for _, tail := range o.tails() {
		mark[tail] = tail.End()
	}
	return mark
}

func (o *Observer) tails() []*kube.Tail {
	var tails []*kube.Tail
	for _, s := range slices.Concat(o.sources, o.retired) {
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
// While the API server does not answer, the time stands still.
func (o *Observer) Collect(ctx context.Context, results []traffic.Result, mark Mark, witnesses []Witness, timeout time.Duration) (Flows, error) {
	gather := newGathering(o, mark, results)
	for {
		flows, whole, err := o.collect(ctx, gather, results, witnesses, timeout)
		if err != nil || whole {
			return flows, err
		}
		asked := time.Now()
		gap := o.ask(ctx)
		if err := ctx.Err(); err != nil {
			return flows, context.Cause(ctx)
		}
		if gap != nil {
			for _, hop := range o.hops {
				flows.Gaps[hop.Name] = *gap
			}
			return flows, nil
		}
		if time.Since(asked) < slowAnswer {
			// What the API server had kept back before has come by now.
			flows, _, err := o.collect(ctx, gather, results, witnesses, 0)
			return flows, err
		}
	}
}

// collect is one turn of Collect; whole is false when the time was up.
func (o *Observer) collect(ctx context.Context, gather *gathering, results []traffic.Result, witnesses []Witness, timeout time.Duration) (flows Flows, whole bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		started := time.Now()
		changed := gather.read()
		seen := gather.requests()
		all := join(results, seen)
		flows := Flows{List: all.flows, Others: all.others, Handshakes: seen.handshakes, Gaps: o.gapsNow(), RefusalGaps: o.refusalGaps}
		if complete(flows.List, possible(witnesses, flows.Gaps)) {
			return flows, true, nil
		}
		if !waitAny(waiting, changed) {
			return flows, false, context.Cause(ctx)
		}
		// Joining is of everything again: under load it would come with each line.
		pause(waiting, time.Since(started))
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

// possible leaves out the witnesses that a gap makes impossible.
func possible(witnesses []Witness, gaps map[string]Gap) []Witness {
	return slices.DeleteFunc(slices.Clone(witnesses), func(w Witness) bool {
		gap, found := gaps[w.Hop]
		return found && (gap.Silent || w.line())
	})
}

// complete tells whether every flow has every witness.
func complete(flows []Flow, witnesses []Witness) bool {
	for _, flow := range flows {
		for _, witness := range witnesses {
			if witness.missing(flow) {
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

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
