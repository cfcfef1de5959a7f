package traffic

import (
	"context"
	"testing"
	"time"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/wait"
)

// timed notes how long the last probe may take.
type timed struct{ timeout time.Duration }

func (*timed) Name() string { return "timed" }

func (c *timed) Do(_ context.Context, probe Probe) (Result, error) {
	c.timeout = probe.Timeout()
	return Result{Probe: probe}, nil
}

func TestPatient(t *testing.T) {
	for _, test := range []struct {
		scale       wait.Scale
		given, want time.Duration
	}{
		{0, 0, DefaultTimeout}, {1, time.Second, time.Second}, {3, 0, 3 * DefaultTimeout}, {3, 2 * time.Second, 6 * time.Second},
		{0.5, 0, DefaultTimeout / 2}, {100, 0, wire.MaxTimeout}, {100, time.Second, 100 * time.Second},
	} {
		client := &timed{}
		scaled := Patient(client, test.scale)
		if _, err := scaled.Do(t.Context(), NewProbes(Request{Timeout: test.given}, "x", 1)[0]); err != nil {
			t.Fatal(err)
		}
		if client.timeout != test.want || scaled.Name() != "timed" {
			t.Errorf("scale %v of %s: %s, want %s", test.scale, test.given, client.timeout, test.want)
		}
	}
}
