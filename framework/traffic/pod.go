package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
)

// AgentPort is where a fixture agent listens in its pod.
const AgentPort = 8700

// Pod sends probes from a pod of the cluster, by the agent in it.
type Pod struct {
	name    string
	address string
	client  *http.Client
}

// NewPod returns the vantage point name; address is the agent's, as reached through a forwarded port.
func NewPod(name, address string) *Pod {
	return &Pod{name: name, address: address, client: &http.Client{Transport: &http.Transport{}}}
}

// Name implements Client.
func (p *Pod) Name() string { return p.name }

// Do implements Client.
func (p *Pod) Do(ctx context.Context, probe Probe) (Result, error) {
	if probe.Request.Database != nil {
		return askDatabase(ctx, probe, p.question)
	}
	target, err := probe.Target()
	if err != nil {
		return Result{Probe: probe}, err
	}
	body, err := json.Marshal(wire.ProbeRequest{
		Method: probe.Method(), URL: target, Host: probe.Request.Host, Address: probe.Request.Address, Headers: probe.Headers(), Body: probe.Request.Body, RootCAs: probe.Request.RootCAs, Unchecked: probe.Request.Unchecked,
		TimeoutMilliseconds: probe.Timeout().Milliseconds(), NewConnection: true,
	})
	if err != nil {
		return Result{Probe: probe}, err
	}
	var seen wire.ProbeResponse
	if err := p.ask(ctx, "/probe", body, probe.Timeout(), &seen); err != nil {
		return Result{Probe: probe}, err
	}
	return Result{
		Probe: probe, Status: seen.Status, Header: seen.Headers, Body: seen.Body, Truncated: seen.Truncated, Err: seen.Error,
		LocalAddress: seen.LocalAddress, RemoteAddress: seen.RemoteAddress, Connection: seen.Connection, TLS: seen.TLS, StartedAt: seen.StartedAt,
		Duration: time.Duration(seen.Milliseconds * float64(time.Millisecond)),
	}, nil
}

// question has the agent ask a MongoDB.
func (p *Pod) question(ctx context.Context, request wire.DatabaseRequest) (wire.DatabaseResponse, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return wire.DatabaseResponse{}, err
	}
	var seen wire.DatabaseResponse
	err = p.ask(ctx, "/database", body, time.Duration(request.TimeoutMilliseconds+request.HoldMilliseconds)*time.Millisecond, &seen)
	return seen, err
}

// ask asks the agent, and reads its answer.
func (p *Pod) ask(ctx context.Context, path string, body []byte, timeout time.Duration, answer any) error {
	// The agent answers after the probe's own timeout at the latest; the rest is for the way there and back.
	ctx, cancel := context.WithTimeout(ctx, max(timeout, wire.DefaultTimeout)+10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the agent in %s: %w", p.name, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the answer of the agent in %s: %w", p.name, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent in %s refuses the probe: %s: %s", p.name, response.Status, bytes.TrimSpace(text))
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("read the answer of the agent in %s: %w", p.name, err)
	}
	return nil
}
