package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// logStream is a container's log: what is written to it is read by a Tail, and closed tells when the Tail has let go of it.
type logStream struct {
	*io.PipeReader
	closed chan struct{}
}

func (s logStream) Close() error {
	close(s.closed)
	return s.PipeReader.Close()
}

// follow returns a Tail, the container that writes to it, and a channel that closes when the Tail has ended.
func follow(ctx context.Context) (*Tail, *io.PipeWriter, <-chan struct{}) {
	reader, writer := io.Pipe()
	stream := logStream{reader, make(chan struct{})}
	tail := &Tail{Namespace: "ns", Pod: "page-1", Container: "istio-proxy", changed: make(chan struct{})}
	go tail.read(ctx, stream)
	return tail, writer, stream.closed
}

// await returns the lines from an index on, once there are as many as wanted.
func await(t *testing.T, tail *Tail, from, count int) (lines []string, next int) {
	t.Helper()
	for {
		some, after, more := tail.Lines(from)
		lines, from = append(lines, some...), after
		if len(lines) >= count {
			return lines, from
		}
		if len(some) > 0 {
			continue
		}
		select {
		case <-more:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d lines after 10 s, want %d", len(lines), count)
		}
	}
}

// closes fails the test unless the channel is closed soon.
func closes(t *testing.T, channel <-chan struct{}) {
	t.Helper()
	select {
	case <-channel:
	case <-time.After(10 * time.Second):
		t.Fatal("the channel is not closed after 10 s")
	}
}

func write(t *testing.T, writer io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(writer, text); err != nil {
		t.Fatal(err)
	}
}

func TestTailLines(t *testing.T) {
	tail, writer, _ := follow(t.Context())
	defer func() { _ = writer.Close() }()
	if lines, next, _ := tail.Lines(0); len(lines) != 0 || next != 0 {
		t.Errorf("%q, next %d before the first line", lines, next)
	}
	write(t, writer, "a\n\n b \nhalf")
	lines, next := await(t, tail, 0, 3)
	if diff := cmp.Diff([]string{"a", "", " b "}, lines); diff != "" || next != 3 {
		t.Errorf("next %d, want 3; lines (-want +got):\n%s", next, diff)
	}
	write(t, writer, " and half\nlast\n")
	for from, want := range map[int][]string{
		-1: {"a", "", " b ", "half and half", "last"},
		0:  {"a", "", " b ", "half and half", "last"},
		3:  {"half and half", "last"},
		4:  {"last"},
	} {
		got, next := await(t, tail, from, len(want))
		if diff := cmp.Diff(want, got); diff != "" || next != 5 {
			t.Errorf("from %d: next %d, want 5; lines (-want +got):\n%s", from, next, diff)
		}
	}
	for _, from := range []int{5, 6} {
		if lines, next, _ := tail.Lines(from); len(lines) != 0 || next != 5 {
			t.Errorf("from %d: %q, next %d; want none, next 5", from, lines, next)
		}
	}
}

// Each line closes the channel that was handed out before it, and only that one.
func TestTailTellsOfMore(t *testing.T) {
	tail, writer, _ := follow(t.Context())
	defer func() { _ = writer.Close() }()
	_, _, first := tail.Lines(0)
	_, _, same := tail.Lines(0)
	write(t, writer, "a\n")
	closes(t, first)
	closes(t, same)
	_, next, second := tail.Lines(0)
	select {
	case <-second:
		t.Error("the channel is closed although there is nothing after the line")
	default:
	}
	write(t, writer, "b\n")
	closes(t, second)
	if lines, _, _ := tail.Lines(next); len(lines) != 1 || lines[0] != "b" {
		t.Errorf("lines = %q, want b", lines)
	}
}

