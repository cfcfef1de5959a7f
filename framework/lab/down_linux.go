package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/meshproof/meshproof/framework/lab/node"
)

// Down ends the lab of this name and removes all that it made outside the cache. existed is false when there was none.
func Down(ctx context.Context, options Options) (existed bool, err error) {
	options, err = options.withDefaults()
	if err != nil {
		return false, err
	}
	if os.Geteuid() != 0 {
		return false, fmt.Errorf("%w: it needs root", ErrUnsupported)
	}
	_, statErr := os.Stat(options.dir())
	existed = statErr == nil
	unlock, err := lock(ctx, options)
	if err != nil {
		return existed, err
	}
	defer unlock()
	if err := discard(ctx, options); err != nil {
		return existed, fmt.Errorf("stop lab %q: %w", options.Name, err)
	}
	return existed, errors.Join(os.RemoveAll(failedLogs(options)), os.Remove(filepath.Join(options.StateDir, "lab", options.Name+"."+lockName)))
}

// Status asks the lab's supervisor about its parts.
func (l *Lab) Status(ctx context.Context) (node.Status, error) {
	var status node.Status
	socket := filepath.Join(l.Dir, "control.sock")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://lab/status", nil)
	if err != nil {
		return status, err
	}
	response, err := client.Do(request)
	if err != nil {
		return status, fmt.Errorf("ask the supervisor of lab %q (%s): %w", l.Name, socket, err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return status, fmt.Errorf("read the answer of the supervisor of lab %q: %w", l.Name, err)
	}
	return status, nil
}
