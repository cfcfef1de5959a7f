package envoy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Listener is one listener in one state; a listener that is being replaced appears
// once as active and once as warming.
type Listener struct {
	Name      string
	State     State
	Static    bool
	Version   string // of the update that brought it; empty for static ones
	Direction string // "INBOUND", "OUTBOUND" or empty
	Address   Address
	More      []Address // additional addresses
	Chains    []FilterChain
	Default   *FilterChain // takes what no chain matches; nil: such connections are closed
	// Rejected is why the proxy refused the newest update of this listener;
	// empty when it took it.
	Rejected string
}

// FilterChain is what a listener does with the connections that match.
type FilterChain struct {
	Name    string
	Match   ChainMatch
	TLS     *TLS     // nil: the chain takes plain text
	Filters []string // network filters by name, in order
	// RouteConfig is the route configuration of the HTTP connection manager, inline
	// or discovered; empty without one.
	RouteConfig string
	// Clusters are the targets of the TCP proxy; empty without one.
	Clusters []WeightedCluster
}

// ChainMatch is what a connection must be for a chain to take it. Empty fields
// match everything.
type ChainMatch struct {
	ServerNames          []string
	TransportProtocol    string // "tls" or "raw_buffer"
	ApplicationProtocols []string
	DestinationPort      uint32   // 0: any
	PrefixRanges         []string // destination, "10.0.0.0/8"
	SourcePrefixRanges   []string
}

var listenerKind = resourceKind{
	what: "listeners",
	dump: "ListenersConfigDump",
	lists: []resourceList{
		{field: "static_listeners", state: Active, static: true},
		{field: "dynamic_listeners"},
	},
	items: []resourceItem{
		{message: "ListenersConfigDump.StaticListener", state: Active, static: true},
		{message: "ListenersConfigDump.DynamicListener"},
	},
}

// Listeners returns the listeners of a configuration dump in the dump's order. It
// takes a full /config_dump and the answers to ?resource=dynamic_listeners and
// ?resource=static_listeners. An error says which listener could not be read.
func Listeners(configDump []byte) ([]Listener, error) {
	found, err := listenerKind.read(configDump)
	if err != nil {
		return nil, err
	}
	var out []Listener
	var refused []listenerEntry
	for _, r := range found {
		var entry listenerEntry
		if err := r.decode(&entry); err != nil {
			return nil, err
		}
		for _, s := range entry.states(r) {
			listener, err := parseListener(s.listener)
			if err != nil {
				return nil, fmt.Errorf("envoy: configuration dump: %s, listener %q: %w", r.where, s.name, err)
			}
			listener.Name, listener.State, listener.Static, listener.Version = s.name, s.state, r.static, s.version
			out = append(out, listener)
		}
		if entry.Error != nil {
			refused = append(refused, entry)
		}
	}
	return addRefused(out, refused), nil
}

// addRefused notes refusals at the listeners that stayed as they were, and adds those
// that never came to be. Envoy reports one refusal up to twice, the second time
// without a name beside it.
func addRefused(listeners []Listener, refused []listenerEntry) []Listener {
	for _, entry := range refused {
		name := entry.Name
		if name == "" {
			name = entry.Error.Config.Name
		}
		known := false
		for i := range listeners {
			if listeners[i].Name == name {
				listeners[i].Rejected, known = entry.Error.Details, true
			}
		}
		if !known {
			listeners = append(listeners, Listener{Name: name, State: Refused, Rejected: entry.Error.Details})
		}
	}
	return listeners
}

// listenerEntry reads StaticListener (listener) and DynamicListener (the states).
type listenerEntry struct {
	Name     string           `json:"name"`
	Listener json.RawMessage  `json:"listener"`
	Active   *listenerState   `json:"active_state"`
	Warming  *listenerState   `json:"warming_state"`
	Draining *listenerState   `json:"draining_state"`
	Error    *updateErrorJSON `json:"error_state"`
}

type listenerState struct {
	Version  string          `json:"version_info"`
	Listener json.RawMessage `json:"listener"`
}

// updateErrorJSON is envoy.admin.v3.UpdateFailureState. Of the refused configuration
// only the name is kept: the rest is no part of what the proxy does.
type updateErrorJSON struct {
	Details string `json:"details"`
	Config  struct {
		Name string `json:"name"`
	} `json:"failed_configuration"`
}

type statedListener struct {
	name, version string
	state         State
	listener      json.RawMessage
}

func (e listenerEntry) states(r resource) []statedListener {
	var out []statedListener
	add := func(state State, s *listenerState) {
		if s == nil || len(s.Listener) == 0 {
			return
		}
		name := e.Name
		if name == "" {
			name = nameOf(s.Listener)
		}
		out = append(out, statedListener{name: name, version: s.Version, state: state, listener: s.Listener})
	}
	if r.static {
		add(Active, &listenerState{Listener: e.Listener})
		return out
	}
	add(Active, e.Active)
	add(Warming, e.Warming)
	add(Draining, e.Draining)
	return out
}

