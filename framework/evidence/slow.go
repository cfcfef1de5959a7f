package evidence

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// slowAnswer is how long an API server may take for an answer that has nothing to wait for; one that takes longer has
	// kept back what the logs hold.
	slowAnswer = time.Second
	// SilenceTimeout is how long its answer is waited for.
	SilenceTimeout = 60 * time.Second
)

// ask returns when the API server has answered, by the way that the logs come. The gap is set when it has not.
func (o *Observer) ask(ctx context.Context) *Gap {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.silence)
	defer cancel()
	for _, s := range o.sources {
		container := s.hop.Container
		if s.hop.Proxy {
			container = proxyContainer
		}
		if container == "" {
			continue
		}
		// An answer of any kind will do.
		_, _ = o.client.Typed.CoreV1().Pods(s.pod.Namespace).GetLogs(s.pod.Name, &corev1.PodLogOptions{Container: container, TailLines: new(int64)}).DoRaw(ctx)
		break
	}
	if ctx.Err() == nil {
		return nil
	}
	return &Gap{
		Why:    fmt.Sprintf("the API server, through which the logs come, has not answered for %s", time.Since(asked).Round(100*time.Millisecond)),
		Remedy: "run again when the API server answers", Silent: true,
	}
}
