package run

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/meshproof/meshproof/framework/diagnose"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/proxyconfig"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// diagnosisTimeout bounds what is collected about one check.
const diagnosisTimeout = 15 * time.Second

// diagnosisFolder is the one in a check's folder.
const diagnosisFolder = "diagnosis"

// begin reads the statistics that a diagnosis compares with. What cannot be read is missing there, which is told then.
func (i *installation) begin(ctx context.Context, proxies []*mesh.Proxy) {
	i.before, _ = diagnose.Statistics(ctx, proxies)
}

// diagnose collects what a red check leaves, before what it changed is taken back. It changes no verdict. A mutant's checks are red
// on purpose, many of them, and nobody looks into each.
func (c *child) diagnose(ctx ginkgo.SpecContext) {
	report := ginkgo.CurrentSpecReport()
	claim, found := c.claimOf(report.Labels())
	if !found || !report.Failed() || c.env.Observer == nil || c.job.Mutation != "" || ctx.Err() != nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, c.job.Options.TimeoutScale.Of(diagnosisTimeout))
	defer cancel()
	scene := c.install.scene(report.StartTime)
	if err := diagnose.Collect(limited, filepath.Join(c.job.Results, claim.Alias, diagnosisFolder), scene); err != nil {
		c.emit(v1.Event{Type: v1.Note, Message: "the diagnosis of " + claim.Alias + " is not whole: " + strings.ReplaceAll(err.Error(), "\n", "; ")})
	}
}

// scene is where a check ends that began then.
func (i *installation) scene(began time.Time) diagnose.Scene {
	c := i.child
	return diagnose.Scene{
		Client: i.client, Proxies: c.env.Observer.Proxies(), Pattern: i.recorded(new(proxyconfig.Names)), Before: i.before,
		Objects: i.objects, Namespaces: c.pattern.Namespaces(c.job.Values), Since: began, Redactor: redactor,
	}
}
