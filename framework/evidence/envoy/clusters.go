package envoy

import (
	"encoding/json"
	"fmt"
	"time"
)

// Cluster is one upstream cluster of a configuration dump.
type Cluster struct {
	Name    string
	State   State
	Static  bool
	Version string // of the update that brought it; empty for static ones
	// Type is how endpoints are found: "STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS",
	// "ORIGINAL_DST", or the name of a custom cluster type.
	Type string
	// AltStatName replaces the name in statistics; empty: the name is used.
	AltStatName string
	// TLS is the socket for hosts that no entry of Matches takes; nil: plain text.
	TLS *TLS
	// Matches choose a socket by a host's metadata, first match first. Istio's
	// automatic mutual TLS is one of these.
	Matches  []TransportSocketMatch
	Breakers []Threshold
	Outlier  *OutlierDetection // nil: hosts are never ejected
	// Rejected is why the proxy refused the newest update of this cluster; empty
	// when it took it.
	Rejected string
}

// Threshold is one circuit breaker. Limits are per proxy, not per host or worker, and
// each worker may still go beyond them by one per host; nil is not configured, so
// that Envoy's default applies.
type Threshold struct {
	Priority           string // "DEFAULT" or "HIGH"
	MaxConnections     *uint64
	MaxPendingRequests *uint64
	MaxRequests        *uint64
	MaxRetries         *uint64
}

// OutlierDetection is when hosts are ejected; nil fields are not configured, so that
// Envoy's defaults apply.
type OutlierDetection struct {
	Consecutive5xx                 *uint64
	ConsecutiveGatewayFailure      *uint64
	ConsecutiveLocalOriginFailure  *uint64
	Interval                       *time.Duration
	BaseEjectionTime               *time.Duration
	MaxEjectionPercent             *uint64
	SplitExternalLocalOriginErrors bool
}

var clusterKind = resourceKind{
	what: "clusters",
	dump: "ClustersConfigDump",
	lists: []resourceList{
		{field: "static_clusters", state: Active, static: true},
		{field: "dynamic_active_clusters", state: Active},
		{field: "dynamic_warming_clusters", state: Warming},
	},
	items: []resourceItem{
		{message: "ClustersConfigDump.StaticCluster", state: Active, static: true},
		{message: "ClustersConfigDump.DynamicCluster", state: Unstated},
	},
}

// Clusters returns the clusters of a configuration dump in the dump's order. It
// takes a full /config_dump and the answers to ?resource=dynamic_active_clusters,
// dynamic_warming_clusters and static_clusters; see Unstated for their State. An
// error says which cluster could not be read.
func Clusters(configDump []byte) ([]Cluster, error) {
	found, err := clusterKind.read(configDump)
	if err != nil {
		return nil, err
	}
	out := make([]Cluster, 0, len(found))
	for _, r := range found {
		var entry clusterEntry
		if err := r.decode(&entry); err != nil {
			return nil, err
		}
		cluster, err := entry.Cluster.cluster()
		if err != nil {
			return nil, fmt.Errorf("envoy: configuration dump: %s, cluster %q: %w", r.where, entry.Cluster.Name, err)
		}
		cluster.State, cluster.Static, cluster.Version = r.state, r.static, entry.Version
		if entry.Error != nil {
			cluster.Rejected = entry.Error.Details
		}
		out = append(out, cluster)
	}
	return out, nil
}

type clusterEntry struct {
	Version string           `json:"version_info"`
	Cluster clusterJSON      `json:"cluster"`
	Error   *updateErrorJSON `json:"error_state"`
}

type clusterJSON struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	AltStatName string `json:"alt_stat_name"`
	ClusterType *struct {
		Name string `json:"name"`
	} `json:"cluster_type"`
	Socket  *transportSocketJSON `json:"transport_socket"`
	Matches []struct {
		Name   string                     `json:"name"`
		Match  map[string]json.RawMessage `json:"match"`
		Socket *transportSocketJSON       `json:"transport_socket"`
	} `json:"transport_socket_matches"`
	Breakers struct {
		Thresholds []thresholdJSON `json:"thresholds"`
	} `json:"circuit_breakers"`
	Outlier *outlierJSON `json:"outlier_detection"`
}

type thresholdJSON struct {
	Priority    string `json:"priority"`
	Connections *count `json:"max_connections"`
	Pending     *count `json:"max_pending_requests"`
	Requests    *count `json:"max_requests"`
	Retries     *count `json:"max_retries"`
}

type outlierJSON struct {
	Consecutive5xx *count   `json:"consecutive_5xx"`
	Gateway        *count   `json:"consecutive_gateway_failure"`
	Local          *count   `json:"consecutive_local_origin_failure"`
	Interval       *seconds `json:"interval"`
	Base           *seconds `json:"base_ejection_time"`
	MaxPercent     *count   `json:"max_ejection_percent"`
	Split          bool     `json:"split_external_local_origin_errors"`
}

func (j clusterJSON) cluster() (Cluster, error) {
	out := Cluster{Name: j.Name, Type: j.Type, AltStatName: j.AltStatName}
	if j.ClusterType != nil {
		out.Type = j.ClusterType.Name
	}
	if out.Type == "" {
		out.Type = "STATIC" // protobuf omits an enumeration's first value
	}
	var err error
	if out.TLS, err = j.Socket.tls(); err != nil {
		return Cluster{}, err
	}
	for i, m := range j.Matches {
		tls, err := m.Socket.tls()
		if err != nil {
			return Cluster{}, fmt.Errorf("transport socket match %d (%q): %w", i, m.Name, err)
		}
		match := TransportSocketMatch{Name: m.Name, TLS: tls}
		for key, value := range m.Match {
			if match.Match == nil {
				match.Match = make(map[string]string, len(m.Match))
			}
			match.Match[key] = plain(value)
		}
		out.Matches = append(out.Matches, match)
	}
	for _, t := range j.Breakers.Thresholds {
		out.Breakers = append(out.Breakers, t.threshold())
	}
	if o := j.Outlier; o != nil {
		out.Outlier = &OutlierDetection{
			Consecutive5xx:                 o.Consecutive5xx.limit(),
			ConsecutiveGatewayFailure:      o.Gateway.limit(),
			ConsecutiveLocalOriginFailure:  o.Local.limit(),
			Interval:                       o.Interval.duration(),
			BaseEjectionTime:               o.Base.duration(),
			MaxEjectionPercent:             o.MaxPercent.limit(),
			SplitExternalLocalOriginErrors: o.Split,
		}
	}
	return out, nil
}

func (j thresholdJSON) threshold() Threshold {
	out := Threshold{
		Priority:           j.Priority,
		MaxConnections:     j.Connections.limit(),
		MaxPendingRequests: j.Pending.limit(),
		MaxRequests:        j.Requests.limit(),
		MaxRetries:         j.Retries.limit(),
	}
	if out.Priority == "" {
		out.Priority = "DEFAULT" // protobuf omits an enumeration's first value
	}
	return out
}

// plain is the text of a JSON string, or the JSON of anything else.
func plain(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}
