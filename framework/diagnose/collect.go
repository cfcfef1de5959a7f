// Package diagnose keeps what a person needs who looks into a check that is not proven, as it is when the check ends and before
// anything is taken back or cleaned up. It changes nothing, and judges nothing.
package diagnose

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/diagnose/rules"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/envoy"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/proxyconfig"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Scene is where a check ended.
type Scene struct {
	Client *kube.Client
	// Hops are the pattern's, in the order of the path; Used are the names of those that the check used, to which what is kept is
	// limited.
	Hops []rules.Hop
	Used []string
	// Proxies are those of the used hops, and Pattern says what of their configuration is the pattern's. Its Names should
	// replace nothing: who looks into a check looks for names.
	Proxies []*mesh.Proxy
	Pattern proxyconfig.Pattern
	// Before are the statistics of the proxies when they had settled.
	Before map[*mesh.Proxy]envoy.Stats
	// Objects are those that are installed, Namespaces where. Live returns what the function of this name does of these namespaces.
	Objects    []*unstructured.Unstructured
	Namespaces []string
	Live       func(context.Context) ([]*unstructured.Unstructured, error)
	// Flows are those around which the lines of logs are kept.
	Flows []evidence.Flow
	// Since is when the check began.
	Since time.Time
	// Redactor removes the secrets that it knows, and what looks like one.
	Redactor *v1.Redactor
}

// Collect writes what can be found out about the hops that the check used into a folder, each thing in a file of its own. What
// cannot be found out is an error, which keeps nothing else from being written:
//
//	objects.yaml             the objects as the cluster has them, Secrets without their values
//	configuration/<hop>.json what the proxies of each hop hold
//	certificates.yaml        the chains that they have, and that servers presented to probes, with their expiry
//	statistics.txt           the counters of each proxy that have moved since it had settled
//	logs/<pod>-<container>   the lines around the probes, of those since the check began
//	events.txt               the events
func Collect(ctx context.Context, folder string, scene Scene) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the diagnosis: %w", err)
	}
	live, err := scene.Live(ctx)
	of := newScope(scene.Hops, scene.Used, slices.Concat(scene.Objects, live))
	return errors.Join(
		err,
		scene.writeObjects(ctx, folder, of, live),
		scene.writeConfiguration(ctx, folder),
		scene.writeCertificates(ctx, folder),
		scene.writeStatistics(ctx, folder),
		scene.writeLogs(ctx, folder, of),
		scene.writeEvents(ctx, folder, of),
	)
}

func (s Scene) writeConfiguration(ctx context.Context, folder string) error {
	hops, err := proxyconfig.Record(ctx, s.Proxies, s.Pattern)
	if err != nil {
		return err
	}
	var errs []error
	for _, hop := range hops {
		errs = append(errs, v1.WriteConfiguration(folder, hop))
	}
	return errors.Join(errs...)
}

// write writes a file without secrets.
func (s Scene) write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(s.Redactor.String(string(content))), 0o644)
}
