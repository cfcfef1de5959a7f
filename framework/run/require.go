package run

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/provider"
)

// loadNotAllowed is why a claim that sends load is skipped.
const loadNotAllowed = "it sends heavy load, and this cluster is no lab: allow it with --allow-load"

// mayLoad tells whether heavy load may be sent: to a lab, which is meant for it, or where the user allows it.
func (p *Plan) mayLoad(job Job) bool {
	return p.Options.AllowLoad || job.Cluster != nil && job.Cluster.Provider == provider.Lab
}

// Meet asks the cluster which of the patterns' requirements it meets. Claims that need one that it does not meet, and
// those that send load where none is allowed, are not run, and are in the report as skipped.
func (p *Plan) Meet(client *kube.Client) error {
	for index := range p.Jobs {
		job := &p.Jobs[index]
		job.Unmet = map[string]string{}
		one := p.byName[job.Pattern]
		for _, requirement := range one.Requirements {
			kind := schema.FromAPIVersionAndKind(requirement.APIVersion, requirement.Kind)
			_, err := client.ResourceName(kind)
			switch {
			case meta.IsNoMatchError(err):
				job.Unmet[requirement.Name] = fmt.Sprintf("the cluster does not serve %s %s: %s", requirement.APIVersion, requirement.Kind, requirement.Without)
			case err != nil:
				return err
			}
		}
		job.Skipped = map[string]string{}
		for _, claim := range one.Claims {
			if claim.Load && !p.mayLoad(*job) && slices.Contains(job.Claims, claim.Alias) {
				job.Skipped[claim.Alias] = loadNotAllowed
			}
			for _, name := range claim.Requires {
				if why, unmet := job.Unmet[name]; unmet && slices.Contains(job.Claims, claim.Alias) {
					job.Skipped[claim.Alias] = why
				}
			}
		}
		job.Claims = slices.DeleteFunc(job.Claims, func(alias string) bool { return job.Skipped[alias] != "" })
	}
	return nil
}
