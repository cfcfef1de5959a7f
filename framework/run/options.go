// Package run takes patterns from a plan to a report: a parent process that owns locks, journal and exit code, and one
// child process per pattern, in which Ginkgo runs its specs once.
package run

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	"github.com/meshproof/meshproof/framework/wait"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Options are a run's choices. The zero value runs every claim of the given patterns as they are.
type Options struct {
	// Claims restricts the run to these (aliases, slugs or IDs).
	Claims []string `json:"claims,omitempty"`
	// Focus restricts it to claims whose ID, alias or text this regular expression matches; empty means any.
	Focus string `json:"focus,omitempty"`
	// FailFast begins no further check, of any pattern, after the first claim that failed or is inconclusive.
	FailFast bool `json:"failFast,omitempty"`
	// Require lists claims that must not be skipped, or "all".
	Require []string `json:"require,omitempty"`
	// Set gives parameters other values.
	Set map[string]string `json:"set,omitempty"`
	// SetFiles are the same by the names of files, whose contents are the values.
	SetFiles map[string]string `json:"-"`
	// MongoDBImage is the parameter mongodb_image of all patterns that have it.
	MongoDBImage string `json:"mongodbImage,omitempty"`
	// Suffix is added to the names of the run's namespaces, to keep two runs apart.
	Suffix string `json:"suffix,omitempty"`
	// Adopt uses namespaces that are there and handed over (AdoptLabel), instead of making the run's own.
	Adopt bool `json:"adopt,omitempty"`
	// Overlay is a kustomization folder or a file of patches.
	Overlay string `json:"overlay,omitempty"`
	// Hardened installs the hardened variant of patterns that have one.
	Hardened bool `json:"hardened,omitempty"`
	// Revision chooses the control plane.
	Revision string `json:"revision,omitempty"`
	// Client is "auto", "runner" or "pod".
	Client string `json:"client,omitempty"`
	// AllowLoad lets claims send heavy load to a cluster that is no lab.
	AllowLoad bool `json:"allowLoad,omitempty"`
	// Keep leaves everything installed.
	Keep bool `json:"keep,omitempty"`
	// AfterInstall is a shell command that runs between install and settle.
	AfterInstall string `json:"afterInstall,omitempty"`
	// Jobs is how many patterns run at once, beside those that have judged and only clean up; 0 means 1.
	Jobs int `json:"jobs,omitempty"`
	// Timeouts are the named waits of an install and a clean-up; zero means mesh.DefaultTimeouts, times TimeoutScale.
	Timeouts mesh.Timeouts `json:"timeouts"`
	// TimeoutScale is the factor of all waits that Waits lists; zero means 1.
	TimeoutScale wait.Scale `json:"timeoutScale,omitempty"`
	// ResultsDir is where the run's folder is made.
	ResultsDir string `json:"resultsDir,omitempty"`
	// Args are the words of the command line, for the report.
	Args []string `json:"args,omitempty"`
	// Version is that of the program.
	Version string `json:"version,omitempty"`
}

// Sink is told of every event as it happens: the terminal.
type Sink interface{ Event(v1.Event) }

// Job is one pattern of a run, resolved: what a child process is given.
type Job struct {
	RunID   string            `json:"runId"`
	Pattern string            `json:"pattern"`
	Claims  []string          `json:"claims"` // aliases
	Values  pattern.Values    `json:"values"`
	Options Options           `json:"options"`
	Cluster *provider.Cluster `json:"cluster"`
	// Revision is the control plane that the fixtures join.
	Revision string `json:"revision"`
	// Client is "runner" or "pod".
	Client string `json:"client"`
	// Results is the pattern's folder of the results.
	Results string `json:"results"`
	// Beside says that the run has other patterns, for whose claims one under load waits.
	Beside bool `json:"beside,omitempty"`
	// Unmet says why the cluster does not meet a requirement, by its name; Skipped says why a claim is not run, by alias.
	Unmet   map[string]string `json:"unmet,omitempty"`
	Skipped map[string]string `json:"skipped,omitempty"`
	// Mutation is a file of patches that is applied after the user's overlay: a mutant.
	Mutation string `json:"mutation,omitempty"`
	// Diagnose is the claim, by alias, whose likely cause is named although a mutant is judged; empty for none.
	Diagnose string `json:"diagnose,omitempty"`
	// Attached says that the objects are installed already, and stay.
	Attached bool `json:"attached,omitempty"`
	// Formats is the file in which a session keeps the formats of its access logs; empty without a session.
	Formats string `json:"formats,omitempty"`
}

