package run

import (
	"context"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
)

// NewID is what tells one run from all others; it sorts by time.
func NewID() string { return randomRunID() }

// PointLatest makes latest, in a folder of results, lead to the run with this ID.
func PointLatest(resultsDir, id string) error { return pointLatest(resultsDir, id) }

// HoldNamespace makes a namespace that Clean knows as a run's, and that it leaves alone until release is called or this
// process ends.
func HoldNamespace(ctx context.Context, client *kube.Client, id, namespace string, timeouts mesh.Timeouts) (release func(), err error) {
	release, _, err = claimNames(ctx, client, id, "job", []string{namespace}, timeouts)
	return release, err
}

// Rules are what a service account needs to carry out the plan: every verb on the kinds that it installs, and on what every
// run works with. A run makes its own namespaces, so they are for the whole cluster.
func Rules(plan *Plan, client *kube.Client) ([]rbacv1.PolicyRule, error) {
	all := []string{"get", "list", "watch", "create", "update", "patch", "delete"}
	resources := map[string][]string{ // by group
		"":                    {"configmaps", "endpoints", "events", "namespaces", "pods", "pods/log", "pods/portforward", "secrets", "serviceaccounts", "services"},
		"apps":                {"deployments", "replicasets", "statefulsets"},
		"coordination.k8s.io": {"leases"},
		"route.openshift.io":  {"routes", "routes/custom-host"},
	}
	for _, job := range plan.Jobs {
		objects, err := Objects(plan.byName[job.Pattern], job)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			resource, err := client.ResourceName(object.GroupVersionKind())
			if err != nil {
				return nil, err
			}
			resources[resource.Group] = append(resources[resource.Group], resource.Resource)
		}
	}
	var rules []rbacv1.PolicyRule
	for group, names := range resources {
		slices.Sort(names)
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: slices.Compact(names), Verbs: all})
	}
	slices.SortFunc(rules, func(a, b rbacv1.PolicyRule) int { return strings.Compare(a.APIGroups[0], b.APIGroups[0]) })
	return rules, nil
}
