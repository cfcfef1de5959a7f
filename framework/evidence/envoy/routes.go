package envoy

import (
	"encoding/json"
	"fmt"
)

// RouteConfig is one route configuration of a dump.
type RouteConfig struct {
	Name         string
	Static       bool   // written inline in a listener, not discovered
	Version      string // of the update that brought it; empty for static ones
	VirtualHosts []VirtualHost
	// Rejected is why the proxy refused the newest update; empty when it took it.
	Rejected string
}

// VirtualHost holds the routes for requests to its domains.
type VirtualHost struct {
	Name    string
	Domains []string
	Routes  []Route // the first that matches is taken
}

// Route is one match and what happens then: exactly one of Clusters, ClusterHeader,
// DirectResponse and Redirect is set, or none for an action of another kind.
type Route struct {
	Name           string
	Match          RouteMatch
	Clusters       []WeightedCluster
	ClusterHeader  string  // header that names the cluster
	DirectResponse *uint32 // HTTP status that the proxy answers itself
	Redirect       bool
}

// PathMatch is how a route compares the path.
type PathMatch string

// The ways to compare a path; OtherMatch is any that is not known here.
const (
	ExactPath       PathMatch = "exact"
	PrefixPath      PathMatch = "prefix"
	SegmentPrefix   PathMatch = "path_separated_prefix"
	RegexPath       PathMatch = "regex"
	TemplatePath    PathMatch = "path_match_policy"
	ConnectRequests PathMatch = "connect"
	OtherMatch      PathMatch = "other"
)

// RouteMatch is what a request must be for a route to take it.
type RouteMatch struct {
	Kind PathMatch
	Path string // what the path is compared with; empty for CONNECT
	// Headers must all match.
	Headers []HeaderMatch
	// QueryParameters are the names of parameters that are also compared.
	QueryParameters []string
}

// HeaderMatch compares one request header.
type HeaderMatch struct {
	Name   string
	Kind   string // "exact", "prefix", "suffix", "contains", "regex", "present", "range", "other"
	Value  string
	Invert bool
}

// WeightedCluster is a target and its share of the sum of all weights; a single
// target has weight 100.
type WeightedCluster struct {
	Name   string
	Weight uint32
}

var routeKind = resourceKind{
	what: "route configurations",
	dump: "RoutesConfigDump",
	lists: []resourceList{
		{field: "static_route_configs", state: Active, static: true},
		{field: "dynamic_route_configs", state: Active},
	},
	items: []resourceItem{
		{message: "RoutesConfigDump.StaticRouteConfig", state: Active, static: true},
		{message: "RoutesConfigDump.DynamicRouteConfig", state: Active},
	},
}

// Routes returns the route configurations of a dump in the dump's order. It takes
// a full /config_dump and the answers to ?resource=dynamic_route_configs and
// ?resource=static_route_configs. An error says which one could not be read.
func Routes(configDump []byte) ([]RouteConfig, error) {
	found, err := routeKind.read(configDump)
	if err != nil {
		return nil, err
	}
	out := make([]RouteConfig, 0, len(found))
	for _, r := range found {
		var entry routeEntry
		if err := r.decode(&entry); err != nil {
			return nil, err
		}
		config := entry.Config.routeConfig()
		config.Static, config.Version = r.static, entry.Version
		if entry.Error != nil {
			config.Rejected = entry.Error.Details
		}
		out = append(out, config)
	}
	return out, nil
}

type routeEntry struct {
	Version string           `json:"version_info"`
	Config  routeConfigJSON  `json:"route_config"`
	Error   *updateErrorJSON `json:"error_state"`
}

type routeConfigJSON struct {
	Name  string `json:"name"`
	Hosts []struct {
		Name    string      `json:"name"`
		Domains []string    `json:"domains"`
		Routes  []routeJSON `json:"routes"`
	} `json:"virtual_hosts"`
}

type routeJSON struct {
	Name  string         `json:"name"`
	Match routeMatchJSON `json:"match"`
	Route *struct {
		Cluster  string                `json:"cluster"`
		Header   string                `json:"cluster_header"`
		Weighted *weightedClustersJSON `json:"weighted_clusters"`
	} `json:"route"`
	Direct *struct {
		Status count `json:"status"`
	} `json:"direct_response"`
	Redirect json.RawMessage `json:"redirect"`
}

type weightedClustersJSON struct {
	Clusters []struct {
		Name   string `json:"name"`
		Weight count  `json:"weight"`
	} `json:"clusters"`
}

func (j routeConfigJSON) routeConfig() RouteConfig {
	out := RouteConfig{Name: j.Name}
	for _, h := range j.Hosts {
		host := VirtualHost{Name: h.Name, Domains: h.Domains}
		for _, r := range h.Routes {
			host.Routes = append(host.Routes, r.route())
		}
		out.VirtualHosts = append(out.VirtualHosts, host)
	}
	return out
}

func (j routeJSON) route() Route {
	out := Route{Name: j.Name, Match: j.Match.match(), Redirect: len(j.Redirect) > 0}
	if j.Route != nil {
		out.Clusters = targets(j.Route.Cluster, j.Route.Weighted)
		out.ClusterHeader = j.Route.Header
	}
	if j.Direct != nil {
		status := uint32(j.Direct.Status)
		out.DirectResponse = &status
	}
	return out
}

func targets(single string, weighted *weightedClustersJSON) []WeightedCluster {
	if single != "" {
		return []WeightedCluster{{Name: single, Weight: 100}}
	}
	if weighted == nil {
		return nil
	}
	var out []WeightedCluster
	for _, c := range weighted.Clusters {
		out = append(out, WeightedCluster{Name: c.Name, Weight: uint32(c.Weight)})
	}
	return out
}

// String says the match in one line, for people: "prefix /api, plan-type exact gold".
func (m RouteMatch) String() string {
	out := string(m.Kind)
	if m.Path != "" {
		out += " " + m.Path
	}
	for _, h := range m.Headers {
		not := ""
		if h.Invert {
			not = "not "
		}
		out += fmt.Sprintf(", %s %s%s", h.Name, not, h.Kind)
		if h.Value != "" {
			out += " " + h.Value
		}
	}
	for _, q := range m.QueryParameters {
		out += ", query " + q
	}
	return out
}
