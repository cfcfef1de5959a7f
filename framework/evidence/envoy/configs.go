package envoy

import "encoding/json"

// ResourceConfig is one route configuration or cluster as a configuration dump holds it; for JSON see ListenerConfig.
type ResourceConfig struct {
	Name   string
	State  State
	Static bool
	JSON   json.RawMessage
}

// RouteConfigs returns every route configuration of a dump in the dump's order, for readers that need more than Routes keeps.
// It takes what Routes takes. An error says which entry could not be read.
func RouteConfigs(configDump []byte) ([]ResourceConfig, error) {
	return resourceConfigs(routeKind, configDump, func(e resourceEntry) json.RawMessage { return e.RouteConfig })
}

// ClusterConfigs returns every cluster of a dump in the dump's order, for readers that need more than Clusters keeps. It takes
// what Clusters takes. An error says which entry could not be read.
func ClusterConfigs(configDump []byte) ([]ResourceConfig, error) {
	return resourceConfigs(clusterKind, configDump, func(e resourceEntry) json.RawMessage { return e.Cluster })
}

// resourceEntry is the message around a route configuration or a cluster.
type resourceEntry struct {
	RouteConfig json.RawMessage `json:"route_config"`
	Cluster     json.RawMessage `json:"cluster"`
}

func resourceConfigs(kind resourceKind, configDump []byte, choose func(resourceEntry) json.RawMessage) ([]ResourceConfig, error) {
	found, err := kind.read(configDump)
	if err != nil {
		return nil, err
	}
	var out []ResourceConfig
	for _, r := range found {
		var entry resourceEntry
		if err := r.decode(&entry); err != nil {
			return nil, err
		}
		// An update that was refused before there was any is an entry without the resource itself.
		if raw := choose(entry); len(raw) > 0 {
			out = append(out, ResourceConfig{Name: nameOf(raw), State: r.state, Static: r.static, JSON: raw})
		}
	}
	return out, nil
}
