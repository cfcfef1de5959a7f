package envoy

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// ServerInfo is what a proxy says about itself.
type ServerInfo struct {
	// Version is the whole string: commit/release/tree/build/TLS library.
	Version string
	// State is "LIVE", "DRAINING", "PRE_INITIALIZING" or "INITIALIZING".
	State string
	// Uptime is since this process started, to the second.
	Uptime time.Duration
	// UptimeAllEpochs is since the first process of a chain of hot restarts.
	UptimeAllEpochs time.Duration
	NodeID          string
	NodeCluster     string
	// Concurrency is the number of worker threads; 0 if the proxy does not say.
	Concurrency uint32
	// FileFlushInterval is how often it writes its access logs.
	FileFlushInterval time.Duration
}

// defaultFlushInterval is Envoy's own, of a proxy that does not say.
const defaultFlushInterval = 10 * time.Second

// ParseServerInfo reads the answer to /server_info. An answer without a version is an
// error. Command line and node metadata are not kept.
func ParseServerInfo(r io.Reader) (ServerInfo, error) {
	var answer struct {
		Version string  `json:"version"`
		State   string  `json:"state"`
		Uptime  seconds `json:"uptime_current_epoch"`
		All     seconds `json:"uptime_all_epochs"`
		Options struct {
			Concurrency count   `json:"concurrency"`
			Flush       seconds `json:"file_flush_interval"`
		} `json:"command_line_options"`
		Node struct {
			ID      string `json:"id"`
			Cluster string `json:"cluster"`
		} `json:"node"`
	}
	if err := json.NewDecoder(r).Decode(&answer); err != nil {
		return ServerInfo{}, fmt.Errorf("envoy: /server_info: %w", err)
	}
	if answer.Version == "" {
		return ServerInfo{}, fmt.Errorf("envoy: /server_info: no \"version\" in it")
	}
	if answer.State == "" {
		answer.State = "LIVE" // protobuf omits an enumeration's first value
	}
	if answer.Options.Flush == 0 {
		answer.Options.Flush = seconds(defaultFlushInterval)
	}
	return ServerInfo{
		Version:         answer.Version,
		State:           answer.State,
		Uptime:          time.Duration(answer.Uptime),
		UptimeAllEpochs: time.Duration(answer.All),
		NodeID:          answer.Node.ID,
		NodeCluster:     answer.Node.Cluster,
		Concurrency:     uint32(answer.Options.Concurrency),

		FileFlushInterval: time.Duration(answer.Options.Flush),
	}, nil
}

// Release is the release in Version, "1.40.0"; empty if Version has another form.
func (s ServerInfo) Release() string {
	parts := strings.Split(s.Version, "/")
	if len(parts) < 3 {
		return ""
	}
	return parts[1]
}