// Lines are packed as they grow old, and read the same; the oldest go when there are too many.
func TestTailPacksAndDropsTheOldest(t *testing.T) {
	tail := &Tail{changed: make(chan struct{})}
	for number := range 2*blockLines + 10 {
		tail.add(fmt.Sprint(number))
	}
	held, _, _ := tail.Lines(2 * blockLines)
	for _, from := range []int{0, 1, blockLines - 1, blockLines, 2*blockLines - 1, 2 * blockLines, 2*blockLines + 9} {
		lines, next := await(t, tail, from, 2*blockLines+10-from)
		if lines[0] != fmt.Sprint(from) || next != 2*blockLines+10 || lines[len(lines)-1] != fmt.Sprint(2*blockLines+9) {
			t.Errorf("from %d: %d lines from %q to %q, next %d", from, len(lines), lines[0], lines[len(lines)-1], next)
		}
	}
	if len(tail.blocks) != 2 {
		t.Errorf("%d blocks, want 2", len(tail.blocks))
	}
	for number := 2*blockLines + 10; number < (tailLimit+3)*blockLines; number++ {
		tail.add(fmt.Sprint(number))
	}
	for _, from := range []int{-1, 0, 3*blockLines - 1, 3 * blockLines} {
		if lines, next, _ := tail.Lines(from); lines[0] != fmt.Sprint(3*blockLines) || next != 4*blockLines {
			t.Errorf("from %d: the first is %q, next %d; want the oldest that is left", from, lines[0], next)
		}
	}
	if end := tail.End(); end != (tailLimit+3)*blockLines {
		t.Errorf("ends at %d", end)
	}
	if lines, next, _ := tail.Lines(1 << 62); len(lines) != 0 || next != tail.End() {
		t.Errorf("from behind the end: %d lines, next %d", len(lines), next)
	}
	if held[0] != fmt.Sprint(2*blockLines) || len(held) != 10 {
		t.Error("lines that were handed out have changed")
	}
}

func TestTailEnds(t *testing.T) {
	broken := errors.New("connection reset")
	for name, row := range map[string]struct {
		end   func(writer *io.PipeWriter, cancel func())
		want  []string // none: no error
		cause error
	}{
		"the container stops":   {func(w *io.PipeWriter, _ func()) { _ = w.Close() }, []string{"ns/page-1 (istio-proxy)", "stopped"}, nil},
		"the connection breaks": {func(w *io.PipeWriter, _ func()) { _ = w.CloseWithError(broken) }, []string{"ns/page-1 (istio-proxy)"}, broken},
		"nobody follows it any more": {func(w *io.PipeWriter, cancel func()) {
			cancel()
			_ = w.CloseWithError(context.Canceled)
		}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tail, writer, ended := follow(ctx)
			write(t, writer, "a\nunfinished")
			await(t, tail, 0, 1)
			if err := tail.Err(); err != nil {
				t.Errorf("an error while the log is followed: %v", err)
			}
			_, _, more := tail.Lines(1)
			row.end(writer, cancel)
			closes(t, more)
			closes(t, ended)
			if lines, next, _ := tail.Lines(0); strings.Join(lines, "|") != "a|unfinished" || next != 2 {
				t.Errorf("lines = %q, next %d; want those so far to stay", lines, next)
			}
			err := tail.Err()
			if (err == nil) != (row.want == nil) || (row.cause != nil && !errors.Is(err, row.cause)) {
				t.Errorf("error = %v", err)
			}
			for _, word := range row.want {
				if err != nil && !strings.Contains(err.Error(), word) {
					t.Errorf("error = %v, want one with %q", err, word)
				}
			}
		})
	}
}

// serve returns a Client of an API server that a function plays.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestFollow(t *testing.T) {
	asked := make(chan *url.URL, 1)
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL
		_, _ = io.WriteString(w, "a\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done() // as a log that goes on
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tail, err := client.Follow(ctx, "ns", "page-1", "istio-proxy", time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ns", "page-1", "istio-proxy"}, []string{tail.Namespace, tail.Pod, tail.Container}); diff != "" {
		t.Errorf("the tail's own words (-want +got):\n%s", diff)
	}
	got := <-asked
	if got.Path != "/api/v1/namespaces/ns/pods/page-1/log" || got.Query().Encode() != "container=istio-proxy&follow=true&sinceTime=2026-05-04T03%3A02%3A01Z" {
		t.Errorf("asked for %s", got)
	}
	await(t, tail, 0, 1)
	_, _, more := tail.Lines(1)
	cancel()
	closes(t, more)
	if err := tail.Err(); err != nil {
		t.Errorf("error = %v after the end of its context, want none", err)
	}
}

func TestFollowFails(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "container is starting"))
	})
	_, err := client.Follow(t.Context(), "ns", "page-1", "istio-proxy", time.Now())
	if err == nil || !strings.Contains(err.Error(), "ns/page-1 (istio-proxy)") || !strings.Contains(err.Error(), "container is starting") {
		t.Errorf("error = %v, want one that names the container and says why", err)
	}
}
