package run

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
)

// Check says which claims of a pattern can be judged on a cluster.
type Check struct {
	Pattern  string   `json:"pattern"`
	Runnable []string `json:"runnable"`
	Blocked  []string `json:"blocked"`
	// Skipped says, by claim, what the cluster lacks that only it needs; the others do without.
	Skipped map[string]string `json:"skipped,omitempty"`
	// Reasons say, one line each, what is in the way.
	Reasons []string `json:"reasons,omitempty"`
	// Exposures are the ways in from outside that a run opens.
	Exposures []Exposure `json:"exposures,omitempty"`
	// RBAC is YAML of roles that grant what is missing; empty when nothing is.
	RBAC string `json:"rbac,omitempty"`
}

// Preflight checks kinds and permissions by asking the cluster; it changes nothing.
func Preflight(ctx context.Context, plan *Plan, client *kube.Client) ([]Check, error) {
	var checks []Check
	for _, job := range plan.Jobs {
		p := plan.byName[job.Pattern]
		check := Check{Pattern: p.Name, Skipped: job.Skipped}
		objects, err := Objects(p, job)
		if err != nil {
			return nil, err
		}
		check.Exposures = exposuresOf(objects)
		var served []*unstructured.Unstructured
		for _, object := range objects {
			_, err := client.ResourceName(object.GroupVersionKind())
			if meta.IsNoMatchError(err) {
				check.Reasons = append(check.Reasons, fmt.Sprintf("the cluster does not serve %s (%s)", object.GroupVersionKind(), kube.Describe(object)))
				continue
			}
			if err != nil {
				return nil, err
			}
			served = append(served, object)
		}
		needed, err := permissions(p, job, served, client)
		if err != nil {
			return nil, err
		}
		missing, err := denied(ctx, client, needed)
		if err != nil {
			return nil, err
		}
		for _, one := range TellPermissions(missing) {
			check.Reasons = append(check.Reasons, "you may not "+one)
		}
		if job.Options.Adopt {
			var conflict *ConflictError
			// Where a namespace may not be looked at, the permission is missing, which is told.
			if err := adoptable(ctx, client, p, job); errors.As(err, &conflict) {
				check.Reasons = append(check.Reasons, conflict.Error())
			} else if err != nil && !apierrors.IsForbidden(err) {
				return nil, err
			}
		}
		if check.RBAC, err = RBAC("meshproof-missing-"+p.Name, missing, job.Options.Adopt); err != nil {
			return nil, err
		}
		if len(check.Reasons) > 0 {
			check.Blocked = job.Claims
		} else {
			check.Runnable = job.Claims
		}
		checks = append(checks, check)
	}
	return checks, nil
}
