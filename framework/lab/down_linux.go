package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
