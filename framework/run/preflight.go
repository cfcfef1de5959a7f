package run

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
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
	// RBAC is a ClusterRole that grants what is missing; empty when nothing is.
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
		needed := map[permission]bool{
			{"", "pods", "list"}: true, {"", "pods", "watch"}: true, {"", "pods/log", "get"}: true, {"", "pods/portforward", "create"}: true, {"", "events", "list"}: true,
			{"apps", "deployments", "watch"}: true, {"", "namespaces", "watch"}: true, {"", "namespaces", "delete"}: true,
			{"coordination.k8s.io", "leases", "create"}: true, {"coordination.k8s.io", "leases", "update"}: true,
		}
		for _, object := range objects {
			resource, err := client.ResourceName(object.GroupVersionKind())
			if meta.IsNoMatchError(err) {
				check.Reasons = append(check.Reasons, fmt.Sprintf("the cluster does not serve %s (%s)", object.GroupVersionKind(), kube.Describe(object)))
				continue
			}
			if err != nil {
				return nil, err
			}
			needed[permission{resource.Group, resource.Resource, "create"}] = true
			needed[permission{resource.Group, resource.Resource, "patch"}] = true
			if mesh.MakesPods(object) { // whose rollout is waited for
				needed[permission{resource.Group, resource.Resource, "watch"}] = true
			}
		}
		missing, err := denied(ctx, client, needed)
		if err != nil {
			return nil, err
		}
		for _, one := range missing {
			check.Reasons = append(check.Reasons, "you may not "+one.String())
		}
		if check.RBAC, err = role(missing); err != nil {
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

type permission struct{ group, resource, verb string }

func (p permission) String() string {
	if p.group == "" {
		return p.verb + " " + p.resource
	}
	return p.verb + " " + p.resource + "." + p.group
}

// denied asks the API server about each permission.
func denied(ctx context.Context, client *kube.Client, needed map[permission]bool) ([]permission, error) {
	var missing []permission
	for one := range needed {
		resource, sub, _ := strings.Cut(one.resource, "/")
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Group: one.group, Resource: resource, Subresource: sub, Verb: one.verb},
		}}
		answer, err := client.Typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("ask whether %s is allowed: %w", one, err)
		}
		if !answer.Status.Allowed {
			missing = append(missing, one)
		}
	}
	slices.SortFunc(missing, func(a, b permission) int {
		return strings.Compare(a.group+a.resource+a.verb, b.group+b.resource+b.verb)
	})
	return missing, nil
}

// role is a ClusterRole with these permissions, as YAML.
func role(permissions []permission) (string, error) {
	if len(permissions) == 0 {
		return "", nil
	}
	wanted := rbacv1.ClusterRole{TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"}, ObjectMeta: metav1.ObjectMeta{Name: "meshproof"}}
	for _, one := range permissions {
		wanted.Rules = append(wanted.Rules, rbacv1.PolicyRule{APIGroups: []string{one.group}, Resources: []string{one.resource}, Verbs: []string{one.verb}})
	}
	data, err := yaml.Marshal(wanted)
	return string(data), err
}
