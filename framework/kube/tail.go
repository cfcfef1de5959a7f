package kube

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Tail follows the log of one container and keeps its lines in memory, to be looked through by whoever sent the traffic
// that they tell of.
type Tail struct {
	Namespace, Pod, Container string
	mu                        sync.Mutex
	lines                     []string
	dropped                   int           // how many lines came before lines[0]
	changed                   chan struct{} // closed and replaced when a line arrives or the log ends
	err                       error
}

// tailLimit is how many lines are kept; the oldest go first.
const tailLimit = 200_000

// Follow follows a container's log from a time on, until ctx ends. The error is of the start; a log that breaks later is
// told by Err, and its lines so far stay.
func (c *Client) Follow(ctx context.Context, namespace, pod, container string, since time.Time) (*Tail, error) {
	from := metav1.NewTime(since)
	stream, err := c.Typed.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Follow: true, SinceTime: &from}).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("follow the log of %s/%s (%s): %w", namespace, pod, container, err)
	}
	tail := &Tail{Namespace: namespace, Pod: pod, Container: container, changed: make(chan struct{})}
	go tail.read(ctx, stream)
	return tail, nil
}

func (t *Tail) read(ctx context.Context, stream io.ReadCloser) {
	defer stream.Close()
	reader := bufio.NewReaderSize(stream, 64<<10)
	for {
		line, err := reader.ReadString('\n')
		t.mu.Lock()
		if line != "" {
			if len(t.lines) >= tailLimit {
				t.lines = append([]string(nil), t.lines[tailLimit/10:]...)
				t.dropped += tailLimit / 10
			}
			t.lines = append(t.lines, line[:len(line)-trailing(line)])
		}
		if err != nil && ctx.Err() == nil {
			t.err = fmt.Errorf("the log of %s/%s (%s) ended: %w", t.Namespace, t.Pod, t.Container, err)
			if errors.Is(err, io.EOF) {
				t.err = fmt.Errorf("the log of %s/%s (%s) ended: the container has stopped, or its log was rotated away", t.Namespace, t.Pod, t.Container)
			}
		}
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func trailing(line string) int {
	if line[len(line)-1] == '\n' {
		return 1
	}
	return 0
}

// Lines returns the lines from index on, the index that follows them, and a channel that closes when there is more.
func (t *Tail) Lines(from int) (lines []string, next int, more <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from = min(max(from-t.dropped, 0), len(t.lines))
	return t.lines[from:len(t.lines):len(t.lines)], t.dropped + len(t.lines), t.changed
}

// Err is why the log broke off; nil while it is followed.
func (t *Tail) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}
