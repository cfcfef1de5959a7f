package proxyconfig

import (
	"encoding/json"
	"slices"
	"strings"
)

// scope tells what of a proxy's configuration is of the pattern. The proxies of a mesh also hold what leads to others, which
// says nothing about the pattern, may be more than can be kept, and is another on another day.
type scope struct {
	// gateway says that all listeners are of the pattern: nobody else's Gateway selects its pods.
	gateway bool
	// marks are texts of which what is the pattern's has one: its namespaces and the hosts that its objects name, as Names has
	// them.
	marks []string
	// routes are the names of the route configurations that are kept.
	routes map[string]bool
}

// newScope is of a hop's proxies.
func newScope(gateway bool, namespaces, hosts []string, names *Names) *scope {
	s := &scope{gateway: gateway, routes: map[string]bool{}}
	for _, namespace := range namespaces {
		s.marks = append(s.marks, names.Replace(namespace))
	}
	for _, host := range hosts {
		// Short names are of a namespace, which is a mark by itself.
		if host = strings.TrimPrefix(host, "*."); strings.Contains(host, ".") {
			s.marks = append(s.marks, names.Replace(host))
		}
	}
	return s
}

// ours tells whether a part of the configuration names something of the pattern's, other than the proxy itself, whose own
// namespace it tells to traces.
func (s *scope) ours(part any) bool {
	content := text(untraced(part))
	return slices.ContainsFunc(s.marks, func(mark string) bool { return strings.Contains(content, mark) })
}

// untraced is the part without what only traces tell.
func untraced(part any) any {
	switch v := part.(type) {
	case map[string]any:
		kept := make(map[string]any, len(v))
		for field, value := range v {
			if field != "tracing" {
				kept[field] = untraced(value)
			}
		}
		return kept
	case []any:
		kept := make([]any, 0, len(v))
		for _, value := range v {
			kept = append(kept, untraced(value))
		}
		return kept
	}
	return part
}

// cluster tells whether a cluster is of the pattern, or one that every proxy of this kind has.
func (s *scope) cluster(cluster map[string]any) bool {
	name, _ := cluster["name"].(string)
	return !strings.HasPrefix(name, "outbound") || s.ours(cluster)
}

// route returns a route configuration without the virtual hosts of others; false when nothing in it is the pattern's. What
// becomes of all other requests stays.
func (s *scope) route(route map[string]any) bool {
	if s.gateway {
		return true
	}
	if !s.ours(route) {
		return false
	}
	if hosts, listed := route["virtual_hosts"].([]any); listed {
		route["virtual_hosts"] = slices.DeleteFunc(hosts, func(host any) bool { return !s.ours(host) && !ofAllHosts(host) })
	}
	if name, named := route["name"].(string); named {
		s.routes[name] = true
	}
	return true
}

// ofAllHosts tells whether a virtual host takes what no other one does.
func ofAllHosts(host any) bool {
	fields, _ := host.(map[string]any)
	domains, _ := fields["domains"].([]any)
	return slices.Contains(domains, any("*"))
}

// listener takes the filter chains of others out of a listener; false when nothing in it is the pattern's. The routes must have
// been chosen before.
func (s *scope) listener(listener map[string]any) bool {
	name, _ := listener["name"].(string)
	if s.gateway || name == "virtualInbound" || name == "virtualOutbound" || listener["traffic_direction"] == "INBOUND" {
		return true
	}
	found := s.ours(listener["default_filter_chain"]) || s.routed(listener["default_filter_chain"])
	if chains, listed := listener["filter_chains"].([]any); listed {
		listener["filter_chains"] = slices.DeleteFunc(chains, func(chain any) bool {
			ours := s.ours(chain) || s.routed(chain)
			found = found || ours
			return !ours && strings.Contains(text(chain), `"outbound|`)
		})
	}
	return found
}

// routed tells whether a filter chain uses one of the route configurations that are kept.
func (s *scope) routed(chain any) bool {
	var named struct {
		Filters []struct {
			Config struct {
				RDS struct {
					Name string `json:"route_config_name"`
				} `json:"rds"`
			} `json:"typed_config"`
		} `json:"filters"`
	}
	if json.Unmarshal([]byte(text(chain)), &named) != nil {
		return false
	}
	for _, filter := range named.Filters {
		if s.routes[filter.Config.RDS.Name] {
			return true
		}
	}
	return false
}
