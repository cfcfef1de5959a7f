package run

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Suite runs a pattern under `go test` or the ginkgo command, on the cluster of KUBECONFIG: for the author of a pattern,
// who wants Ginkgo's own flags and output. Probes start in a pod, because a test process is in nobody's network. images
// are the fixtures' images. A claim that is not proven fails here too.
func Suite(t *testing.T, p pattern.Pattern, images map[string]string) {
	t.Helper()
	kubeconfig := os.Getenv("KUBECONFIG")
	if kubeconfig == "" {
		t.Fatal("KUBECONFIG is not set: it names the cluster that the pattern is proven on; for the lab: export KUBECONFIG=$(meshproof lab kubeconfig)")
	}
	cluster, err := provider.FromKubeconfig(kubeconfig, "", images)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan([]pattern.Pattern{p}, cluster, Options{Suffix: os.Getenv("MESHPROOF_SUFFIX")})
	if err != nil {
		t.Fatal(err)
	}
	job := plan.Jobs[0]
	job.RunID, job.Client, job.Options = newRunID(time.Now(), "test"), "pod", plan.Options
	job.Results = filepath.Join(t.TempDir(), p.Name)
	gomega.RegisterFailHandler(ginkgo.Fail)
	c := &child{job: job, pattern: p, journal: v1.NewJournal(io.Discard, v1.JournalOptions{})}
	life, end := context.WithCancel(context.Background())
	defer end()
	ginkgo.BeforeSuite(func(ctx ginkgo.SpecContext) {
		release, err := c.takeNames(ctx, plan)
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
		ginkgo.DeferCleanup(release)
		c.setUp(ctx, life)
	})
	c.register()
	ginkgo.RunSpecs(t, p.Name)
}

// takeNames does what the parent does for a child: it finds the control plane and what the cluster does not have, and holds
// the run's names.
func (c *child) takeNames(ctx context.Context, plan *Plan) (release func(), err error) {
	config, err := c.job.Cluster.RESTConfig(true)
	if err != nil {
		return nil, err
	}
	client, err := kube.New(config)
	if err != nil {
		return nil, err
	}
	identity, err := c.job.Cluster.Identify(ctx, client, c.job.Options.Revision)
	if err != nil {
		return nil, fmt.Errorf("find the mesh: %w", err)
	}
	c.job.Revision = identity.Mesh.Revision
	if err := plan.Meet(client); err != nil {
		return nil, err
	}
	c.job.Unmet, c.job.Skipped, c.job.Claims = plan.Jobs[0].Unmet, plan.Jobs[0].Skipped, plan.Jobs[0].Claims
	release, _, err = claimNames(ctx, client, c.job.RunID, c.pattern.Name, c.pattern.Namespaces(c.job.Values), mesh.DefaultTimeouts)
	return release, err
}
