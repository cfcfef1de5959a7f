package diagnose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
	"github.com/meshproof/meshproof/framework/mesh"
)

// Statistics reads those of all proxies; one that cannot be asked has none.
func Statistics(ctx context.Context, proxies []*mesh.Proxy) (map[*mesh.Proxy]envoy.Stats, error) {
	read := make([]envoy.Stats, len(proxies))
	errs := make([]error, len(proxies))
	var group errgroup.Group
	group.SetLimit(8)
	for index, proxy := range proxies {
		group.Go(func() error {
			read[index], errs[index] = proxy.Stats(ctx)
			return nil
		})
	}
	_ = group.Wait() // the errors are kept with their proxies
	result := map[*mesh.Proxy]envoy.Stats{}
	for index, proxy := range proxies {
		if errs[index] == nil {
			result[proxy] = read[index]
		}
	}
	return result, errors.Join(errs...)
}

// writeStatistics writes by how much the counters of each proxy have grown. Other traffic has moved them, too.
func (s Scene) writeStatistics(ctx context.Context, folder string) error {
	now, err := Statistics(ctx, s.Proxies)
	errs := []error{err}
	var content bytes.Buffer
	for _, proxy := range s.Proxies {
		after, asked := now[proxy]
		before, known := s.Before[proxy]
		if !asked {
			continue // which is told as an error
		}
		if !known {
			fmt.Fprintf(&content, "# %s, proxy %s: by how much its counters have grown is not known, because it was not there, or could not be asked, when the pattern had settled\n", proxy.Hop, proxy)
			continue
		}
		grown, err := envoy.Delta(before, after)
		if err != nil {
			errs = append(errs, fmt.Errorf("proxy %s: %w", proxy, err))
			continue
		}
		fmt.Fprintf(&content, "# %s, proxy %s\n", proxy.Hop, proxy)
		for _, line := range grown.Lines() {
			fmt.Fprintln(&content, line)
		}
	}
	return errors.Join(append(errs, s.write(filepath.Join(folder, "statistics.txt"), content.Bytes()))...)
}
