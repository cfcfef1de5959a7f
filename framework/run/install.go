package run

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/envoy"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	"github.com/meshproof/meshproof/framework/traffic"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// installation takes a pattern from nothing to settled, and away again.
type installation struct {
	child  *child
	client *kube.Client
	// life ends with the suite: what the specs use must outlive the node that makes it.
	life    context.Context
	objects []*unstructured.Unstructured
	// before are the statistics of the proxies when they had settled.
	before map[*mesh.Proxy]envoy.Stats
}

func (i *installation) run(ctx context.Context) error {
	c := i.child
	started, applied := time.Now(), time.Time{}
	if c.job.Attached {
		return i.attach(ctx, started)
	}
	err := c.phase(ctx, "install", func() (string, error) {
		if err := i.apply(ctx); err != nil {
			return "", err
		}
		applied = time.Now()
		pods, err := mesh.AwaitReady(ctx, i.client, i.objects, c.job.Options.Timeouts.Ready)
		c.env.Installed = time.Now()
		variant := ""
		if c.job.Options.Hardened {
			variant = " of the hardened variant"
		}
		return fmt.Sprintf("%d objects%s, %d pods", len(i.objects), variant, pods), err
	})
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if c.job.Options.AfterInstall != "" {
		if err := c.phase(ctx, "after-install", func() (string, error) { return c.job.Options.AfterInstall, i.afterInstall(ctx) }); err != nil {
			return fmt.Errorf("after-install: %w", err)
		}
	}
	err = c.phase(ctx, "settle", func() (string, error) { return i.settle(ctx, started, applied) })
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return i.prepare(ctx)
}

// prepare has the pattern do what its specs need beyond the objects. A mutant may be what keeps it from that: then the checks
// tell.
func (i *installation) prepare(ctx context.Context) error {
	c := i.child
	if c.pattern.Prepare == nil {
		return nil
	}
	err := c.phase(ctx, "prepare", func() (string, error) { return "", c.pattern.Prepare(ctx, c.env) })
	if err != nil && c.job.Mutation != "" && ctx.Err() == nil {
		c.emit(v1.Event{Type: v1.Note, Message: "the mutant cannot be prepared: " + err.Error()})
		return nil
	}
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return nil
}

// attach takes what is installed already.
func (i *installation) attach(ctx context.Context, started time.Time) (err error) {
	c := i.child
	if i.objects, err = Objects(c.pattern, c.job); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	if c.job.Values, err = c.pattern.Computed(c.job.Values, c.job.Options.Set); err != nil {
		return err
	}
	c.env.Values, c.env.Installed = c.job.Values, started
	if err := c.phase(ctx, "settle", func() (string, error) { return i.settle(ctx, started, started) }); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return i.prepare(ctx)
}

// mutantSettle is how long a mutant's proxies may take to hold what it asks for. Whether they can is the mutant's affair;
// that they show its effect was seen before. The same goes for the controls of its checks.
const (
	mutantSettle  = 5 * time.Second
	mutantControl = 2 * time.Second
)

// apply puts the objects on the cluster: first those whose parameters are known, and then, with what the cluster has told
// meanwhile, the rest.
func (i *installation) apply(ctx context.Context) error {
	c := i.child
	stages, err := firstStage(c.pattern, c.job)
	if err != nil {
		return fmt.Errorf("render: %w", err)
	}
	if err := mesh.Install(ctx, i.client, stages.first); err != nil {
		return err
	}
	for _, parameter := range c.pattern.Parameters {
		source, observed := stages.observed[parameter.Name]
		if !observed {
			continue
		}
		value, err := observe(ctx, i.client, source, parameter.Observed.Paths, "a value", c.job.Options.Timeouts.Address, func(string) bool { return true })
		if err != nil {
			return fmt.Errorf("find out %s (%s): %w", parameter.Name, parameter.Description, err)
		}
		if parameter.Observed.Address {
			if value, err = resolve(ctx, value, parameter.Observed.All, c.job.Options.Timeouts.Address); err != nil {
				return fmt.Errorf("find out %s (%s): %w", parameter.Name, parameter.Description, err)
			}
		}
		c.job.Values[parameter.Name] = value
	}
	if i.objects, err = Objects(c.pattern, c.job); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	if c.job.Values, err = c.pattern.Computed(c.job.Values, c.job.Options.Set); err != nil {
		return err
	}
	c.env.Values = c.job.Values
	rest := mesh.Difference(stages.first, i.objects)
	if len(rest) == 0 {
		return nil
	}
	c.emit(v1.Event{Type: v1.ParametersKnown, Pattern: &v1.Pattern{Name: c.pattern.Name, Parameters: c.pattern.Shown(c.job.Values)}})
	return mesh.Install(ctx, i.client, rest)
}

