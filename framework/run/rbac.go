package run

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// RBAC is YAML of roles with this name that grant the permissions: a ClusterRole, and where the run's namespaces are there
// beforehand, because they are adopted, a Role in each of them. Elsewhere a Role would have to be there before its namespace, and
// goes with it.
func RBAC(name string, permissions []Permission, adopted bool) (string, error) {
	byNamespace := map[string][]Permission{}
	for _, one := range permissions {
		where := ""
		if adopted {
			where = one.Namespace
		}
		byNamespace[where] = append(byNamespace[where], one)
	}
	var text strings.Builder
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		var role any
		rules, object := rulesFor(byNamespace[namespace]), metav1.ObjectMeta{Name: name, Namespace: namespace}
		if namespace == "" {
			role = rbacv1.ClusterRole{TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"}, ObjectMeta: object, Rules: rules}
		} else {
			role = rbacv1.Role{TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"}, ObjectMeta: object, Rules: rules}
		}
		data, err := yaml.Marshal(role)
		if err != nil {
			return "", err
		}
		text.WriteString("---\n" + string(data))
	}
	return text.String(), nil
}

// Bindings are the kubectl commands that give the roles of RBAC to a service account.
func Bindings(name string, permissions []Permission, adopted bool) []string {
	var commands []string
	for _, one := range permissions {
		command := fmt.Sprintf("kubectl create clusterrolebinding %s --clusterrole=%s --serviceaccount=NAMESPACE:NAME", name, name)
		if adopted && one.Namespace != "" {
			command = fmt.Sprintf("kubectl create rolebinding -n %s %s --role=%s --serviceaccount=NAMESPACE:NAME", one.Namespace, name, name)
		}
		if !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	return commands
}

// rulesFor are as few rules as grant these permissions, and no others.
func rulesFor(permissions []Permission) []rbacv1.PolicyRule {
	// The names of each verb; an empty one is any name, which includes the others.
	type key struct{ group, resource, verb string }
	names := map[key][]string{}
	for _, one := range permissions {
		k := key{one.Group, one.Resource, one.Verb}
		names[k] = append(names[k], one.Name)
	}
	// The verbs of what has the same names, and then the resources of what has the same verbs.
	verbs := map[[3]string][]string{}
	for k, list := range names {
		if slices.Contains(list, "") {
			list = nil
		}
		slices.Sort(list)
		at := [3]string{k.group, strings.Join(slices.Compact(list), " "), k.resource}
		verbs[at] = append(verbs[at], k.verb)
	}
	resources := map[[3]string][]string{}
	for k, list := range verbs {
		slices.Sort(list)
		at := [3]string{k[0], k[1], strings.Join(list, " ")}
		resources[at] = append(resources[at], k[2])
	}
	var rules []rbacv1.PolicyRule
	for k, list := range resources {
		slices.Sort(list)
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{k[0]}, Resources: list, ResourceNames: strings.Fields(k[1]), Verbs: strings.Fields(k[2])})
	}
	slices.SortFunc(rules, func(a, b rbacv1.PolicyRule) int {
		return cmp.Or(cmp.Compare(a.APIGroups[0], b.APIGroups[0]), slices.Compare(a.Resources, b.Resources), slices.Compare(a.Verbs, b.Verbs))
	})
	return rules
}
