package compare

import (
	"os"
	"slices"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// firstDiffering is the first hop on the path with a difference that can concern a claim, and those differences, the most telling
// ones first. Where none can, it is the first with any; the name is empty when there is none.
func firstDiffering(hops []Hop, u used) (name string, differences []Difference) {
	for _, relevant := range []func(string, Difference) bool{u.concerns, func(string, Difference) bool { return true }} {
		for _, hop := range hops {
			found := slices.DeleteFunc(slices.Clone(hop.Differences), func(d Difference) bool { return !relevant(hop.Name, d) })
			if len(found) > 0 {
				slices.SortStableFunc(found, func(a, b Difference) int { return a.rank() - b.rank() })
				return hop.Name, found
			}
		}
	}
	return "", nil
}

// names are the fields that say what something is called in statistics and traces, and lead nowhere.
var names = []string{"metadata", "decorator", "stat_prefix", "alt_stat_name", "name"}

// rank is how little a difference tells: what has another value says most, and what only has another name least.
func (d Difference) rank() int {
	switch {
	case slices.ContainsFunc(d.Field, func(field string) bool { return slices.Contains(names, field) }):
		return 2
	case d.A == nil || d.B == nil:
		return 1
	}
	return 0
}

// used are the clusters that the probes of a claim were sent to, by hop, as far as their evidence was kept: that of a sample where
// the claim passed, and of some that contradict it where it did not.
type used struct {
	clusters   map[string]map[string]bool
	parameters []map[string]string
}

func usedBy(id string, sides ...[]part) used {
	u := used{clusters: map[string]map[string]bool{}}
	for _, p := range slices.Concat(sides...) {
		u.parameters = append(u.parameters, p.pattern.Parameters)
		for _, claim := range p.pattern.Claims {
			if claim.ID != id {
				continue
			}
			for _, evidence := range claim.Evidence {
				u.note(evidence)
			}
		}
	}
	return u
}

func (u used) note(evidence v1.Evidence) {
	for _, item := range evidence.Items {
		cluster := item.Fields[v1.ClusterField]
		if cluster == "" {
			continue
		}
		if u.clusters[item.End] == nil {
			u.clusters[item.End] = map[string]bool{}
		}
		u.clusters[item.End][cluster] = true
	}
}

// concerns tells whether a difference at a hop can have to do with the claim: only of a cluster is it known that it cannot, when
// the hop has sent its probes to others.
func (u used) concerns(hop string, d Difference) bool {
	if len(u.clusters[hop]) == 0 || !strings.HasPrefix(d.Entry, "outbound|") {
		return true
	}
	for _, parameters := range u.parameters {
		known := true
		cluster := os.Expand(d.Entry, func(name string) string {
			value, found := parameters[name]
			known = known && found
			return value
		})
		if !known || u.clusters[hop][cluster] {
			return true
		}
	}
	return false
}
