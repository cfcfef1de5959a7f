package envoy

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// ClusterStatus is one cluster of /clusters: what it really does, where Cluster is
// what it was configured to do.
type ClusterStatus struct {
	Name        string
	AddedViaAPI bool
	// StatName is the name in statistics where it differs from Name.
	StatName string
	Hosts    []HostStatus
	Breakers []Threshold
}

// HostStatus is one host of a cluster. Its counters start when the host is added or
// its cluster is rebuilt, and no statistics filter hides them.
type HostStatus struct {
	Address  Address
	Hostname string
	Locality string // "region/zone/sub_zone", empty parts kept; empty if none is set
	Weight   uint64
	Priority uint64
	// EDSHealth is the health that the control plane announced: "HEALTHY",
	// "UNHEALTHY", "DRAINING", "DEGRADED"; empty for unknown.
	EDSHealth string
	// Flags are the reasons why the proxy avoids the host, sorted:
	// "failed_outlier_check", "failed_active_health_check",
	// "pending_dynamic_removal", ... None when it has no reason of its own.
	Flags []string
	stats map[string]uint64
}

// ParseClusters reads the answer to /clusters?format=json. Clusters and hosts keep
// the answer's order. An answer without any cluster list is an error; note that the
// plain /clusters is text, and fails here.
func ParseClusters(r io.Reader) ([]ClusterStatus, error) {
	var answer struct {
		Clusters *[]clusterStatusJSON `json:"cluster_statuses"`
	}
	if err := json.NewDecoder(r).Decode(&answer); err != nil {
		return nil, fmt.Errorf("envoy: /clusters?format=json: %w", err)
	}
	if answer.Clusters == nil {
		return nil, fmt.Errorf("envoy: /clusters?format=json: no \"cluster_statuses\" in it")
	}
	out := make([]ClusterStatus, 0, len(*answer.Clusters))
	for _, c := range *answer.Clusters {
		status := ClusterStatus{Name: c.Name, AddedViaAPI: c.AddedViaAPI}
		if c.StatName != c.Name {
			status.StatName = c.StatName
		}
		for _, h := range c.Hosts {
			host, err := h.host()
			if err != nil {
				return nil, fmt.Errorf("envoy: /clusters?format=json: cluster %q: %w", c.Name, err)
			}
			status.Hosts = append(status.Hosts, host)
		}
		for _, t := range c.Breakers.Thresholds {
			status.Breakers = append(status.Breakers, t.threshold())
		}
		out = append(out, status)
	}
	return out, nil
}

// Stat returns one counter or gauge of the host: cx_total, cx_active,
// cx_connect_fail, rq_total, rq_active, rq_success, rq_error, rq_timeout. False when
// the proxy does not report it; a reported zero is zero and true.
func (h HostStatus) Stat(name string) (uint64, bool) {
	value, ok := h.stats[name]
	return value, ok
}

// Available says whether the proxy has no reason to avoid the host.
func (h HostStatus) Available() bool {
	return len(h.Flags) == 0 && (h.EDSHealth == "" || h.EDSHealth == "HEALTHY")
}

// Sum adds one counter or gauge over the cluster's hosts. False when a host does not
// report it, or there is no host.
func (c ClusterStatus) Sum(name string) (uint64, bool) {
	var sum uint64
	for _, h := range c.Hosts {
		value, ok := h.Stat(name)
		if !ok {
			return 0, false
		}
		sum += value
	}
	return sum, len(c.Hosts) > 0
}

type clusterStatusJSON struct {
	Name        string           `json:"name"`
	AddedViaAPI bool             `json:"added_via_api"`
	StatName    string           `json:"observability_name"`
	Hosts       []hostStatusJSON `json:"host_statuses"`
	Breakers    struct {
		Thresholds []thresholdJSON `json:"thresholds"`
	} `json:"circuit_breakers"`
}

type hostStatusJSON struct {
	Address  addressJSON `json:"address"`
	Hostname string      `json:"hostname"`
	Weight   count       `json:"weight"`
	Priority count       `json:"priority"`
	Locality struct {
		Region  string `json:"region"`
		Zone    string `json:"zone"`
		SubZone string `json:"sub_zone"`
	} `json:"locality"`
	Stats []struct {
		Name  string `json:"name"`
		Value count  `json:"value"` // left out when zero
	} `json:"stats"`
	Health map[string]json.RawMessage `json:"health_status"`
}

func (j hostStatusJSON) host() (HostStatus, error) {
	out := HostStatus{
		Address:  j.Address.address(),
		Hostname: j.Hostname,
		Weight:   uint64(j.Weight),
		Priority: uint64(j.Priority),
		stats:    make(map[string]uint64, len(j.Stats)),
	}
	if l := j.Locality; l.Region != "" || l.Zone != "" || l.SubZone != "" {
		out.Locality = l.Region + "/" + l.Zone + "/" + l.SubZone
	}
	for _, s := range j.Stats {
		out.stats[s.Name] = uint64(s.Value)
	}
	for name, raw := range j.Health {
		if name == "eds_health_status" {
			if err := json.Unmarshal(raw, &out.EDSHealth); err != nil {
				return HostStatus{}, fmt.Errorf("host %s: %s: %w", out.Address, name, err)
			}
			if out.EDSHealth == "UNKNOWN" {
				out.EDSHealth = ""
			}
			continue
		}
		// Every other field is a flag, and a future one is a reason too.
		if string(raw) == "true" {
			out.Flags = append(out.Flags, name)
		}
	}
	slices.Sort(out.Flags)
	return out, nil
}
