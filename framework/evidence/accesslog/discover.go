package accesslog

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

// Discover returns every access log of a proxy's active listeners, static ones included,
// in the order of the dump: those of network filters, of routers and of the listeners
// themselves. It takes a full /config_dump and the answers to
// ?resource=dynamic_listeners and ?resource=static_listeners.
//
// Warming listeners, which write nothing yet, and draining ones, which write the end of
// old connections, are left out. Logs that cannot be read back are reported with
// Readable false. An error says which listener could not be read.
func Discover(configDump []byte) ([]Sink, error) {
	listeners, err := envoy.ListenerConfigs(configDump)
	if err != nil {
		return nil, fmt.Errorf("accesslog: %w", err)
	}
	c := compiler{}
	var out []Sink
	for _, l := range listeners {
		if l.State != envoy.Active {
			continue
		}
		sinks, err := c.listener(l.JSON)
		if err != nil {
			return nil, fmt.Errorf("accesslog: listener %q: %w", l.Name, err)
		}
		for i := range sinks {
			sinks[i].Listener = l.Name
		}
		out = append(out, sinks...)
	}
	return out, nil
}

type listenerJSON struct {
	Chains  []chainJSON     `json:"filter_chains"`
	Default *chainJSON      `json:"default_filter_chain"`
	Logs    []accessLogJSON `json:"access_log"`
}

type chainJSON struct {
	Name    string       `json:"name"`
	Filters []filterJSON `json:"filters"`
}

// filterJSON is a network or HTTP filter; the configuration's shape depends on its type.
type filterJSON struct {
	Name   string          `json:"name"`
	Config json.RawMessage `json:"typed_config"`
}

func (c compiler) listener(raw json.RawMessage) ([]Sink, error) {
	var l listenerJSON
	if err := json.Unmarshal(raw, &l); err != nil {
		return nil, err
	}
	var out []Sink
	chains := l.Chains
	if l.Default != nil {
		chains = append(chains, *l.Default)
	}
	for i, chain := range chains {
		for _, filter := range chain.Filters {
			sinks, err := c.filter(filter)
			if err != nil {
				return nil, fmt.Errorf("filter chain %d (%q), filter %q: %w", i, chain.Name, filter.Name, err)
			}
			for j := range sinks {
				sinks[j].FilterChain, sinks[j].Chain = chain.Name, i
			}
			out = append(out, sinks...)
		}
	}
	own, err := c.sinks(l.Logs, Listener, "")
	if err != nil {
		return nil, err
	}
	for i := range own {
		own[i].Chain = NoChain
	}
	return append(out, own...), nil
}

// networkFilterJSON is what an HTTP connection manager and a TCP proxy say about logs.
type networkFilterJSON struct {
	Logs        []accessLogJSON `json:"access_log"`
	Options     interimJSON     `json:"access_log_options"`
	interimJSON                 // the deprecated place of the same options
	HTTPFilters []filterJSON    `json:"http_filters"`
}

// routerJSON is what a router, an HTTP filter, says about logs.
type routerJSON struct {
	Logs []accessLogJSON `json:"upstream_log"`
}

// interimJSON says when lines are written before the end.
type interimJSON struct {
	Interval  string `json:"access_log_flush_interval"`
	Request   bool   `json:"flush_access_log_on_new_request"`
	Tunnel    bool   `json:"flush_log_on_tunnel_successfully_established"`
	Connected bool   `json:"flush_access_log_on_connected"`
	Start     bool   `json:"flush_access_log_on_start"`
}

func (i interimJSON) times() []string {
	var out []string
	if i.Start {
		out = append(out, "when a connection begins")
	}
	if i.Connected {
		out = append(out, "when the upstream is connected")
	}
	if i.Request {
		out = append(out, "when a request begins")
	}
	if i.Tunnel {
		out = append(out, "when a tunnel is established")
	}
	if i.Interval != "" {
		out = append(out, "every "+i.Interval)
	}
	return out
}

func (c compiler) filter(filter filterJSON) ([]Sink, error) {
	message, config := unwrap(filter.Config)
	var kind Kind
	switch message {
	case "HttpConnectionManager":
		kind = HTTP
	case "TcpProxy":
		kind = TCP
	default:
		return c.otherFilter(Kind(message), config)
	}
	var n networkFilterJSON
	if err := json.Unmarshal(config, &n); err != nil {
		return nil, err
	}
	interim := strings.Join(append(n.Options.times(), n.times()...), ", ")
	out, err := c.sinks(n.Logs, kind, interim)
	if err != nil {
		return nil, err
	}
	for _, f := range n.HTTPFilters {
		message, config := unwrap(f.Config)
		if message != "Router" {
			continue
		}
		var r routerJSON
		if err := json.Unmarshal(config, &r); err != nil {
			return nil, fmt.Errorf("HTTP filter %q: %w", f.Name, err)
		}
		upstream, err := c.sinks(r.Logs, Upstream, "")
		if err != nil {
			return nil, fmt.Errorf("HTTP filter %q: %w", f.Name, err)
		}
		out = append(out, upstream...)
	}
	return out, nil
}

// otherFilter looks for logs where most network filters have them. One that uses the
// name for something else has none.
func (c compiler) otherFilter(kind Kind, config json.RawMessage) ([]Sink, error) {
	var n struct {
		Logs []accessLogJSON `json:"access_log"`
	}
	if len(config) == 0 || json.Unmarshal(config, &n) != nil {
		return nil, nil
	}
	return c.sinks(n.Logs, kind, "")
}

func (c compiler) sinks(logs []accessLogJSON, kind Kind, interim string) ([]Sink, error) {
	var out []Sink
	for _, log := range logs {
		s, err := c.sink(log)
		if err != nil {
			return nil, err
		}
		s.Kind, s.Interim = kind, interim
		out = append(out, s)
	}
	return out, nil
}

// unwrap returns a typed configuration's short type and the configuration itself, also
// out of a TypedStruct, which names its type in a field.
func unwrap(config json.RawMessage) (string, json.RawMessage) {
	var head struct {
		Type  string          `json:"@type"`
		URL   string          `json:"type_url"`
		Value json.RawMessage `json:"value"`
	}
	if len(config) == 0 || json.Unmarshal(config, &head) != nil {
		return "", nil
	}
	if message := shortType(head.Type); message != "TypedStruct" {
		return message, config
	}
	return shortType(head.URL), head.Value
}
