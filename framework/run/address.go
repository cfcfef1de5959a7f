package run

import (
	"context"
	"fmt"
	"net"
	"time"
)

// addressPeriod is the time between two looks for a name that is not published yet: DNS has no watch.
const addressPeriod = time.Second

// addressesOf returns the address, or the IPv4 addresses of a name, in the order in which the resolver has them.
func addressesOf(ctx context.Context, value string, timeout time.Duration) ([]string, error) {
	if net.ParseIP(value) != nil {
		return []string{value}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(addressPeriod)
	defer ticker.Stop()
	for {
		addresses, err := net.DefaultResolver.LookupIP(ctx, "ip4", value)
		if err == nil && len(addresses) > 0 {
			var texts []string
			for _, address := range addresses {
				texts = append(texts, address.String())
			}
			return texts, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s has had no IPv4 address for %s: %w; see whether its DNS name is published where meshproof runs, or set the address yourself with --set", value, timeout, err)
		case <-ticker.C:
		}
	}
}
