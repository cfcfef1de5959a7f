package mesh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fingerprint is what a proxy's configuration amounts to, by section: equal exactly when the section is.
type Fingerprint map[string]string

// Fingerprints are those of several proxies, by name.
type Fingerprints map[string]Fingerprint

// unstable are the fields of a configuration dump that differ though nothing was changed; a listener that was replaced is
// still there for a while, draining.
var unstable = []string{"version_info", "last_updated", "draining_state"}

// TakeFingerprint reads the configuration of a proxy: what the control plane gave it, and the endpoints that it can use.
func TakeFingerprint(ctx context.Context, proxy *Proxy) (Fingerprint, error) {
	result := Fingerprint{}
	for section, resource := range map[string]string{"listeners": "dynamic_listeners", "routes": "dynamic_route_configs", "clusters": "dynamic_active_clusters"} {
		dump, err := proxy.Dump(ctx, resource)
		if err != nil {
			return nil, err
		}
		if result[section], err = hashOf(dump); err != nil {
			return nil, fmt.Errorf("read the %s of proxy %s: %w", section, proxy, err)
		}
	}
	secrets, err := proxy.Secrets(ctx)
	if err != nil {
		return nil, err
	}
	var given []string
	for _, secret := range secrets {
		// The proxy's own certificate and its mesh's authority are renewed without a change.
		if secret.Name != "default" && secret.Name != "ROOTCA" {
			given = append(given, fmt.Sprintf("%s %v %s", secret.Name, secret.Certificates, secret.Rejected))
		}
	}
	slices.Sort(given)
	result["secrets"] = digest([]byte(strings.Join(given, "\n")))
	endpoints, err := proxy.Endpoints(ctx)
	if err != nil {
		return nil, err
	}
	var usable []string
	for _, cluster := range endpoints {
		for _, host := range cluster.Hosts {
			if host.Available() {
				usable = append(usable, cluster.Name+" "+host.Address.String())
			}
		}
	}
	slices.Sort(usable)
	result["endpoints"] = digest([]byte(strings.Join(usable, "\n")))
	return result, nil
}

// hashOf is a digest of a configuration dump that depends neither on the order of its entries nor on when they came.
func hashOf(dump []byte) (string, error) {
	var content struct {
		Configs []any `json:"configs"`
	}
	if err := json.Unmarshal(dump, &content); err != nil {
		return "", err
	}
	var entries []string
	for _, entry := range content.Configs {
		if leaving(entry) {
			continue
		}
		text, err := json.Marshal(stable(entry))
		if err != nil {
			return "", err
		}
		entries = append(entries, string(text))
	}
	slices.Sort(entries)
	return digest([]byte(strings.Join(entries, "\n"))), nil
}

// leaving tells whether an entry is of a listener that was taken away, and of which only the draining is left.
func leaving(entry any) bool {
	fields, _ := entry.(map[string]any)
	_, draining := fields["draining_state"]
	_, active := fields["active_state"]
	_, warming := fields["warming_state"]
	return draining && !active && !warming
}

func stable(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range unstable {
			delete(v, name)
		}
		for _, field := range v {
			stable(field)
		}
	case []any:
		for _, entry := range v {
			stable(entry)
		}
	}
	return value
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// Difference says which proxies are new or gone, and which sections of the others differ; empty when nothing does.
func (f Fingerprints) Difference(other Fingerprints) string {
	var told []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		now, there := other[name]
		if !there {
			told = append(told, name+" is gone")
			continue
		}
		var sections []string
		for _, section := range slices.Sorted(maps.Keys(f[name])) {
			if now[section] != f[name][section] {
				sections = append(sections, section)
			}
		}
		if len(sections) > 0 {
			told = append(told, name+": "+strings.Join(sections, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		if _, there := f[name]; !there {
			told = append(told, name+" is new")
		}
	}
	return strings.Join(told, "; ")
}
