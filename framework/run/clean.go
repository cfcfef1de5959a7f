package run

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
)

// Clean removes every namespace that runs have left on the cluster, except those that a living run holds, which are
// returned as held. runID restricts it to one run.
func Clean(ctx context.Context, client *kube.Client, runID string, timeout time.Duration) (removed, held []string, err error) {
	selector := mesh.ManagedByLabel + "=" + kube.FieldManager + "," + mesh.RunLabel
	if runID != "" {
		selector += "=" + runID
	}
	namespaces, err := client.Typed.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, nil, fmt.Errorf("look for what runs have left: %w", err)
	}
	living := map[string]bool{}
	for _, namespace := range namespaces.Items {
		if _, isHeld, err := heldBy(ctx, client, namespace.Name); err != nil {
			return nil, nil, err
		} else if isHeld {
			living[namespace.Labels[mesh.RunLabel]] = true
		}
	}
	for _, namespace := range namespaces.Items {
		// Only one of a run's namespaces has the Lease; it protects all of them.
		if living[namespace.Labels[mesh.RunLabel]] {
			held = append(held, namespace.Name)
		} else {
			removed = append(removed, namespace.Name)
		}
	}
	if _, err := mesh.Remove(ctx, client, removed, timeout); err != nil {
		return nil, held, err
	}
	return removed, held, nil
}

// CleanTimeout is how long namespaces may take to go.
func CleanTimeout(options Options) time.Duration {
	if options.Timeouts.Gone > 0 {
		return options.Timeouts.Gone
	}
	return options.TimeoutScale.Of(mesh.DefaultTimeouts.Gone)
}
