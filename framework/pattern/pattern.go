// Package pattern is what a service mesh pattern is to meshproof: its manifests, its claims, and the specs that prove them.
package pattern

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/meshproof/meshproof/framework/wait"
)

// Pattern is a mesh configuration with a known data path.
type Pattern struct {
	// Name is the folder under suites/ and the word on the command line, for example "basic-gateway".
	Name string
	// Title is one line for people.
	Title string
	// Path draws the data path, hop by hop.
	Path string
	// Parameters are all that the manifests' ${name} may use.
	Parameters []Parameter
	// Manifests holds the YAML files that are installed; each *.yaml in it is one.
	Manifests fs.FS
	// Mutants holds the YAML files of the ways to break the pattern (see package prove); each *.yaml in it is one.
	Mutants fs.FS
	// Hardened holds the YAML files, as an overlay has them, that mend what the source of the pattern leaves open; nil when
	// there is no such variant. The claims are the same, and their specs turn what they expect (see Env.Hardened).
	Hardened fs.FS
	// Prepare, when set, does what the specs need beyond the objects, such as filling a database: it is called when the
	// pattern has settled, and again whenever it is judged anew, so it must not mind what it did before.
	Prepare func(ctx context.Context, env *Env) error
	// Hops are the workloads whose evidence the claims use.
	Hops []Hop
	// Agents are the vantage points in the cluster; the first is where probes start when the runner cannot reach the path.
	Agents []Agent
	// Requirements are what a claim or an object may need of a cluster that not every cluster has.
	Requirements []Requirement
	// Claims are what the pattern promises; every one has a spec.
	Claims []Claim
	// Waits are what the specs and Prepare wait for beyond what the framework does (see Env.Within).
	Waits []wait.Limit
	// Exclusive names what the pattern shares with no other while it runs: patterns that name the same are not run at once.
	Exclusive []string
	// Deviations say, one line each, where the manifests differ from the pattern's source, and why.
	Deviations []string
	// Specs registers the specs with Ginkgo; it is called once, in the process that runs this pattern.
	Specs func(env *Env)
}

// Parameter is a value that the manifests use as ${Name}.
type Parameter struct {
	Name, Default, Description string
	// Default may have ${name} for parameters before it.
	// Namespace marks the name of a namespace of the run; a run's suffix is added to it.
	Namespace bool
	// Fixture, when set, names the program under fixtures/ whose image is the value.
	Fixture string
	// Observed, when set, says where the cluster tells the value, unless the user gives one; Default then is what a plan
	// shows, and what is used where the requirement of the object is not met.
	Observed *Observed
	// Generate, when set, makes a random value for each run, such as a password.
	Generate func() (string, error)
	// Compute, when set, makes the value of the others, whenever manifests are rendered: of values that the cluster decides,
	// a plan shows what comes of their defaults. It must make the same of the same. Computed parameters are computed in their
	// order, so that one may use those before it.
	Compute func(Values) (string, error)
	// Secret keeps the value out of reports.
	Secret bool
	// Parse, when set, makes the value of what a user gave, or says what is wrong with it.
	Parse func(given string) (string, error)
	// Unrendered says that no manifest need use it: it is for the specs, or for computing others.
	Unrendered bool
}

// Observed is a value that the cluster decides, such as a Route's host or a load balancer's address: once the object is
// applied, the value is waited for, and then all objects that use it are applied.
type Observed struct {
	// APIVersion, Kind and Name are the object's, Namespace the name of the parameter that holds its namespace.
	APIVersion, Kind, Namespace, Name string
	// Paths are the places where the value may be, the first that has one counts. Each is of the fields that lead there; one
	// that is a number chooses in a list, and "*" takes all of a list, with commas between their values.
	Paths [][]string
	// Address says that an address is wanted: a name is looked up, and its first IPv4 address taken; with All, all of them,
	// with commas between.
	Address, All bool
}

// Requirement is something that not every cluster has: an API kind.
type Requirement struct {
	// Name is how claims, and objects by the annotation meshproof.dev/requires, refer to it.
	Name string
	// APIVersion and Kind must be served.
	APIVersion, Kind string
	// Without says what is left out on a cluster that does not meet it.
	Without string
}

// RequiresAnnotation names, on an object of the manifests, the requirement without which it is left out.
const RequiresAnnotation = "meshproof.dev/requires"

// Kind of a hop.
type Kind string

const (
	// Sidecar is a workload with a proxy beside it.
	Sidecar Kind = "sidecar"
	// Gateway is a proxy alone.
	Gateway Kind = "gateway"
	// Plain is a workload without a proxy.
	Plain Kind = "plain"
)

// ProxyContainer is the name of the proxy's container in every pod that has one.
const ProxyContainer = "istio-proxy"

