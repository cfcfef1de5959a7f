package pattern

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/traffic"
	"github.com/meshproof/meshproof/framework/wait"
)

// Env is what a pattern's specs work with. It is made before the specs are registered; Values are there from the start,
// the rest once the pattern is installed and settled.
type Env struct {
	Pattern Pattern
	Values  Values
	// Hardened says that the pattern is installed in its hardened variant.
	Hardened bool
	// TrustDomain is that of the mesh's workload identities.
	TrustDomain string
	// Client sends probes from the run's vantage point.
	Client traffic.Client
	// Vantage finds the client of one of the pattern's agents, by name.
	Vantage func(ctx context.Context, agent string) (traffic.Client, error)
	// Configuration changes what is installed.
	Configuration Configuration
	// ControlTimeout, when set, is used instead of the constant of this name.
	ControlTimeout time.Duration
	// TimeoutScale is the factor of all waits.
	TimeoutScale wait.Scale
	// Unmet says, by name of a requirement that the cluster does not meet, why.
	Unmet map[string]string
	// RouterCA are the certificate authorities of the cluster's router, in PEM; empty when it has none of its own.
	RouterCA string
	// Observer follows the logs of the pattern's hops.
	Observer *evidence.Observer
	// Installed is when the workloads had become ready.
	Installed time.Time

	mu     sync.Mutex
	spoilt error
	claims map[string]*Outcome
	used   map[string]bool
}

// Configuration changes what a pattern has installed, for a check that needs two states of it.
type Configuration interface {
	// Apply adds or changes objects, as YAML with ${name} for parameters, and returns when the proxies hold the result.
	Apply(ctx context.Context, manifests string) error
	// Patch changes what was installed like an overlay file: an object whose kind, namespace and name are installed is a
	// strategic merge patch of it ("$patch: delete" removes it), any other must carry mesh.AddAnnotation and is added. It
	// returns when the proxies hold the result. Like Apply, it starts from what was installed, not from the last change.
	Patch(ctx context.Context, patches string) error
	// Await waits until the cluster tells this value of an observed parameter, which a change has asked for.
	Await(ctx context.Context, parameter, value string) error
	// Restore brings back what was installed, and returns when the proxies hold that.
	Restore(ctx context.Context) error
}

// Meets tells whether the cluster meets a requirement of the pattern. One that the pattern does not declare is a mistake of
// the author, and panics.
func (e *Env) Meets(requirement string) bool {
	if _, found := e.Pattern.Requirement(requirement); !found {
		panic(fmt.Sprintf("pattern %s declares no requirement %q", e.Pattern.Name, requirement))
	}
	_, unmet := e.Unmet[requirement]
	return !unmet
}

// Within is how long a wait of the pattern's own may take: one of Pattern.Waits, or the table of waits would not tell it, so any
// other is a mistake of the author, and panics.
func (e *Env) Within(limit wait.Limit) time.Duration {
	if !slices.Contains(e.Pattern.Waits, limit) {
		panic(fmt.Sprintf("pattern %s declares no wait %q", e.Pattern.Name, limit.Name))
	}
	return e.TimeoutScale.Of(limit.Usual)
}

// Outcome is what the specs have found out about one claim.
type Outcome struct {
	Judgements []evidence.Judgement
	// TrueAfter is the time from the first try of the positive control, which comes when the proxies have settled, until
	// it succeeded for good; nil when it never did.
	TrueAfter *time.Duration
	// Latencies are how long the probes and controls took that were served.
	Latencies []time.Duration
	// Sample is the first flow that was judged.
	Sample *evidence.Flow
	// Findings are what the check has shown to be open or weak in the pattern as its source has it, a sentence each.
	Findings []string
	// Ways are the ways round a hop that the check has tried.
	Ways []Way
	// Ceilings are what limits came to under load.
	Ceilings []Ceiling
	// Hops are the names of those that probes or controls had to leave a record at, or left one.
	Hops []string
}

// Way is one way round a hop that a pattern promises to pass, and what became of it.
type Way struct {
	// Name says it in a few words, for example "another address of the server".
	Name string
	// From and To are its ends.
	From, To string
	// Redirected says that it led to the hop after all. Open says that it led past it, to the server. Cause is how it was refused; empty when it was not.
	Redirected, Open bool
	Cause            Cause
	// Control is what was served at the same time.
	Control string
}

