package compare

import (
	"fmt"
	"path/filepath"
	"slices"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Hop is what differs between the proxies of one hop.
type Hop struct {
	Name string `json:"name"`
	// Differences are those that no rule explains. A hop without any is alike.
	Differences []Difference `json:"differences,omitempty"`
	// Known are the rules that explain the others.
	Known []KnownDifference `json:"known,omitempty"`
}

// KnownDifference is a rule, and how many differences of a hop it explains.
type KnownDifference struct {
	Why         string `json:"why"`
	Since       string `json:"since"`
	Differences int    `json:"differences"`
}

// The kinds of differences.
const (
	Proxies   = "proxies"
	Listeners = "listeners"
	Routes    = "routes"
	Clusters  = "clusters"
	TLS       = "tls"
)

// compareHops compares the configuration of every hop, in the order of the path. Of several runs of A it takes the newest one
// that is all proven, of several of B the newest that is not, where there is one. unknown says which side has kept none.
func compareHops(a, b []part) (hops []Hop, unknown string, err error) {
	in, err := newestConfiguration(a, true)
	if err != nil {
		return nil, "", err
	}
	out, err := newestConfiguration(b, false)
	if err != nil {
		return nil, "", err
	}
	switch {
	case len(in.hops) == 0:
		return nil, fmt.Sprintf("run %s has kept no configuration of its proxies", a[len(a)-1].run), nil
	case len(out.hops) == 0:
		return nil, fmt.Sprintf("run %s has kept no configuration of its proxies", b[len(b)-1].run), nil
	}
	var names []string
	for _, hop := range path(in.hops, out.hops) {
		names = union(names, []string{hop.Hop})
	}
	for _, name := range names {
		hops = append(hops, compareHop(name, find(in.hops, name), find(out.hops, name), known.between(in.version, out.version)))
	}
	return hops, "", nil
}

// path is the hops of both sides, in the order of the path.
func path(a, b []v1.Configuration) []v1.Configuration {
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(a, b v1.Configuration) int { return a.Position - b.Position })
	return all
}

func find(hops []v1.Configuration, name string) *v1.Configuration {
	for index := range hops {
		if hops[index].Hop == name {
			return &hops[index]
		}
	}
	return nil
}

func compareHop(name string, a, b *v1.Configuration, rules rules) Hop {
	hop := Hop{Name: name}
	if a == nil || b == nil {
		hop.Differences = []Difference{{Kind: Proxies, A: proxies(a), B: proxies(b)}}
		return hop
	}
	var all []Difference
	for _, section := range []struct {
		kind string
		a, b []v1.ConfigurationEntry
	}{
		{Listeners, a.Listeners, b.Listeners}, {Routes, a.Routes, b.Routes}, {Clusters, a.Clusters, b.Clusters}, {TLS, a.Secrets, b.Secrets},
	} {
		all = append(all, compareSection(section.kind, entries{section.a, a.Proxies}, entries{section.b, b.Proxies})...)
	}
	hop.Differences, hop.Known = rules.explain(all)
	return hop
}

func proxies(c *v1.Configuration) any {
	if c == nil {
		return nil
	}
	return c.Proxies
}

// entries are a section of a hop with so many proxies.
type entries struct {
	list    []v1.ConfigurationEntry
	proxies int
}

func (e entries) names() []string {
	var names []string
	for _, entry := range e.list {
		names = append(names, entry.Name)
	}
	return names
}

// of returns the entries of one name: one where all proxies have the same. held is how many proxies have any.
func (e entries) of(name string) (variants []v1.ConfigurationEntry, held int) {
	for _, entry := range e.list {
		if entry.Name == name {
			variants = append(variants, entry)
			held += entry.Proxies
		}
	}
	return variants, held
}

// compareSection compares what the proxies of a hop hold in a section, by name. How many proxies there are makes no difference;
// whether all of them have an entry does.
func compareSection(kind string, a, b entries) []Difference {
	var found []Difference
	names := union(a.names(), b.names())
	slices.Sort(names)
	for _, name := range names {
		in, heldIn := a.of(name)
		out, heldOut := b.of(name)
		onlyIn, onlyOut := without(in, out), without(out, in)
		if len(onlyIn) == 0 && len(onlyOut) == 0 && (heldIn == a.proxies) != (heldOut == b.proxies) {
			found = append(found, Difference{Kind: kind, Entry: name, A: heldBy(heldIn, a.proxies), B: heldBy(heldOut, b.proxies)})
		}
		found = append(found, compareVariants(kind, name, onlyIn, onlyOut, in, out)...)
	}
	return found
}

// compareVariants compares each variant that only one side has with the one of the other side that is most like it. One that finds
// no such partner is compared with one that both sides have.
func compareVariants(kind, name string, onlyIn, onlyOut, in, out []v1.ConfigurationEntry) []Difference {
	var found []Difference
	for len(onlyIn) > 0 && len(onlyOut) > 0 {
		nearest, differences := 0, compareEntry(kind, name, &onlyIn[0], &onlyOut[0])
		for index := range onlyOut {
			if other := compareEntry(kind, name, &onlyIn[0], &onlyOut[index]); len(other) < len(differences) {
				nearest, differences = index, other
			}
		}
		found = append(found, differences...)
		onlyIn, onlyOut = onlyIn[1:], slices.Delete(slices.Clone(onlyOut), nearest, nearest+1)
	}
	for index := range onlyIn {
		found = append(found, compareEntry(kind, name, &onlyIn[index], first(out))...)
	}
	for index := range onlyOut {
		found = append(found, compareEntry(kind, name, first(in), &onlyOut[index])...)
	}
	return found
}

// without returns the variants that are not among the others.
func without(variants, others []v1.ConfigurationEntry) []v1.ConfigurationEntry {
	return slices.DeleteFunc(slices.Clone(variants), func(e v1.ConfigurationEntry) bool {
		return slices.ContainsFunc(others, func(o v1.ConfigurationEntry) bool { return o.Digest == e.Digest })
	})
}

func first(variants []v1.ConfigurationEntry) *v1.ConfigurationEntry {
	if len(variants) == 0 {
		return nil
	}
	return &variants[0]
}

func heldBy(held, proxies int) string { return fmt.Sprintf("on %d of %d proxies", held, proxies) }

func compareEntry(kind, name string, a, b *v1.ConfigurationEntry) []Difference {
	at := Difference{Kind: kind, Entry: name}
	switch {
	case a == nil:
		at.B = content(*b)
	case b == nil:
		at.A = content(*a)
	case a.Value == nil || b.Value == nil:
		at.A, at.B = "digest "+a.Digest, "digest "+b.Digest
	default:
		return at.below(a.Value, b.Value)
	}
	return []Difference{at}
}

// content is the value of an entry, or what is known of it.
func content(e v1.ConfigurationEntry) any {
	if e.Value == nil {
		return "digest " + e.Digest
	}
	return e.Value
}

// kept is the configuration of one run's proxies.
type kept struct {
	hops    []v1.Configuration
	version string
}

// newestConfiguration is that of the newest run which is all proven, or is not, as wanted; or else of the newest.
func newestConfiguration(parts []part, proven bool) (kept, error) {
	var chosen kept
	fits := false
	for _, p := range parts {
		hops, err := v1.LoadConfigurations(filepath.Join(p.folder, p.pattern.Name))
		if err != nil {
			return kept{}, err
		}
		n := p.pattern.Counts()
		wanted := (n.Failed+n.Inconclusive == 0) == proven
		if len(hops) > 0 && (wanted || !fits) {
			chosen, fits = kept{hops, p.version}, wanted
		}
	}
	return chosen, nil
}
