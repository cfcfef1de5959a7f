// Package proxyconfig records what the proxies of a pattern are configured to do, in a form that can be compared with that of
// another run, on another cluster or by another version of the mesh, long after both have gone.
package proxyconfig

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
	"github.com/meshproof/meshproof/framework/mesh"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Hop is a workload whose proxies are recorded.
type Hop struct {
	Name    string
	Gateway bool
}

// Pattern is what is recorded, and what is the pattern's own in it.
type Pattern struct {
	// Hops are in the order of the path.
	Hops []Hop
	// Namespaces are the pattern's own, Hosts the hosts that its objects name.
	Namespaces, Hosts []string
	Names             *Names
	// Redactor removes the secrets that it knows, and what looks like one.
	Redactor *v1.Redactor
}

// The most that is kept of one entry, and of all entries of a hop, in bytes of JSON. What is beyond is known by its digest.
const (
	mostOfEntry = 256 << 10
	mostOfHop   = 4 << 20
)

// Record asks the proxies for their configuration, and returns that of each hop which has proxies, in the order of the path.
func Record(ctx context.Context, proxies []*mesh.Proxy, pattern Pattern) ([]v1.Configuration, error) {
	read := make([]sections, len(proxies))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for index, proxy := range proxies {
		group.Go(func() (err error) {
			hop := slices.IndexFunc(pattern.Hops, func(h Hop) bool { return h.Name == proxy.Hop })
			read[index], err = readProxy(groupCtx, proxy, newScope(hop >= 0 && pattern.Hops[hop].Gateway, pattern.Namespaces, pattern.Hosts, pattern.Names), normaliser{pattern.Names, pattern.Redactor})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var result []v1.Configuration
	for position, hop := range pattern.Hops {
		var own []sections
		for index, proxy := range proxies {
			if proxy.Hop == hop.Name {
				own = append(own, read[index])
			}
		}
		if len(own) > 0 {
			result = append(result, merge(hop.Name, position+1, own))
		}
	}
	return result, nil
}

// sections are the parts of one proxy's configuration: its listeners, routes, clusters and secrets, normalised.
type sections [4][]entry

type entry struct {
	name  string
	value map[string]any
	// expires is when the first certificate of a secret does.
	expires time.Time
}

func readProxy(ctx context.Context, proxy *mesh.Proxy, scope *scope, n normaliser) (sections, error) {
	var dumps [4][]byte
	for section, resource := range []string{"dynamic_listeners", "dynamic_route_configs", "dynamic_active_clusters"} {
		var err error
		if dumps[section], err = proxy.Dump(ctx, resource); err != nil {
			return sections{}, err
		}
	}
	secrets, err := proxy.Secrets(ctx)
	if err != nil {
		return sections{}, err
	}
	read, err := readDumps(dumps[0], dumps[1], dumps[2], scope, n)
	if err != nil {
		return sections{}, fmt.Errorf("read the configuration of proxy %s: %w", proxy, err)
	}
	read[3] = describeSecrets(secrets, n.names, time.Now())
	return read, nil
}

// readDumps reads the answers to /config_dump. The routes come first, because they tell which listeners are the pattern's.
func readDumps(listeners, routes, clusters []byte, scope *scope, n normaliser) (result sections, err error) {
	routeConfigs, err := envoy.RouteConfigs(routes)
	if err != nil {
		return result, err
	}
	if result[1], err = choose(routeConfigs, n, scope.route); err != nil {
		return result, err
	}
	listenerConfigs, err := envoy.ListenerConfigs(listeners)
	if err != nil {
		return result, err
	}
	var active []envoy.ResourceConfig
	for _, listener := range listenerConfigs {
		// One that drains has been replaced, and one that is warming serves nothing yet.
		if listener.State == envoy.Active {
			active = append(active, envoy.ResourceConfig{Name: listener.Name, JSON: listener.JSON})
		}
	}
	if result[0], err = choose(active, n, scope.listener); err != nil {
		return result, err
	}
	clusterConfigs, err := envoy.ClusterConfigs(clusters)
	if err != nil {
		return result, err
	}
	result[2], err = choose(clusterConfigs, n, scope.cluster)
	return result, err
}

// choose normalises the resources that are kept; keep may take parts out of one.
func choose(resources []envoy.ResourceConfig, n normaliser, keep func(map[string]any) bool) ([]entry, error) {
	var entries []entry
	for _, resource := range resources {
		var fields map[string]any
		if err := json.Unmarshal(resource.JSON, &fields); err != nil {
			return nil, fmt.Errorf("%s: %w", resource.Name, err)
		}
		value := n.object(fields)
		if keep(value) {
			entries = append(entries, entry{name: n.names.Replace(resource.Name), value: value})
		}
	}
	return entries, nil
}

// describeSecrets keeps of each secret what says whom it makes the proxy trust, or appear to be. Keys were never read.
func describeSecrets(secrets []envoy.Secret, names *Names, now time.Time) []entry {
	var entries []entry
	for _, secret := range secrets {
		described := entry{name: names.Replace(secret.Name), value: map[string]any{"kind": string(secret.Kind)}}
		if secret.Problem != "" {
			described.value["problem"] = names.Replace(secret.Problem)
		}
		if secret.Rejected != "" {
			described.value["rejected"] = names.Replace(secret.Rejected)
		}
		var certificates []any
		for _, certificate := range secret.Certificates {
			certificates = append(certificates, describeCertificate(certificate, names, now))
			described.expires = earlier(described.expires, certificate.NotAfter)
		}
		if certificates != nil {
			described.value["certificates"] = certificates
		}
		entries = append(entries, described)
	}
	return entries
}

func describeCertificate(c envoy.Certificate, names *Names, now time.Time) map[string]any {
	var identities []string
	for _, identity := range slices.Concat(c.DNS, c.URIs) {
		identities = append(identities, names.Replace(identity))
	}
	for _, address := range c.IPs {
		identities = append(identities, names.Replace(address.String()))
	}
	slices.Sort(identities)
	described := map[string]any{"subject": names.Replace(c.Subject), "issuer": names.Replace(c.Issuer), "names": strings.Join(identities, ", ")}
	if c.CA {
		described["authority"] = true
	}
	if now.After(c.NotAfter) {
		described["expired"] = true
	}
	return described
}

// earlier is the earlier of two times, of which the first may be none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// merge brings together what the proxies of a hop have.
func merge(hop string, position int, proxies []sections) v1.Configuration {
	kept := 0
	section := func(index int) []v1.ConfigurationEntry {
		found := map[[2]string]*v1.ConfigurationEntry{}
		for _, proxy := range proxies {
			for _, e := range proxy[index] {
				content := text(e.value)
				key := [2]string{e.name, digest(content)}
				if found[key] == nil {
					found[key] = &v1.ConfigurationEntry{Name: e.name, Digest: key[1]}
					if len(content) <= mostOfEntry && kept+len(content) <= mostOfHop {
						found[key].Value = e.value
						kept += len(content)
					}
				}
				found[key].Proxies++
				if !e.expires.IsZero() {
					found[key].Expires = earlier(found[key].Expires, e.expires.UTC())
				}
			}
		}
		var entries []v1.ConfigurationEntry
		for _, key := range slices.SortedFunc(maps.Keys(found), func(a, b [2]string) int {
			return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
		}) {
			entries = append(entries, *found[key])
		}
		return entries
	}
	return v1.Configuration{
		Hop: hop, Position: position, Proxies: len(proxies),
		Listeners: section(0), Routes: section(1), Clusters: section(2), Secrets: section(3),
	}
}
