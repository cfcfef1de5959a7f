package rules

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/envoy"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Scene is what can be found out about a check that is not proven. Its functions ask the cluster and its proxies once.
type Scene struct {
	// Verdict and Judgement are what the check came to.
	Verdict   v1.Verdict
	Judgement evidence.Judgement
	// Flows are the contrary ones, or those that lack evidence, or else a sample.
	Flows []evidence.Flow
	// Hops are the pattern's, in the order of the path; Used are the names of those that the check's probes or witnesses used.
	Hops []Hop
	Used []string
	// Gaps say, by hop, why its evidence cannot be complete.
	Gaps map[string]evidence.Gap
	// Objects are the live ones of the run's namespaces.
	Objects func(context.Context) ([]*unstructured.Unstructured, error)
	// Dump is a kind of configuration of a proxy of a hop, for example "dynamic_listeners"; nil for a hop without one.
	Dump func(ctx context.Context, hop, resource string) ([]byte, error)
	// Statistics are those of a proxy of a hop; the zero value for a hop without one.
	Statistics func(ctx context.Context, hop string) (envoy.Stats, error)
	// Log is what the application of a hop has written since the check began.
	Log func(ctx context.Context, hop string) (string, error)
	// Now is when the check ended.
	Now time.Time
}

// Hop is a workload of the path.
type Hop struct {
	Name, Namespace string
	// Selector are the labels of its pods, Container is its application's, empty for none.
	Selector, Container string
	Gateway             bool
	// Proxy says that its pods have a proxy.
	Proxy bool
}

// Matches tells whether pods with these labels are the hop's.
func (h Hop) Matches(namespace string, podLabels map[string]string) bool {
	selector, err := labels.Parse(h.Selector)
	return err == nil && namespace == h.Namespace && len(podLabels) > 0 && selector.Matches(labels.Set(podLabels))
}

// Fact is something that is so: fields by name. Every kind of fact has the same fields.
type Fact map[string]string

// checkName is the name of the fact that every rule may refer to: what the check itself came to.
const checkName = "check"

var checkFields = []string{"verdict", "cause", "statement", "end", "detail", "hop"}

func (s *Scene) check() Fact {
	j := s.Judgement
	return Fact{"verdict": string(s.Verdict), "cause": j.Cause, "statement": j.Statement, "end": j.End, "detail": j.Detail, "hop": s.hop()}
}

// hop is the one that the verdict is about: that of its witness, or else the first that it names; empty when it names none.
func (s *Scene) hop() string {
	for _, text := range []string{s.Judgement.End, s.Judgement.Statement, s.Judgement.Detail} {
		best, at := "", -1
		for _, hop := range s.Hops {
			if found := word(text, hop.Name); found >= 0 && (at < 0 || found < at || found == at && len(hop.Name) > len(best)) {
				best, at = hop.Name, found
			}
		}
		if best != "" {
			return best
		}
	}
	return ""
}

// Names tells whether a text names a hop.
func Names(text, hop string) bool { return word(text, hop) >= 0 }

// About is the hop that the verdict is about: that of its witness, or else the first that it names; empty when it names none.
func (s *Scene) About() string { return s.hop() }

// word is where a name stands in a text as a word of its own; -1 for nowhere.
func word(text, name string) int {
	found := regexp.MustCompile(`(^|[^\w.-])(` + regexp.QuoteMeta(name) + `)($|[^\w.-]|[.-](?:\s|$))`).FindStringSubmatchIndex(text)
	if found == nil {
		return -1
	}
	return found[4]
}

// distance is small for facts about the hop of the verdict, greater for those of other hops that the check used.
func (s *Scene) distance(fact Fact) int {
	switch hop, known := fact["hop"]; {
	case known && hop == s.hop():
		return 0
	case known && slices.Contains(s.Used, hop):
		return 1
	}
	return 2
}

// named finds a hop.
func (s *Scene) named(name string) (Hop, bool) {
	index := slices.IndexFunc(s.Hops, func(h Hop) bool { return h.Name == name })
	if index < 0 {
		return Hop{}, false
	}
	return s.Hops[index], true
}

// used are the hops that the check used, in the order of the path.
func (s *Scene) used() []Hop {
	var hops []Hop
	for _, hop := range s.Hops {
		if len(s.Used) == 0 || slices.Contains(s.Used, hop.Name) {
			hops = append(hops, hop)
		}
	}
	return hops
}

// of returns the live objects of a kind.
func (s *Scene) of(ctx context.Context, kind string) ([]*unstructured.Unstructured, error) {
	all, err := s.Objects(ctx)
	var found []*unstructured.Unstructured
	for _, object := range all {
		if object.GetKind() == kind {
			found = append(found, object)
		}
	}
	return found, err
}

// unknown is the diagnosis when no rule fits: where what was claimed and what was recorded part.
func (s *Scene) unknown() v1.Diagnosis {
	j := s.Judgement
	hop := s.parting()
	where := "no hop has a record of it"
	if hop != "" {
		where = "the first hop where they part is " + hop
	}
	text := fmt.Sprintf("No known cause fits; %s. Expected was: %s. Found was: %s.", where, cmp.Or(j.Statement, "the check succeeds"), cmp.Or(j.Detail, "it does not"))
	if line, found := s.record(hop); found {
		text += " Its record of probe " + s.Flows[0].ID() + ": " + line
	}
	diagnosis := v1.Diagnosis{Text: text, Look: []string{"certificates.yaml", "events.txt"}}
	if named, found := s.named(hop); found && named.Proxy {
		diagnosis.Look = append([]string{"configuration/" + hop + ".json"}, diagnosis.Look...)
	}
	return diagnosis
}

// parting is the first hop of the path whose record of the first flow shows a failure, or else the one that the verdict names.
func (s *Scene) parting() string {
	if len(s.Flows) > 0 {
		for _, hop := range s.Hops {
			for _, line := range s.Flows[0].Lines {
				if line.Hop == hop.Name && (len(line.Flags) > 0 || line.ResponseCode >= 400) {
					return hop.Name
				}
			}
		}
	}
	return s.hop()
}

// record is what a hop has of the first flow.
func (s *Scene) record(hop string) (string, bool) {
	if len(s.Flows) == 0 {
		return "", false
	}
	for _, line := range s.Flows[0].Lines {
		if line.Hop == hop {
			return fmt.Sprintf("cluster %s, status %d, flags %s, %s", cmp.Or(line.UpstreamCluster, "none"), line.ResponseCode, cmp.Or(strings.Join(line.Flags, ","), "none"), cmp.Or(line.Details, line.UpstreamFailure, line.TerminationDetails, "no details")), true
		}
	}
	return "", false
}
