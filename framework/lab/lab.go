// Package lab builds and runs meshproof's embedded cluster: a real one-node Kubernetes with a real istiod and real Envoy
// proxies, in Linux namespaces of its own, with nothing installed on the host and no route out.
package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// DefaultName is the lab that commands use when none is named.
const DefaultName = "default"

// Options say which lab is meant, and where its files are. The zero value is the default lab in the user's folders.
type Options struct {
	// Name tells labs on one machine apart; empty means DefaultName.
	Name string
	// CacheDir keeps what is built (empty: meshproof in the user's cache folder), StateDir what a lab writes while it runs
	// (empty: meshproof in XDG_STATE_HOME or ~/.local/state).
	CacheDir, StateDir string
	// Versions chooses the parts.
	Versions build.Versions
	// Progress is told what goes on; nil means nobody.
	Progress build.Progress
}

// ErrNotRunning is the error of whatever needs a running lab.
var ErrNotRunning = errors.New("the lab is not running: start it with `meshproof lab up`")

// ErrUnsupported is the error of a machine that cannot run a lab.
var ErrUnsupported = errors.New("the lab cannot run here")

// ErrName is the error of a name that could not be part of a path or a control group.
var ErrName = errors.New("no name for a lab")

// ErrVersions is the error of a choice of versions that cannot be had, or not while the lab runs.
var ErrVersions = errors.New("the lab cannot have these versions")

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// withDefaults fills in what is empty, and refuses a name that could not be part of a path or a control group.
func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if !validName.MatchString(o.Name) {
		return o, fmt.Errorf("%q is %w: use up to 32 of a-z, 0-9 and -", o.Name, ErrName)
	}
	if o.Progress == nil {
		o.Progress = build.Silent{}
	}
	if o.CacheDir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("find the cache folder (set --cache-dir): %w", err)
		}
		o.CacheDir = filepath.Join(base, "meshproof")
	}
	if o.StateDir == "" {
		base := os.Getenv("XDG_STATE_HOME")
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return o, fmt.Errorf("find the state folder (set --state-dir): %w", err)
			}
			base = filepath.Join(home, ".local", "state")
		}
		o.StateDir = filepath.Join(base, "meshproof")
	}
	var err error
	if o.CacheDir, err = filepath.Abs(o.CacheDir); err != nil {
		return o, err
	}
	o.StateDir, err = filepath.Abs(o.StateDir)
	return o, err
}

// Cache is where what the lab is built from is kept.
func (o Options) Cache() (build.Cache, error) {
	o, err := o.withDefaults()
	return build.Cache{Dir: o.CacheDir}, err
}

// dir is the folder of this lab.
func (o Options) dir() string { return filepath.Join(o.StateDir, "lab", o.Name) }

// Lab is a running lab.
type Lab struct {
	// Name is the lab's name.
	Name string `json:"name"`
	// Dir is its folder, with the logs of its parts in log/.
	Dir string `json:"dir"`
	// PID is the first process of its namespaces, and StartTicks that process's start time as the kernel counts it, by which
	// a later process with the same number is told from it.
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"startTicks"`
	// Kubeconfig works on the host, through the forwarder at 127.0.0.1; KubeconfigInside works in the lab's network.
	Kubeconfig       string `json:"kubeconfig"`
	KubeconfigInside string `json:"kubeconfigInside"`
	Port             int    `json:"port"`
	Kubernetes       string `json:"kubernetes"`
	// Revisions are its control planes of Istio; the first is the default.
	Revisions []Revision `json:"revisions"`
	StartedAt time.Time  `json:"startedAt"`
	// Cgroup is the lab's control group; Programs are folders of its command-line programs (kubectl, istioctl).
	Cgroup   string   `json:"cgroup"`
	Programs []string `json:"programs"`
	// Artifacts are the cache entries that it runs.
	Artifacts build.Artifacts `json:"artifacts"`
}
