package run

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// addressPeriod is the time between two looks for a name that is not published yet: DNS has no watch.
const addressPeriod = time.Second

// resolve makes addresses of what the cluster tells, which are names or addresses with commas between: the first one, which is
// the only one that the patterns' source uses, or all of them with commas between, in an order of their own, because a resolver
// turns them round.
func resolve(ctx context.Context, told string, all bool, timeout time.Duration) (string, error) {
	var found []string
	for value := range strings.SplitSeq(told, ",") {
		addresses, err := addressesOf(ctx, value, timeout)
		if err != nil {
			return "", err
		}
		if !all {
			return addresses[0], nil
		}
		found = append(found, addresses...)
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), ","), nil
}

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
