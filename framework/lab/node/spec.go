// Package node is what runs inside a lab's namespaces: the first process of them, which arranges the root file system and
// the network, starts every part of the cluster in order, and stays as their supervisor.
package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// Spec is everything that a node needs to know. It is written by `lab up` and read by the node's first process.
type Spec struct {
	// Name is the lab's name.
	Name string `json:"name"`
	// StateDir is the lab's own folder, the same path inside and outside; CacheDir is the cache's, read-only inside.
	StateDir string `json:"stateDir"`
	CacheDir string `json:"cacheDir"`
	// Program is the file of the running program, for the node's root.
	Program   string          `json:"program"`
	Artifacts build.Artifacts `json:"artifacts"`
	// Cgroup is the path of the lab's control group below each hierarchy's mount point, for example "/meshproof-default".
	Cgroup string `json:"cgroup"`
	// StoreOnly makes the node import the images into an empty store and end, instead of starting a cluster.
	StoreOnly bool `json:"storeOnly,omitempty"`
}

// The addresses of a node. They are the same in every lab, because every lab has a network of its own.
const (
	Bridge      = "lab0"
	NodeAddress = "10.244.0.1"
	PodCIDR     = "10.244.0.0/22"
	ServiceCIDR = "10.96.0.0/16"
	DNSAddress  = "10.96.0.10"
	// LoadBalancerCIDR is where Services of type LoadBalancer get their addresses.
	LoadBalancerCIDR = "10.244.200.0/24"
	APIPort          = 6443
	// NodeName is the name of the one node.
	NodeName = "lab"
	// LoadBalancerZone holds the names of LoadBalancers: <service>.<namespace>.lb.mesh.lab
	LoadBalancerZone = "lb.mesh.lab"
	// AppsDomain holds the hosts of Routes. Every name in it leads to RouterAddress, an address of LoadBalancerCIDR that is
	// kept for the router.
	AppsDomain    = "apps.mesh.lab"
	RouterAddress = "10.244.200.254"
)

// Files of a lab's folder.
func (s Spec) file(parts ...string) string {
	return filepath.Join(append([]string{s.StateDir}, parts...)...)
}

// SpecFile is where Write puts the spec.
func (s Spec) SpecFile() string { return s.file("spec.json") }

// LogDir holds one log per part.
func (s Spec) LogDir() string { return s.file("log") }

// ControlSocket is where the supervisor answers.
func (s Spec) ControlSocket() string { return s.file("control.sock") }

// StoreDir is the container runtime's store.
func (s Spec) StoreDir() string { return s.file("containerd") }

// CertificateDir holds the cluster's keys.
func (s Spec) CertificateDir() string { return s.file("pki") }

// routerCertificateDir holds the default certificate of the router, and its authority.
func (s Spec) routerCertificateDir() string { return s.file("pki", "router") }

// AdminKubeconfig is for use inside the lab's network.
func (s Spec) AdminKubeconfig() string { return s.file("kubeconfig-inside") }

// HostKubeconfig is for use on the host, through the forwarder.
func (s Spec) HostKubeconfig() string { return s.file("kubeconfig") }

// ResolvConf makes a process in the lab's network use the lab's names.
func (s Spec) ResolvConf() string { return s.file("resolv.conf") }

// Write stores the spec in its folder.
func (s Spec) Write() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.SpecFile(), data, 0o600)
}

// ReadSpec reads what Write stored.
func ReadSpec(path string) (Spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Spec{}, fmt.Errorf("read the lab's spec: %w", err)
	}
	var spec Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		return Spec{}, fmt.Errorf("read the lab's spec %s: %w", path, err)
	}
	return spec, nil
}

// Report is one line that the node writes to the process that started it.
type Report struct {
	// Step names a step that started (Done false) or ended (Done true).
	Step   string  `json:"step,omitempty"`
	Done   bool    `json:"done,omitempty"`
	Detail string  `json:"detail,omitempty"`
	Error  string  `json:"error,omitempty"`
	After  float64 `json:"after"` // seconds since the node started
	// Ready is set in the last report of a start that succeeded.
	Ready bool `json:"ready,omitempty"`
}

// PartStatus is what the supervisor knows of one part.
type PartStatus struct {
	Name string `json:"name"`
	// PID is in the lab's own PID namespace.
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"startedAt"`
	// Exit is empty while the part runs, and else how it ended, for example "exit status 1".
	Exit string `json:"exit,omitempty"`
	Log  string `json:"log"`
}

// Status is the supervisor's answer.
type Status struct {
	StartedAt time.Time    `json:"startedAt"`
	Ready     bool         `json:"ready"`
	Parts     []PartStatus `json:"parts"`
}

// Describe shortens a list of parts for people: those that run, and those that have ended with how.
func (s Status) Describe() string {
	var running []string
	var ended []string
	for _, p := range s.Parts {
		if p.Exit == "" {
			running = append(running, p.Name)
		} else {
			ended = append(ended, p.Name+" ("+p.Exit+", log "+p.Log+")")
		}
	}
	text := strings.Join(running, ", ")
	if len(ended) > 0 && text != "" {
		text += "; "
	}
	if len(ended) > 0 {
		text += "ended: " + strings.Join(ended, ", ")
	}
	return text
}

// The files that the first process inherits, by number.
const (
	// ReportFD takes Reports, one JSON line each.
	ReportFD = 3
	// LeaseFD is a pipe: while its other end is open and silent, the starter is still there. "keep" on it means that the
	// start was accepted; its end without that word makes the node end, so that an abandoned start leaves nothing.
	LeaseFD = 4
	// ListenerFD is a listener on the host's 127.0.0.1, whose connections are forwarded to the API server.
	ListenerFD = 5
)

// KeepWord is what accepts a start.
const KeepWord = "keep\n"