// settle waits for the proxies, and makes what the specs work with.
func (i *installation) settle(ctx context.Context, since, applied time.Time) (string, error) {
	c := i.child
	observer, err := evidence.Observe(i.life, i.client, i.hops(), since)
	if err != nil {
		return "", err
	}
	expectations := mesh.Expectations(i.objects, i.workloads(i.objects))
	proxies := observer.Proxies()
	timeout := c.job.Options.Timeouts.Settle
	if c.job.Mutation != "" {
		timeout, c.env.ControlTimeout = c.job.Options.TimeoutScale.Of(mutantSettle), mutantControl
	}
	err = mesh.Settle(ctx, proxies, expectations, applied, timeout, func(proxy *mesh.Proxy, count int, after time.Duration) {
		convergence := v1.Convergence{Proxy: proxy.String(), Expects: fmt.Sprintf("%d expectations", count), Seconds: after.Seconds()}
		c.emit(v1.Event{Type: v1.Converged, Convergence: &convergence})
	})
	if err != nil && c.job.Mutation != "" && ctx.Err() == nil {
		c.emit(v1.Event{Type: v1.Note, Message: "the mutant does not settle: " + err.Error()})
		err = nil
	}
	if err != nil {
		return "", err
	}
	if err := observer.ReadFormats(ctx); err != nil {
		return "", err
	}
	if c.job.Formats != "" {
		if err := observer.Remember(c.job.Formats); err != nil {
			return "", err
		}
	}
	observer.ScaleWaits(c.job.Options.TimeoutScale)
	c.env.Observer = observer
	c.env.Configuration = &configuration{install: i, now: i.objects}
	c.env.Unmet, c.env.Vantage = c.job.Unmet, i.agent
	if c.env.RouterCA, err = provider.RouterCA(ctx, i.client); err != nil {
		return "", err
	}
	if c.env.Client, err = i.vantagePoint(ctx); err != nil {
		return "", err
	}
	if err := i.meet(ctx, proxies); err != nil {
		return "", err
	}
	i.record(ctx, proxies)
	i.begin(ctx, proxies)
	return fmt.Sprintf("%d of %d proxies hold the configuration", len(proxies), len(proxies)), nil
}

// meet asks one proxy for its version and for the trust domain of its own certificate.
func (i *installation) meet(ctx context.Context, proxies []*mesh.Proxy) error {
	if len(proxies) == 0 {
		return nil
	}
	info, err := proxies[0].ServerInfo(ctx)
	if err != nil {
		return err
	}
	cluster := v1.Cluster{Mesh: v1.Mesh{Proxy: "Envoy " + info.Release()}}
	i.child.emit(v1.Event{Type: v1.ClusterIdentified, Cluster: &cluster})
	i.child.env.TrustDomain, err = proxies[0].TrustDomain(ctx)
	return err
}

func (i *installation) hops() []evidence.Hop {
	c := i.child
	var hops []evidence.Hop
	podless := i.podless(i.objects) // a selector that cannot be parsed is left to Observe, which refuses it
	for _, hop := range c.pattern.Hops {
		namespace := c.job.Values[hop.Namespace]
		hops = append(hops, evidence.Hop{
			Name: hop.Name, Namespace: namespace, Selector: hop.Selector,
			Proxy: hop.Kind != pattern.Plain, Container: hop.Container,
			Absent: slices.Contains(podless, hop.Name),
		})
	}
	return hops
}

