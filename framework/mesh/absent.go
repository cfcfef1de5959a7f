package mesh

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Absent expects that what another expectation is of is there no more.
func Absent(e Expectation) Expectation {
	return Expectation{Hop: e.Hop, Text: "no longer: " + e.Text, Holds: func(s Snapshot) (bool, string) {
		holds, _ := e.Holds(s)
		return !holds, "it is still there"
	}}
}

// Vanished are those of some expectations that cannot hold any more once the proxies have taken these objects. What other
// objects, or the mesh itself, may cause as well is none of them.
func Vanished(before []Expectation, objects []*unstructured.Unstructured, workloads []Workload) []Expectation {
	next := &derivation{objects: objects}
	now := Expectations(objects, workloads)
	var vanished []Expectation
	for _, e := range before {
		expected := slices.ContainsFunc(now, func(o Expectation) bool { return o.Hop == e.Hop && o.Text == e.Text })
		if !expected && e.gone != nil && e.gone(next) {
			vanished = append(vanished, e)
		}
	}
	return vanished
}
