// Package compare tells what has changed between two runs of the same patterns, from their results alone: which claims, and,
// where one broke, which hop's configuration is the first on the path that is not what it was.
package compare

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Class is what became of a claim from A to B.
type Class string

// The classes, the one that matters most first. A claim is proven when it passed; where a side has several runs, when it
// passed in all of them.
const (
	// Broken: it was proven, and is not any more.
	Broken Class = "broken"
	// Fixed: it was judged and not proven, and is proven now.
	Fixed Class = "fixed"
	// Slower and Faster: it is proven as before, and a time has changed beyond its noise.
	Slower Class = "slower"
	Faster Class = "faster"
	// New and Gone: it was judged on one side only.
	New  Class = "new"
	Gone Class = "gone"
	// Unchanged: it is proven as before, or is still not proven.
	Unchanged Class = "unchanged"
)

// Classes are all of them, in order.
var Classes = []Class{Broken, Fixed, Slower, Faster, New, Gone, Unchanged}

// Comparison is B compared with A.
type Comparison struct {
	A        Identity      `json:"a"`
	B        Identity      `json:"b"`
	Patterns []Pattern     `json:"patterns"`
	Counts   map[Class]int `json:"counts"`
}

// Identity says what a side is of.
type Identity struct {
	// Runs are the IDs of its runs, the oldest first.
	Runs    []string   `json:"runs"`
	Cluster v1.Cluster `json:"cluster"`
}

// Pattern is one pattern, of those that either side has.
type Pattern struct {
	Name     string `json:"name"`
	Hardened bool   `json:"hardened,omitempty"`
	// Only is "A" or "B" for a pattern that the other side does not have.
	Only string `json:"only,omitempty"`
	// Parameters are those with other values, as "a -> b". The cluster may have decided them, as it does addresses.
	Parameters map[string]string `json:"parameters,omitempty"`
	Claims     []Claim           `json:"claims"`
	// Hops are those of the path, in its order; empty when a side has kept no configuration, and Unknown then says so.
	Hops    []Hop  `json:"hops,omitempty"`
	Unknown string `json:"unknown,omitempty"`
}

// Claim is what became of one claim.
type Claim struct {
	ID    string  `json:"id"`
	Alias string  `json:"alias"`
	Class Class   `json:"class"`
	A     *Result `json:"a,omitempty"`
	B     *Result `json:"b,omitempty"`
	// Times are those of which the noise is known, on a claim that is proven on both sides.
	Times []Time `json:"times,omitempty"`
	// FirstHop is, of a broken claim, the first on the path whose configuration differs, empty when none does, and Differences are
	// what differs there. Clusters that no probe of the claim was sent to are left out, unless nothing else differs.
	FirstHop    string       `json:"firstHop,omitempty"`
	Differences []Difference `json:"differences,omitempty"`
}

// Slug is the part of the claim's ID behind the pattern's name.
func (c Claim) Slug() string { return c.ID[strings.LastIndexByte(c.ID, '/')+1:] }

// Result is what the runs of one side found about a claim.
type Result struct {
	// Verdict is that of the worst run, and Cause and Reason are its.
	Verdict v1.Verdict `json:"verdict"`
	Cause   string     `json:"cause,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	// Runs is how many runs have judged the claim, and Proven how many of them with success.
	Runs   int `json:"runs"`
	Proven int `json:"proven"`
	// Look is the folder of the worst run's diagnosis; empty when there is none.
	Look string `json:"look,omitempty"`
}

// Compare compares two sides. Its error says, in one line, why they cannot be compared.
func Compare(a, b Side) (Comparison, error) {
	result := Comparison{A: a.identity(), B: b.identity(), Counts: map[Class]int{}}
	common := 0
	for _, name := range union(a.patterns(), b.patterns()) {
		in, out := a.of(name), b.of(name)
		if len(in) > 0 && len(out) > 0 {
			if err := sameVariant(name, in, out); err != nil {
				return Comparison{}, err
			}
			common++
		}
		pattern, err := comparePattern(name, in, out)
		if err != nil {
			return Comparison{}, err
		}
		for _, claim := range pattern.Claims {
			result.Counts[claim.Class]++
		}
		result.Patterns = append(result.Patterns, pattern)
	}
	if common == 0 {
		return Comparison{}, fmt.Errorf("the two have no pattern in common: %s has %s, %s has %s", a.Path, strings.Join(a.patterns(), ", "), b.Path, strings.Join(b.patterns(), ", "))
	}
	return result, nil
}

// sameVariant refuses runs of different variants of a pattern: the same claims want the opposite of them.
func sameVariant(name string, a, b []part) error {
	for _, one := range slices.Concat(a, b) {
		if one.pattern.Hardened != a[0].pattern.Hardened {
			return fmt.Errorf("pattern %s cannot be compared: run %s has the %s, run %s the %s", name, a[0].run, variant(a[0].pattern), one.run, variant(one.pattern))
		}
	}
	return nil
}

func variant(p v1.Pattern) string {
	if p.Hardened {
		return "hardened variant"
	}
	return "variant that its source has"
}

func comparePattern(name string, a, b []part) (Pattern, error) {
	result := Pattern{Name: name, Hardened: slices.Concat(a, b)[0].pattern.Hardened}
	switch {
	case len(a) == 0:
		result.Only = "B"
	case len(b) == 0:
		result.Only = "A"
	default:
		result.Parameters = changedParameters(a[len(a)-1].pattern.Parameters, b[len(b)-1].pattern.Parameters)
		hops, unknown, err := compareHops(a, b)
		if err != nil {
			return Pattern{}, err
		}
		result.Hops, result.Unknown = hops, unknown
	}
	for _, id := range union(claimIDs(a), claimIDs(b)) {
		claim := compareClaim(id, a, b)
		if claim.Class == Broken {
			claim.FirstHop, claim.Differences = firstDiffering(result.Hops, usedBy(id, a, b))
		}
		result.Claims = append(result.Claims, claim)
	}
	return result, nil
}

// changedParameters are those with other values on the two sides. What a side does not say is no change.
func changedParameters(a, b map[string]string) map[string]string {
	changed := map[string]string{}
	for name, before := range a {
		if after, known := b[name]; known && after != before {
			changed[name] = before + " -> " + after
		}
	}
	return changed
}

func claimIDs(parts []part) []string {
	var ids []string
	for _, p := range parts {
		for _, claim := range p.pattern.Claims {
			ids = append(ids, claim.ID)
		}
	}
	return union(ids, nil)
}

// union is what either list has, once, in the order of the first and then of the second.
func union(a, b []string) []string {
	var all []string
	for _, entry := range slices.Concat(a, b) {
		if !slices.Contains(all, entry) {
			all = append(all, entry)
		}
	}
	return all
}
