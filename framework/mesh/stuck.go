package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
)

// hopeless are the reasons for which a container waits, and that no waiting of ours will mend.
var hopeless = []string{"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}

// stuckError is of a pod whose container waits for one of these reasons.
type stuckError struct{ text string }

func (e *stuckError) Error() string { return e.text }

// unlessStuck waits, and ends the wait at once when a pod of the namespace cannot ever become ready.
func unlessStuck(ctx context.Context, client *kube.Client, namespace string, timeout time.Duration, wait func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		err := client.Wait(ctx, kube.Selection{Resource: kube.Pods, Namespace: namespace}, "to be stuck", timeout, stuck)
		var found *stuckError
		if errors.As(err, &found) {
			cancel(found)
		}
	}()
	err := wait(ctx)
	var found *stuckError
	if errors.As(context.Cause(ctx), &found) {
		err = found
	}
	cancel(nil)
	<-watched
	return err
}

// stuck is a Condition that never holds, and whose error names the first pod that is.
func stuck(pods []*unstructured.Unstructured) (bool, string, error) {
	for _, pod := range pods {
		for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
			for _, status := range list(pod.Object, "status", field) {
				if reason := text(status, "state", "waiting", "reason"); slices.Contains(hopeless, reason) {
					return false, "", &stuckError{fmt.Sprintf("container %s of pod %s/%s cannot start (%s): %s; see whether the nodes can pull its image, or set another",
						text(status, "name"), pod.GetNamespace(), pod.GetName(), reason, text(status, "state", "waiting", "message"))}
				}
			}
		}
	}
	return false, "none is", nil
}