// podless are the hops to which the objects give no pod.
func (i *installation) podless(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, hop := range i.child.pattern.Hops {
		selector, err := labels.Parse(hop.Selector)
		if err == nil && !mesh.HasPods(objects, i.child.job.Values[hop.Namespace], selector) {
			names = append(names, hop.Name)
		}
	}
	return names
}

// workloads are the hops with the labels of their pods, as the objects have them.
func (i *installation) workloads(objects []*unstructured.Unstructured) []mesh.Workload {
	var workloads []mesh.Workload
	for _, hop := range i.child.pattern.Hops {
		if hop.Kind == pattern.Plain {
			continue
		}
		namespace := i.child.job.Values[hop.Namespace]
		workload := mesh.Workload{Hop: hop.Name, Namespace: namespace, Gateway: hop.Kind == pattern.Gateway}
		selector, err := labels.Parse(hop.Selector)
		if err != nil {
			continue // Observe has refused it
		}
		for _, object := range objects {
			podLabels, _, _ := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
			if object.GetNamespace() == namespace && len(podLabels) > 0 && selector.Matches(labels.Set(podLabels)) {
				workload.Labels = podLabels
			}
		}
		workloads = append(workloads, workload)
	}
	return workloads
}

// vantagePoint is where probes start.
func (i *installation) vantagePoint(ctx context.Context) (traffic.Client, error) {
	c := i.child
	if c.job.Client == "runner" {
		return traffic.Patient(traffic.Runner{}, c.job.Options.TimeoutScale), nil
	}
	if len(c.pattern.Agents) == 0 {
		return nil, fmt.Errorf("pattern %s has no agent to send from: choose the runner with --client", c.pattern.Name)
	}
	return i.agent(ctx, c.pattern.Agents[0].Name)
}

// agent is the vantage point in one of the pattern's agents.
func (i *installation) agent(ctx context.Context, name string) (traffic.Client, error) {
	c := i.child
	agent, found := c.pattern.Agent(name)
	if !found {
		return nil, fmt.Errorf("pattern %s has no agent %q", c.pattern.Name, name)
	}
	client, err := agentClient(ctx, i.life, i.client, agent, c.job.Values)
	if err != nil {
		return nil, err
	}
	return traffic.Patient(client, c.job.Options.TimeoutScale), nil
}

// agentClient reaches an agent by a forwarded port, until life ends.
func agentClient(ctx, life context.Context, client *kube.Client, agent pattern.Agent, values pattern.Values) (traffic.Client, error) {
	namespace := values[agent.Namespace]
	pods, err := client.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: agent.Selector, FieldSelector: "status.phase=Running"})
	if err != nil {
		return nil, fmt.Errorf("find the vantage point %s: %w", agent.Name, err)
	}
	if len(pods.Items) == 0 {
		return nil, fmt.Errorf("no running pod has the labels %s in namespace %s, where probes should start", agent.Selector, namespace)
	}
	address, err := client.Forward(life, namespace, pods.Items[0].Name, traffic.AgentPort)
	if err != nil {
		return nil, err
	}
	return traffic.NewPod("pod "+namespace+"/"+pods.Items[0].Name, address), nil
}

// afterInstall runs the user's command, with what it needs to find the run.
func (i *installation) afterInstall(ctx context.Context) error {
	c := i.child
	cmd := exec.CommandContext(ctx, "sh", "-c", c.job.Options.AfterInstall)
	cmd.Env = append(os.Environ(), "MESHPROOF_RUN="+c.job.RunID)
	if path := c.job.Cluster.ChildKubeconfig; path != "" { // or kubectl would find the cluster around it no more
		cmd.Env = append(cmd.Env, "KUBECONFIG="+path)
	}
	for name, value := range c.job.Values {
		cmd.Env = append(cmd.Env, "MESHPROOF_"+strings.ToUpper(name)+"="+value)
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w; its output: %s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

// remove deletes what the run has made, and returns what could not be removed.
func (i *installation) remove(ctx context.Context) ([]string, error) {
	return removeAll(ctx, i.client, i.child.pattern, i.child.job)
}