func nameOf(object json.RawMessage) string {
	var named struct {
		Name string `json:"name"`
	}
	// An unreadable object is reported by whoever decodes the whole of it.
	_ = json.Unmarshal(object, &named)
	return named.Name
}

type listenerJSON struct {
	Direction string      `json:"traffic_direction"`
	Address   addressJSON `json:"address"`
	More      []struct {
		Address addressJSON `json:"address"`
	} `json:"additional_addresses"`
	Chains  []filterChainJSON `json:"filter_chains"`
	Default *filterChainJSON  `json:"default_filter_chain"`
}

type filterChainJSON struct {
	Name  string `json:"name"`
	Match struct {
		ServerNames     []string     `json:"server_names"`
		Transport       string       `json:"transport_protocol"`
		Applications    []string     `json:"application_protocols"`
		DestinationPort count        `json:"destination_port"`
		Prefixes        []prefixJSON `json:"prefix_ranges"`
		Sources         []prefixJSON `json:"source_prefix_ranges"`
	} `json:"filter_chain_match"`
	Socket  *transportSocketJSON `json:"transport_socket"`
	Filters []networkFilterJSON  `json:"filters"`
}

type prefixJSON struct {
	Address string `json:"address_prefix"`
	Length  count  `json:"prefix_len"`
}

// networkFilterJSON leaves the configuration undecoded until its type is known:
// other filters use the same field names for other things.
type networkFilterJSON struct {
	Name   string          `json:"name"`
	Config json.RawMessage `json:"typed_config"`
}

type httpManagerJSON struct {
	RDS *struct {
		Name string `json:"route_config_name"`
	} `json:"rds"`
	RouteConfig *struct {
		Name string `json:"name"`
	} `json:"route_config"`
}

type tcpProxyJSON struct {
	Cluster  string                `json:"cluster"`
	Weighted *weightedClustersJSON `json:"weighted_clusters"`
}

func parseListener(raw json.RawMessage) (Listener, error) {
	var j listenerJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return Listener{}, err
	}
	out := Listener{Direction: j.Direction, Address: j.Address.address()}
	for _, more := range j.More {
		out.More = append(out.More, more.Address.address())
	}
	for i, chain := range j.Chains {
		c, err := chain.chain()
		if err != nil {
			return Listener{}, fmt.Errorf("filter chain %d (%q): %w", i, chain.Name, err)
		}
		out.Chains = append(out.Chains, c)
	}
	if j.Default != nil {
		c, err := j.Default.chain()
		if err != nil {
			return Listener{}, fmt.Errorf("default filter chain: %w", err)
		}
		out.Default = &c
	}
	return out, nil
}

func (j filterChainJSON) chain() (FilterChain, error) {
	tls, err := j.Socket.tls()
	if err != nil {
		return FilterChain{}, err
	}
	out := FilterChain{
		Name: j.Name,
		TLS:  tls,
		Match: ChainMatch{
			ServerNames:          j.Match.ServerNames,
			TransportProtocol:    j.Match.Transport,
			ApplicationProtocols: j.Match.Applications,
			DestinationPort:      uint32(j.Match.DestinationPort),
			PrefixRanges:         prefixes(j.Match.Prefixes),
			SourcePrefixRanges:   prefixes(j.Match.Sources),
		},
	}
	for _, f := range j.Filters {
		out.Filters = append(out.Filters, f.Name)
		if err := f.readInto(&out); err != nil {
			return FilterChain{}, fmt.Errorf("filter %q: %w", f.Name, err)
		}
	}
	return out, nil
}

// readInto keeps what the HTTP connection manager and the TCP proxy say about where
// traffic goes on.
func (j networkFilterJSON) readInto(chain *FilterChain) error {
	if len(j.Config) == 0 {
		return nil
	}
	message, err := messageOf(j.Config)
	if err != nil {
		return err
	}
	switch {
	case strings.HasSuffix(message, ".HttpConnectionManager"):
		var manager httpManagerJSON
		if err := json.Unmarshal(j.Config, &manager); err != nil {
			return err
		}
		switch {
		case manager.RDS != nil:
			chain.RouteConfig = manager.RDS.Name
		case manager.RouteConfig != nil:
			chain.RouteConfig = manager.RouteConfig.Name
		}
	case strings.HasSuffix(message, ".TcpProxy"):
		var proxy tcpProxyJSON
		if err := json.Unmarshal(j.Config, &proxy); err != nil {
			return err
		}
		chain.Clusters = targets(proxy.Cluster, proxy.Weighted)
	}
	return nil
}

func prefixes(list []prefixJSON) []string {
	var out []string
	for _, p := range list {
		out = append(out, fmt.Sprintf("%s/%d", p.Address, p.Length))
	}
	return out
}
