package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Tail follows the log of one container and keeps its lines in memory, to be looked through by whoever sent the traffic
// that they tell of. All but the newest are kept packed: a proxy under load writes hundreds of megabytes.
type Tail struct {
	Namespace, Pod, Container string
	mu                        sync.Mutex
	blocks                    []block
	lines                     []string      // those after the blocks
	dropped                   int           // how many blocks came before blocks[0]
	changed                   chan struct{} // closed and replaced when a line arrives or the log ends
	watched                   bool          // somebody has been given changed
	err                       error
}

// block holds blockLines lines, packed.
type block []byte

const (
	blockLines = 4096
	// tailLimit is how many blocks are kept; the oldest go first.
	tailLimit = 512
)

// pack makes a block of lines, which hold no line end. What Encode returns has room for more than it holds.
func pack(lines []string) block {
	return bytes.Clone(s2.Encode(nil, []byte(strings.Join(lines, "\n"))))
}

func (b block) unpack() []string {
	text, err := s2.Decode(nil, b)
	if err != nil {
		panic(fmt.Sprintf("unpack what was packed: %v", err)) // its own memory
	}
	return strings.Split(string(text), "\n")
}

// Follow follows a container's log from a time on, until ctx ends. The error is of the start; a log that breaks later is
// told by Err, and its lines so far stay.
func (c *Client) Follow(ctx context.Context, namespace, pod, container string, since time.Time) (*Tail, error) {
	from := metav1.NewTime(since)
	stream, err := c.Typed.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Follow: true, SinceTime: &from}).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("follow the log of %s/%s (%s): %w", namespace, pod, container, err)
	}
	return ReadTail(ctx, namespace, pod, container, stream), nil
}

// ReadTail reads a container's log from a stream, until it or ctx ends, and closes it.
func ReadTail(ctx context.Context, namespace, pod, container string, stream io.ReadCloser) *Tail {
	tail := &Tail{Namespace: namespace, Pod: pod, Container: container, changed: make(chan struct{})}
	go tail.read(ctx, stream)
	return tail
}

func (t *Tail) read(ctx context.Context, stream io.ReadCloser) {
	defer stream.Close()
	reader := bufio.NewReaderSize(stream, 64<<10)
	for {
		line, err := reader.ReadString('\n')
		t.mu.Lock()
		if line != "" {
			t.add(line[:len(line)-trailing(line)])
		}
		if err != nil && ctx.Err() == nil {
			t.err = fmt.Errorf("the log of %s/%s (%s) ended: %w", t.Namespace, t.Pod, t.Container, err)
			if errors.Is(err, io.EOF) {
				t.err = fmt.Errorf("the log of %s/%s (%s) ended: the container has stopped, or its log was rotated away", t.Namespace, t.Pod, t.Container)
			}
		}
		if t.watched {
			close(t.changed)
			t.changed, t.watched = make(chan struct{}), false
		}
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

// add keeps one more line. What Lines has handed out does not change.
func (t *Tail) add(line string) {
	if t.lines = append(t.lines, line); len(t.lines) < blockLines {
		return
	}
	t.blocks, t.lines = append(t.blocks, pack(t.lines)), nil
	if over := len(t.blocks) - tailLimit; over > 0 {
		t.blocks, t.dropped = slices.Delete(t.blocks, 0, over), t.dropped+over
	}
}

// Lines returns lines from index on, or from the oldest one that is left, and the index that follows them. They are not all
// when there are many: none are returned when there are no more, and more then closes when there is one.
func (t *Tail) Lines(from int) (lines []string, next int, more <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched = true
	packed := (t.dropped + len(t.blocks)) * blockLines // where t.lines begins
	from = min(max(from, t.dropped*blockLines), packed+len(t.lines))
	if from < packed {
		lines = t.blocks[from/blockLines-t.dropped].unpack()[from%blockLines:]
		return lines, from + len(lines), t.changed
	}
	return t.lines[from-packed : len(t.lines) : len(t.lines)], packed + len(t.lines), t.changed
}

// End is the index that follows the newest line.
func (t *Tail) End() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return (t.dropped+len(t.blocks))*blockLines + len(t.lines)
}

// Err is why the log broke off; nil while it is followed.
func (t *Tail) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}
