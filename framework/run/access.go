package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
)

// Phase is what permissions are needed for. A run needs those of all phases; clean-up is part of the install.
type Phase string

// The phases.
const (
	PreflightPhase Phase = "preflight"
	InstallPhase   Phase = "install"
	RunPhase       Phase = "run"
)

// Phases are all phases, in their order.
var Phases = []Phase{PreflightPhase, InstallPhase, RunPhase}

// Permission is one verb on one resource, or subresource ("pods/log").
type Permission struct {
	Phase    Phase  `json:"phase"`
	Group    string `json:"group,omitempty"`
	Resource string `json:"resource"`
	Verb     string `json:"verb"`
	// Namespace is where it is needed; empty for what has no namespace, and for all namespaces.
	Namespace string `json:"namespace,omitempty"`
	// Name restricts it to one object; empty means any.
	Name string `json:"name,omitempty"`
}

// String is the permission as RBAC has it: "create pods/portforward in namespace shop".
func (p Permission) String() string {
	text := p.Verb + " " + p.Resource
	if p.Group != "" {
		text += "." + p.Group
	}
	if p.Name != "" {
		text += " " + p.Name
	}
	if p.Namespace != "" && p.Resource != "namespaces" {
		text += " in namespace " + p.Namespace
	}
	return text
}

// scope is where a permission is needed.
type scope int

const (
	onCluster   scope = iota // without a namespace, or in all of them
	itself                   // the run's namespaces themselves
	inNamespace              // in each of the run's namespaces
)

// mode says for which runs a permission is needed: all, those that make their namespaces, those that adopt them.
type mode int

const (
	always mode = iota
	making
	adopting
)

// accessTable is every request that meshproof makes but for those on the kinds of a pattern's objects, which kindTable has. Not
// here is what every cluster grants to whoever is logged in, discovery and version, and what is read where it may be: the
// ConfigMap with the authorities of OpenShift's router.
var accessTable = []struct {
	phase                 Phase
	scope                 scope
	mode                  mode
	group, resource, name string
	verbs                 []string
}{
	{PreflightPhase, onCluster, always, "authorization.k8s.io", "selfsubjectaccessreviews", "", []string{"create"}}, // these very questions
	{PreflightPhase, onCluster, always, "", "namespaces", "kube-system", []string{"get"}},                           // whose UID is the cluster's
	{PreflightPhase, onCluster, always, "apps", "deployments", "", []string{"list"}},                                // istiod, in any namespace
	{PreflightPhase, itself, adopting, "", "namespaces", "", []string{"get"}},                                       // its labels
	{InstallPhase, onCluster, making, "", "namespaces", "", []string{"create"}},                                     // RBAC cannot restrict it by name
	{InstallPhase, itself, making, "", "namespaces", "", []string{"get", "list", "watch", "patch", "delete"}},
	{InstallPhase, inNamespace, always, "coordination.k8s.io", "leases", "", []string{"create"}},
	{InstallPhase, inNamespace, always, "coordination.k8s.io", "leases", leaseName, []string{"get", "update"}},
	{InstallPhase, inNamespace, adopting, "coordination.k8s.io", "leases", leaseName, []string{"delete"}},
	{InstallPhase, inNamespace, always, "", "pods", "", []string{"list", "watch"}}, // that are stuck, or are leaving
	{InstallPhase, inNamespace, always, "", "events", "", []string{"list"}},        // why they are
	{RunPhase, inNamespace, always, "", "pods", "", []string{"list", "watch"}},
	{RunPhase, inNamespace, always, "", "pods/log", "", []string{"get"}},
	{RunPhase, inNamespace, always, "", "pods/portforward", "", []string{"create"}}, // to proxies and agents; nothing execs
	{RunPhase, inNamespace, always, "", "services", "", []string{"list"}},           // whose addresses are normalised
	{RunPhase, inNamespace, always, "", "events", "", []string{"list"}},             // of a diagnosis
}

// kindTable is what is done with the kinds of a pattern's objects.
var kindTable = []struct {
	phase Phase
	mode  mode
	// waited restricts it to kinds whose state is waited for.
	waited bool
	verbs  []string
}{
	{InstallPhase, always, false, []string{"create", "patch"}}, // server-side apply is both
	{InstallPhase, always, true, []string{"list", "watch"}},
	{InstallPhase, adopting, false, []string{"get", "list", "watch", "delete"}}, // no namespace takes them with it
	{RunPhase, always, false, []string{"get", "create", "patch", "delete"}},     // checks that change the configuration, and diagnosis
	{RunPhase, always, true, []string{"list", "watch"}},
}