// Hop is a proxy or server that a probe passes.
type Hop struct {
	// Name is how claims and reports call it, for example "gateway".
	Name string
	Kind Kind
	// Namespace is the name of the parameter that holds its namespace; Selector are its pods' labels.
	Namespace string
	Selector  string
	// Container is the application's container, whose log holds the server's records; empty for gateways.
	Container string
}

// Agent finds the pod of a fixture agent. Namespace is the name of the parameter that holds its namespace.
type Agent struct{ Name, Namespace, Selector string }

// Claim is one sentence that must be true on the wire.
type Claim struct {
	// Alias is its short name in patterns.md, for example "BG1"; Slug its part of the ID, which never changes.
	Alias, Slug string
	// Text is the sentence.
	Text string
	// Ends are the independent witnesses, at least two.
	Ends []string
	// Requires names the requirements without which the claim is skipped.
	Requires []string
	// Period, when set, names the platform's own period that the claim waits for, such as "the kubelet's sync of Secrets". It is
	// no time of the mesh's, and a mutant that does not concern the claim does not wait for it.
	Period string
	// Disruptive claims break what their neighbours measure: they run last, and restore what they change.
	Disruptive bool
	// Load says that the claim sends heavy load, which the user of a cluster other than the lab must allow. It is judged when no
	// other pattern of the run installs or judges, and so is every claim of its pattern after it.
	Load bool
}

// ID is the claim's identity, for example "basic-gateway/page-is-complete".
func (p Pattern) ID(c Claim) string { return p.Name + "/" + c.Slug }

// Claim finds a claim by alias, slug or ID.
func (p Pattern) Claim(name string) (Claim, bool) {
	index := slices.IndexFunc(p.Claims, func(c Claim) bool {
		return strings.EqualFold(c.Alias, name) || c.Slug == name || p.ID(c) == name
	})
	if index < 0 {
		return Claim{}, false
	}
	return p.Claims[index], true
}

// Hop finds a hop by name.
func (p Pattern) Hop(name string) (Hop, bool) {
	index := slices.IndexFunc(p.Hops, func(h Hop) bool { return h.Name == name })
	if index < 0 {
		return Hop{}, false
	}
	return p.Hops[index], true
}

// Agent finds an agent by name.
func (p Pattern) Agent(name string) (Agent, bool) {
	index := slices.IndexFunc(p.Agents, func(a Agent) bool { return a.Name == name })
	if index < 0 {
		return Agent{}, false
	}
	return p.Agents[index], true
}

// Requirement finds a requirement by name.
func (p Pattern) Requirement(name string) (Requirement, bool) {
	index := slices.IndexFunc(p.Requirements, func(r Requirement) bool { return r.Name == name })
	if index < 0 {
		return Requirement{}, false
	}
	return p.Requirements[index], true
}

// letters are what an alias is made of.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Validate finds mistakes that an author can make in a Pattern; they are all returned as one error.
func (p Pattern) Validate() error {
	var problems []string
	note := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if p.Name == "" || p.Title == "" || p.Manifests == nil || p.Specs == nil {
		note("it needs Name, Title, Manifests and Specs")
	}
	seen := map[string]bool{}
	for _, claim := range p.Claims {
		if claim.Alias == "" || claim.Slug == "" || claim.Text == "" {
			note("claim %q needs Alias, Slug and Text", claim.Alias+claim.Slug)
		}
		if strings.Trim(claim.Alias, letters) != "" {
			note("claim %q: its alias becomes part of the identity of probes: use letters and digits", claim.Alias)
		}
		if len(claim.Ends) < 2 {
			note("claim %s names %d ends, and needs two independent ones", claim.Alias, len(claim.Ends))
		}
		if seen[claim.Alias] || seen[claim.Slug] {
			note("claim %s (%s) is there twice", claim.Alias, claim.Slug)
		}
		seen[claim.Alias], seen[claim.Slug] = true, true
	}
	if len(p.Claims) == 0 {
		note("it has no claims")
	}
	parameters := map[string]Parameter{}
	for _, parameter := range p.Parameters {
		parameters[parameter.Name] = parameter
	}
	for _, claim := range p.Claims {
		for _, name := range claim.Requires {
			if _, found := p.Requirement(name); !found {
				note("claim %s requires %q, which the pattern does not declare", claim.Alias, name)
			}
		}
	}
	declared := map[string]bool{}
	for _, requirement := range p.Requirements {
		if requirement.Name == "" || requirement.APIVersion == "" || requirement.Kind == "" || requirement.Without == "" {
			note("requirement %q needs Name, APIVersion, Kind and Without", requirement.Name)
		}
		if declared[requirement.Name] {
			note("requirement %s is there twice", requirement.Name)
		}
		declared[requirement.Name] = true
	}
	inNamespace := func(who, namespace string) {
		if !parameters[namespace].Namespace {
			note("%s: %q is not a namespace parameter", who, namespace)
		}
	}
	for _, parameter := range p.Parameters {
		if from := parameter.Observed; from != nil {
			if from.APIVersion == "" || from.Kind == "" || from.Name == "" || len(from.Paths) == 0 {
				note("parameter %s: what it is observed from needs APIVersion, Kind, Name and Paths", parameter.Name)
			}
			inNamespace("parameter "+parameter.Name, from.Namespace)
		}
	}
	for _, agent := range p.Agents {
		inNamespace("agent "+agent.Name, agent.Namespace)
	}
	for _, hop := range p.Hops {
		inNamespace("hop "+hop.Name, hop.Namespace)
	}
	if len(problems) > 0 {
		return fmt.Errorf("pattern %q: %s", p.Name, strings.Join(problems, "; "))
	}
	return nil
}

