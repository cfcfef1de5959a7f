package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Steady returns an error that names the pods that are not as they were when they began to be observed: gone, leaving,
// restarted, or new. What probes met meanwhile then says nothing about the mesh.
func (o *Observer) Steady(ctx context.Context) error {
	pods, err := o.pods(ctx)
	if err != nil {
		return err
	}
	var changes []error
	for _, hop := range o.hops {
		if change := o.change(hop, pods[hop.Name]); change != "" {
			changes = append(changes, fmt.Errorf("the pods of %s changed: %s", hop.Name, change))
		}
	}
	return errors.Join(changes...)
}

// pods are those that the hops have now.
func (o *Observer) pods(ctx context.Context) (map[string][]corev1.Pod, error) {
	namespaces := map[string][]corev1.Pod{}
	found := map[string][]corev1.Pod{}
	for _, hop := range o.hops {
		all, listed := namespaces[hop.Namespace]
		if !listed {
			list, err := o.client.Typed.CoreV1().Pods(hop.Namespace).List(ctx, metav1.ListOptions{})
			if err != nil {
				return nil, fmt.Errorf("ask the API server for the pods of namespace %s: %w", hop.Namespace, err)
			}
			all = list.Items
			namespaces[hop.Namespace] = all
		}
		selector, err := labels.Parse(hop.Selector)
		if err != nil {
			return nil, fmt.Errorf("the selector of %s: %w", hop.Name, err)
		}
		for _, pod := range all {
			if selector.Matches(labels.Set(pod.Labels)) {
				found[hop.Name] = append(found[hop.Name], pod)
			}
		}
	}
	return found, nil
}

// change says how the pods of a hop differ from those that are observed; empty when they do not.
func (o *Observer) change(hop Hop, pods []corev1.Pod) string {
	var told []string
	for _, s := range o.sources {
		if s.hop.Name != hop.Name {
			continue
		}
		index := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.UID == s.pod.UID })
		switch {
		case index < 0:
			told = append(told, "pod "+s.pod.Name+" is gone")
		case pods[index].DeletionTimestamp != nil:
			told = append(told, "pod "+s.pod.Name+" is being deleted")
		case restarts(pods[index]) != restarts(s.pod):
			told = append(told, "pod "+s.pod.Name+" was restarted")
		}
	}
	for _, pod := range pods {
		known := slices.ContainsFunc(o.sources, func(s *source) bool { return s.pod.UID == pod.UID })
		if !known && pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning {
			told = append(told, "pod "+pod.Name+" is new")
		}
	}
	return strings.Join(told, ", ")
}

func restarts(pod corev1.Pod) int32 {
	sum := int32(0)
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		sum += status.RestartCount
	}
	return sum
}

const (
	// RenewTimeout is how long changed pods may take until they are all ready and those before them have gone.
	RenewTimeout = 60 * time.Second
	renewPeriod  = 250 * time.Millisecond
)

// Renew observes the pods that the hops have now, where they have changed, as soon as all of them are ready. Of the hops that
// are absent no pod is waited for.
func (o *Observer) Renew(ctx context.Context, absent ...string) error {
	if err := o.Steady(ctx); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.renewal, fmt.Errorf("timed out after %s", o.renewal))
	defer cancel()
	ticker := time.NewTicker(renewPeriod)
	defer ticker.Stop()
	for {
		pods, err := o.pods(ctx)
		waiting := ""
		if err == nil {
			waiting = o.unready(pods, absent)
		}
		if err == nil && waiting == "" {
			return o.replace(ctx, pods)
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for changed pods to be ready (%w): %s", context.Cause(ctx), waiting), err)
		case <-ticker.C:
		}
	}
}

// unready names what is not ready yet of the pods of hops that have changed.
func (o *Observer) unready(pods map[string][]corev1.Pod, absent []string) string {
	var told []string
	for _, hop := range o.hops {
		if o.change(hop, pods[hop.Name]) == "" {
			continue
		}
		if len(pods[hop.Name]) == 0 && !slices.Contains(absent, hop.Name) {
			told = append(told, hop.Name+" has no pod")
		}
		for _, pod := range pods[hop.Name] {
			if pod.DeletionTimestamp != nil || !ready(pod) {
				told = append(told, "pod "+pod.Name+" is not ready, or is leaving")
			}
		}
	}
	return strings.Join(told, ", ")
}

func ready(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// same tells whether a pod is still the one that is observed here: another log of it would tell everything twice.
func (s *source) same(hop Hop, pods []corev1.Pod) bool {
	return s.hop.Name == hop.Name && slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.UID == s.pod.UID && restarts(p) == restarts(s.pod) })
}

// replace observes the pods of changed hops instead of those before. A pod that stays is observed as before.
func (o *Observer) replace(ctx context.Context, pods map[string][]corev1.Pod) error {
	for _, hop := range o.hops {
		if o.change(hop, pods[hop.Name]) == "" {
			continue
		}
		o.sources = slices.DeleteFunc(o.sources, func(s *source) bool {
			// What it has written stays evidence of the probes before; its log ends by itself, with the pod.
			gone := s.hop.Name == hop.Name && !s.same(hop, pods[hop.Name])
			if gone {
				o.retired = append(o.retired, s)
			}
			return gone
		})
		delete(o.gaps, hop.Name)
		delete(o.refusalGaps, hop.Name)
		if len(pods[hop.Name]) == 0 {
			o.gaps[hop.Name] = podless(hop)
		}
		for _, s := range o.sources { // whose gaps were forgotten with those of the pods that went
			if s.hop.Name == hop.Name {
				if err := o.readFormat(ctx, s); err != nil {
					return err
				}
			}
		}
		for _, pod := range pods[hop.Name] {
			if slices.ContainsFunc(o.sources, func(s *source) bool { return s.same(hop, []corev1.Pod{pod}) }) {
				continue
			}
			s := &source{hop: hop, pod: pod}
			if err := s.open(o.life, o.client, time.Now()); err != nil {
				return err
			}
			o.sources = append(o.sources, s)
			if err := o.readFormat(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}