// permissions are those that a job needs, for these objects. The client's cluster tells the resource of a kind; without a
// client it is that which follows from the kind's name by custom.
func permissions(p pattern.Pattern, job Job, objects []*unstructured.Unstructured, client *kube.Client) ([]Permission, error) {
	namespaces := p.Namespaces(job.Values)
	var needed []Permission
	in := func(m mode) bool { return m == always || (m == adopting) == job.Options.Adopt }
	add := func(one Permission) {
		if !slices.Contains(needed, one) {
			needed = append(needed, one)
		}
	}
	for _, row := range accessTable {
		if !in(row.mode) {
			continue
		}
		for _, verb := range row.verbs {
			one := Permission{Phase: row.phase, Group: row.group, Resource: row.resource, Name: row.name, Verb: verb}
			switch row.scope {
			case onCluster:
				add(one)
			case itself:
				for _, namespace := range namespaces {
					// A request for a namespace counts as one in it, so that a Role there can allow it.
					one.Name, one.Namespace = namespace, namespace
					add(one)
				}
			case inNamespace:
				for _, namespace := range namespaces {
					one.Namespace = namespace
					add(one)
				}
			}
		}
	}
	for _, object := range objects {
		if object.GetKind() == "Namespace" {
			continue
		}
		resource := resourceByCustom(object.GroupVersionKind())
		if client != nil {
			var err error
			if resource, err = client.ResourceName(object.GroupVersionKind()); err != nil {
				return nil, err
			}
		}
		waited := isWaitedFor(p, job, object)
		for _, row := range kindTable {
			if !in(row.mode) || row.waited && !waited {
				continue
			}
			for _, verb := range row.verbs {
				add(Permission{Phase: row.phase, Group: resource.Group, Resource: resource.Resource, Verb: verb, Namespace: object.GetNamespace()})
			}
		}
		if host, _, _ := unstructured.NestedString(object.Object, "spec", "host"); object.GetKind() == "Route" && host != "" {
			add(Permission{Phase: InstallPhase, Group: resource.Group, Resource: resource.Resource + "/custom-host", Verb: "create", Namespace: object.GetNamespace()})
		}
		for _, one := range given(object) {
			add(one)
		}
	}
	return needed, nil
}

// resourceByCustom is what the resource of a kind is called where no cluster is asked: the guess of Kubernetes' own library, which
// makes "gatewaies" of a Gateway.
func resourceByCustom(kind schema.GroupVersionKind) schema.GroupVersionResource {
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	if stem, found := strings.CutSuffix(resource.Resource, "aies"); found {
		resource.Resource = stem + "ays"
	}
	return resource
}

// isWaitedFor tells whether the state of an object is waited for: of what makes pods, of Routes, and of what tells a parameter.
func isWaitedFor(p pattern.Pattern, job Job, object *unstructured.Unstructured) bool {
	return mesh.MakesPods(object) || object.GetKind() == "Route" || slices.ContainsFunc(p.Parameters, func(parameter pattern.Parameter) bool {
		from := parameter.Observed
		return from != nil && from.Kind == object.GetKind() && from.Name == object.GetName() && job.Values[from.Namespace] == object.GetNamespace()
	})
}

// given are the permissions that a Role of the pattern gives to its workloads: nobody can give what they have not.
func given(object *unstructured.Unstructured) []Permission {
	if object.GetKind() != "Role" {
		return nil
	}
	var role rbacv1.Role
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
		return nil // the API server refuses it, and says why
	}
	var list []Permission
	for _, rule := range role.Rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						list = append(list, Permission{Phase: InstallPhase, Group: group, Resource: resource, Verb: verb, Name: name, Namespace: object.GetNamespace()})
					}
				}
			}
		}
	}
	return list
}