// shortestSecret is how long a secret must be for the Redactor of reports to find it.
const shortestSecret = 4

// Values are a run's parameters, by name.
type Values map[string]string

// Values returns the parameters of a run: defaults, then images, then set, with the suffix added to namespaces that were
// not set. A name in set that the pattern does not have, and a parameter left without a value, are errors.
func (p Pattern) Values(set map[string]string, suffix string, image func(fixture string) string) (Values, error) {
	for name := range set {
		if !slices.ContainsFunc(p.Parameters, func(parameter Parameter) bool { return parameter.Name == name }) {
			return nil, fmt.Errorf("pattern %s has no parameter %q", p.Name, name)
		}
	}
	values := Values{}
	for _, parameter := range p.Parameters {
		value := os.Expand(parameter.Default, func(name string) string { return values[name] })
		if parameter.Fixture != "" {
			value = image(parameter.Fixture)
		}
		if parameter.Namespace && suffix != "" && value != "" {
			value += "-" + suffix
		}
		given, found := set[parameter.Name]
		switch {
		case found:
			value = given
			if parameter.Parse != nil {
				var err error
				if value, err = parameter.Parse(given); err != nil {
					return nil, fmt.Errorf("pattern %s: parameter %s (%s): %w", p.Name, parameter.Name, parameter.Description, err)
				}
			}
		case parameter.Compute != nil:
			continue // by Computed, of all the others
		case parameter.Generate != nil:
			var err error
			if value, err = parameter.Generate(); err != nil {
				return nil, fmt.Errorf("pattern %s: make a value for parameter %s: %w", p.Name, parameter.Name, err)
			}
		}
		if parameter.Secret && len(value) < shortestSecret {
			return nil, fmt.Errorf("pattern %s: parameter %s (%s) has fewer than %d characters: it could not be kept out of reports", p.Name, parameter.Name, parameter.Description, shortestSecret)
		}
		if value == "" {
			return nil, fmt.Errorf("pattern %s: parameter %s has no value: set it with --set %s=VALUE (%s)", p.Name, parameter.Name, parameter.Name, parameter.Description)
		}
		values[parameter.Name] = value
	}
	return values, nil
}

// Computed returns the values with those that are computed of the others, unless they were set.
func (p Pattern) Computed(values Values, set map[string]string) (Values, error) {
	result := maps.Clone(values)
	for _, parameter := range p.Parameters {
		if _, given := set[parameter.Name]; given || parameter.Compute == nil {
			continue
		}
		value, err := parameter.Compute(result)
		if err != nil {
			return nil, fmt.Errorf("pattern %s: compute parameter %s: %w", p.Name, parameter.Name, err)
		}
		result[parameter.Name] = value
	}
	return result, nil
}

// Unrendered are the names of the parameters that no manifest need use.
func (p Pattern) Unrendered() []string {
	var names []string
	for _, parameter := range p.Parameters {
		if parameter.Unrendered {
			names = append(names, parameter.Name)
		}
	}
	return names
}

// Secrets are the values that reports must not show.
func (p Pattern) Secrets(values Values) []string {
	var secrets []string
	for _, parameter := range p.Parameters {
		if value := values[parameter.Name]; parameter.Secret && value != "" {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// Shown are the values that reports may show.
func (p Pattern) Shown(values Values) Values {
	shown := Values{}
	for _, parameter := range p.Parameters {
		if value, found := values[parameter.Name]; found && !parameter.Secret && parameter.Compute == nil {
			shown[parameter.Name] = value
		}
	}
	return shown
}

// Namespaces returns the run's own namespaces, in the order of the parameters.
func (p Pattern) Namespaces(values Values) []string {
	var names []string
	for _, parameter := range p.Parameters {
		if parameter.Namespace && !slices.Contains(names, values[parameter.Name]) {
			names = append(names, values[parameter.Name])
		}
	}
	return names
}