// Plan is a run that was checked, and has touched nothing yet.
type Plan struct {
	Options Options
	Jobs    []Job
	// session is what the plan is a part of; nil for a run of its own.
	session *Session
	byName  map[string]pattern.Pattern
}

// NewPlan resolves patterns, claims and parameters, and renders every manifest, so that bad input is told before anything
// is touched.
func NewPlan(patterns []pattern.Pattern, cluster *provider.Cluster, options Options) (*Plan, error) {
	if options.Timeouts == (mesh.Timeouts{}) {
		options.Timeouts = mesh.DefaultTimeouts.Scaled(options.TimeoutScale)
	}
	var err error
	if options.Set, err = options.given(patterns); err != nil {
		return nil, err
	}
	plan := &Plan{Options: options, byName: map[string]pattern.Pattern{}}
	for name := range options.Set {
		if !slices.ContainsFunc(patterns, func(p pattern.Pattern) bool { return hasParameter(p, name) }) {
			return nil, fmt.Errorf("no selected pattern has a parameter %q; `meshproof list -o json` shows them", name)
		}
	}
	for _, wanted := range options.Require {
		if !strings.EqualFold(wanted, v1.RequireAll) && !slices.ContainsFunc(patterns, func(p pattern.Pattern) bool { return hasClaim(p, wanted) }) {
			return nil, fmt.Errorf("--require names no claim of the selected patterns: %q; the claims: %s", wanted, strings.Join(aliases(patterns), ", "))
		}
	}
	focus, err := regexp.Compile(options.Focus)
	if err != nil {
		return nil, fmt.Errorf("--focus is no regular expression: %w", err)
	}
	if err := options.TimeoutScale.Check(); err != nil {
		return nil, fmt.Errorf("--timeout-scale: %w", err)
	}
	matched := map[string]bool{}
	taken := map[string]string{}
	for _, p := range patterns {
		if err := p.Validate(); err != nil {
			return nil, err
		}
		if options.Hardened && p.Hardened == nil {
			return nil, fmt.Errorf("pattern %s has no hardened variant", p.Name)
		}
		job := Job{Pattern: p.Name, Options: options, Cluster: cluster}
		var claims []string
		for _, wanted := range options.Claims {
			if found, ok := p.Claim(wanted); ok {
				matched[wanted] = true
				claims = append(claims, found.Alias)
			}
		}
		for _, claim := range p.Claims {
			if (len(options.Claims) == 0 || slices.Contains(claims, claim.Alias)) && inFocus(focus, p, claim) {
				job.Claims = append(job.Claims, claim.Alias)
			}
		}
		if len(job.Claims) == 0 {
			continue
		}
		set := map[string]string{}
		for name, value := range options.Set {
			if hasParameter(p, name) {
				set[name] = value
			}
		}
		if job.Values, err = p.Values(set, options.Suffix, func(fixture string) string { return cluster.Images[fixture] }); err != nil {
			return nil, err
		}
		if _, err := Objects(p, job); err != nil {
			return nil, err
		}
		if _, err := firstStage(p, job); err != nil {
			return nil, fmt.Errorf("pattern %s: %w", p.Name, err)
		}
		for _, namespace := range p.Namespaces(job.Values) {
			if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
				return nil, fmt.Errorf("pattern %s: %q is no name for a namespace: %s", p.Name, namespace, strings.Join(problems, "; "))
			}
			if other, used := taken[namespace]; used {
				return nil, fmt.Errorf("patterns %s and %s would use the same namespace %s", other, p.Name, namespace)
			}
			taken[namespace] = p.Name
		}
		plan.byName[p.Name] = p
		plan.Jobs = append(plan.Jobs, job)
	}
	for index := range plan.Jobs {
		plan.Jobs[index].Beside = len(plan.Jobs) > 1
	}
	for _, wanted := range options.Claims {
		if !matched[wanted] {
			return nil, fmt.Errorf("no selected pattern has a claim %q; the claims: %s", wanted, strings.Join(aliases(patterns), ", "))
		}
	}
	switch {
	case len(plan.Jobs) == 0 && options.Focus != "":
		return nil, fmt.Errorf("--focus %q matches no selected claim, by its ID, its alias or its text; `meshproof list` shows them", options.Focus)
	case len(plan.Jobs) == 0:
		return nil, fmt.Errorf("nothing is selected")
	}
	return plan, nil
}