// Permissions are those that the plan needs in these phases, for the kinds that the client's cluster serves; without a client,
// for all.
func (p *Plan) Permissions(client *kube.Client, phases ...Phase) ([]Permission, error) {
	var needed []Permission
	for _, job := range p.Jobs {
		one := p.byName[job.Pattern]
		objects, err := Objects(one, job)
		if err != nil {
			return nil, err
		}
		own, err := permissions(one, job, objects, client)
		if err != nil {
			return nil, err
		}
		for _, permission := range own {
			if slices.Contains(phases, permission.Phase) && !slices.Contains(needed, permission) {
				needed = append(needed, permission)
			}
		}
	}
	return needed, nil
}

// AccessError says that permissions are missing; nothing was touched.
type AccessError struct{ Missing []Permission }

// mostMissing is how many missing permissions an error names.
const mostMissing = 4

func (e *AccessError) Error() string {
	told := TellPermissions(e.Missing)
	more := ""
	if len(told) > mostMissing {
		more = fmt.Sprintf(", and %d more", len(told)-mostMissing)
	}
	return "you may not " + strings.Join(told[:min(len(told), mostMissing)], ", ") + more + "; nothing was touched; `meshproof preflight` prints what is missing as YAML"
}

// CheckAccess asks the API server whether the plan may be carried out; what is missing is an AccessError.
func (p *Plan) CheckAccess(ctx context.Context, client *kube.Client) error {
	needed, err := p.Permissions(client, Phases...)
	if err != nil {
		return err
	}
	missing, err := denied(ctx, client, needed)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &AccessError{missing}
	}
	return nil
}

// reviewsAtOnce is how many questions are under way.
const reviewsAtOnce = 32

// denied asks the API server about each permission, and returns those that are missing, in order. What is allowed everywhere is not
// asked for each namespace.
func denied(ctx context.Context, client *kube.Client, needed []Permission) ([]Permission, error) {
	everywhere := func(p Permission) Permission {
		p.Phase = ""
		if p.Resource == "namespaces" {
			return p
		}
		p.Namespace = ""
		return p
	}
	narrow := func(p Permission) Permission { p.Phase = ""; return p }
	allowed := map[Permission]bool{}
	ask := func(questions []Permission) error {
		slices.SortFunc(questions, comparePermissions)
		questions = slices.Compact(questions)
		answers := make([]bool, len(questions))
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(reviewsAtOnce)
		for index, one := range questions {
			group.Go(func() (err error) {
				answers[index], err = review(groupCtx, client, one)
				return err
			})
		}
		err := group.Wait()
		for index, one := range questions {
			allowed[one] = answers[index]
		}
		return err
	}
	var first, second []Permission
	for _, one := range needed {
		first = append(first, everywhere(one))
	}
	if err := ask(first); err != nil {
		return nil, err
	}
	for _, one := range needed {
		if !allowed[everywhere(one)] && narrow(one) != everywhere(one) {
			second = append(second, narrow(one))
		}
	}
	if err := ask(second); err != nil {
		return nil, err
	}
	var missing []Permission
	for _, one := range needed {
		if !allowed[everywhere(one)] && !allowed[narrow(one)] {
			missing = append(missing, one)
		}
	}
	slices.SortFunc(missing, comparePermissions)
	return missing, nil
}

func comparePermissions(a, b Permission) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func review(ctx context.Context, client *kube.Client, one Permission) (bool, error) {
	resource, sub, _ := strings.Cut(one.Resource, "/")
	question := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Group: one.Group, Resource: resource, Subresource: sub, Verb: one.Verb, Namespace: one.Namespace, Name: one.Name},
	}}
	answer, err := client.Typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, question, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask whether you may %s: %w", one, err)
	}
	return answer.Status.Allowed, nil
}

// TellPermissions are the permissions in words, each once, with all the namespaces where it is meant.
func TellPermissions(list []Permission) []string {
	var order []string
	where := map[string][]string{}
	for _, one := range list {
		namespace := one.Namespace
		if one.Resource == "namespaces" {
			namespace = ""
		}
		one.Namespace = ""
		text := one.String()
		if _, known := where[text]; !known {
			order, where[text] = append(order, text), nil
		}
		if namespace != "" && !slices.Contains(where[text], namespace) {
			where[text] = append(where[text], namespace)
		}
	}
	for index, text := range order {
		switch namespaces := where[text]; len(namespaces) {
		case 0:
		case 1:
			order[index] += " in namespace " + namespaces[0]
		default:
			order[index] += " in namespaces " + strings.Join(namespaces, ", ")
		}
	}
	return order
}