// Finding notes what the current check has shown to be open or weak in the pattern as its source has it.
func (e *Env) Finding(format string, args ...any) {
	e.change(AliasOf(ginkgo.CurrentSpecReport().Labels()), func(o *Outcome) { o.Findings = append(o.Findings, fmt.Sprintf(format, args...)) })
}

// Tried notes a way that the current check has tried.
func (e *Env) Tried(way Way) {
	e.change(AliasOf(ginkgo.CurrentSpecReport().Labels()), func(o *Outcome) { o.Ways = append(o.Ways, way) })
}

// claimLabel prefixes the Ginkgo label that ties a spec to its claim.
const claimLabel = "claim:"

// Claim returns the decorators that tie a spec to the claim with this alias. An unknown alias, and a claim with two specs,
// are mistakes of the author, and panic while the specs are registered.
func (e *Env) Claim(alias string) []any {
	claim, found := e.Pattern.Claim(alias)
	if !found || claim.Alias != alias {
		panic(fmt.Sprintf("pattern %s has no claim with the alias %q", e.Pattern.Name, alias))
	}
	if e.used == nil {
		e.used = map[string]bool{}
	}
	if e.used[alias] {
		panic(fmt.Sprintf("claim %s of pattern %s has two specs", alias, e.Pattern.Name))
	}
	e.used[alias] = true
	// In the order of the claims; those that disrupt their neighbours come behind all others.
	priority := -slices.IndexFunc(e.Pattern.Claims, func(c Claim) bool { return c.Alias == alias })
	if claim.Disruptive {
		priority -= len(e.Pattern.Claims)
	}
	return []any{ginkgo.Label(claimLabel+alias, alias), ginkgo.SpecPriority(priority)}
}

// Unproven returns the aliases of claims that no spec has taken.
func (e *Env) Unproven() []string {
	var missing []string
	for _, claim := range e.Pattern.Claims {
		if !e.used[claim.Alias] {
			missing = append(missing, claim.Alias)
		}
	}
	return missing
}

// AliasOf returns the claim that a spec's labels tie it to; empty when there is none.
func AliasOf(labels []string) string {
	for _, label := range labels {
		if alias, found := strings.CutPrefix(label, claimLabel); found {
			return alias
		}
	}
	return ""
}

// LabelOf is the Ginkgo label of a claim.
func LabelOf(alias string) string { return claimLabel + alias }

// Outcome returns what was found out about a claim so far.
func (e *Env) Outcome(alias string) Outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found := e.claims[alias]; found != nil {
		copied := *found
		copied.Judgements, copied.Findings, copied.Ways = slices.Clone(found.Judgements), slices.Clone(found.Findings), slices.Clone(found.Ways)
		copied.Ceilings, copied.Latencies, copied.Hops = slices.Clone(found.Ceilings), slices.Clone(found.Latencies), slices.Clone(found.Hops)
		return copied
	}
	return Outcome{}
}

func (e *Env) change(alias string, change func(*Outcome)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.claims == nil {
		e.claims = map[string]*Outcome{}
	}
	if e.claims[alias] == nil {
		e.claims[alias] = &Outcome{}
	}
	change(e.claims[alias])
}

// RequireJudgement fails a spec that passed without having judged anything: it has proven nothing, and its claim is
// inconclusive.
func (e *Env) RequireJudgement() {
	report := ginkgo.CurrentSpecReport()
	alias := AliasOf(report.Labels())
	if alias != "" && !report.Failed() && report.State != types.SpecStateSkipped && len(e.Outcome(alias).Judgements) == 0 {
		e.change(alias, func(o *Outcome) {
			o.Judgements = append(o.Judgements, evidence.Judgement{
				Statement: "the check judges its probes", Outcome: evidence.Unknown, Cause: string(EvidenceMissing), Detail: "the check judged no probe",
			})
		})
		ginkgo.Fail("the check of " + alias + " judged no probe")
	}
}

// Identity is the mesh identity of a service account, as certificates name it.
func (e *Env) Identity(namespace, serviceAccount string) string {
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", e.TrustDomain, namespace, serviceAccount)
}
