package traffic

import (
	"context"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/wait"
)

// Patient returns a client that gives each probe scale times its time, as far as an agent takes it (wire.MaxTimeout).
func Patient(client Client, scale wait.Scale) Client {
	if scale == 0 || scale == 1 {
		return client
	}
	return patient{client, scale}
}

type patient struct {
	Client
	scale wait.Scale
}

// Do implements Client.
func (p patient) Do(ctx context.Context, probe Probe) (Result, error) {
	probe.Request.Timeout = min(p.scale.Of(probe.Timeout()), wire.MaxTimeout)
	return p.Client.Do(ctx, probe)
}