func inFocus(focus *regexp.Regexp, p pattern.Pattern, claim pattern.Claim) bool {
	return slices.ContainsFunc([]string{p.ID(claim), claim.Alias, claim.Text}, focus.MatchString)
}

// given are the parameters that the user has set, in whatever way.
func (o Options) given(patterns []pattern.Pattern) (map[string]string, error) {
	set := maps.Clone(o.Set)
	if set == nil {
		set = map[string]string{}
	}
	for name, file := range o.SetFiles {
		if _, twice := o.Set[name]; twice {
			return nil, fmt.Errorf("parameter %s is set twice: to a value, and to the content of %s", name, file)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		set[name] = string(content)
	}
	const image = "mongodb_image"
	if o.MongoDBImage != "" && set[image] == "" {
		if !slices.ContainsFunc(patterns, func(p pattern.Pattern) bool { return hasParameter(p, image) }) {
			return nil, fmt.Errorf("no selected pattern has a database, for which --mongodb-image could be")
		}
		set[image] = o.MongoDBImage
	}
	return set, nil
}

func hasParameter(p pattern.Pattern, name string) bool {
	return slices.ContainsFunc(p.Parameters, func(parameter pattern.Parameter) bool { return parameter.Name == name })
}

// hasClaim tells whether the pattern has a claim with this alias or ID, in any case, as a report's exit code compares them.
func hasClaim(p pattern.Pattern, name string) bool {
	return slices.ContainsFunc(p.Claims, func(c pattern.Claim) bool {
		return strings.EqualFold(name, c.Alias) || strings.EqualFold(name, p.ID(c))
	})
}

func aliases(patterns []pattern.Pattern) []string {
	var list []string
	for _, p := range patterns {
		for _, claim := range p.Claims {
			list = append(list, claim.Alias)
		}
	}
	return list
}

// seed is the pattern's part of the report before anything was judged.
func seed(p pattern.Pattern, job Job) v1.Pattern {
	seeded := v1.Pattern{Name: p.Name, Title: p.Title, Hardened: job.Options.Hardened, Parameters: p.Shown(job.Values), Namespaces: p.Namespaces(job.Values), Deviations: p.Deviations}
	for _, name := range slices.Sorted(maps.Keys(job.Unmet)) {
		seeded.Deviations = append(seeded.Deviations, job.Unmet[name])
	}
	for _, claim := range p.Claims {
		why, skipped := job.Skipped[claim.Alias]
		if !skipped && !slices.Contains(job.Claims, claim.Alias) {
			continue
		}
		seededClaim := v1.Claim{ID: p.ID(claim), Alias: claim.Alias, Text: claim.Text, Ends: claim.Ends}
		if skipped {
			seededClaim.Verdict, seededClaim.Reason = v1.Skipped, why
		}
		seeded.Claims = append(seeded.Claims, seededClaim)
	}
	return seeded
}

// newRunID is short and sorts by time.
func newRunID(now time.Time, random string) string {
	return now.UTC().Format("20060102-150405-") + random
}
