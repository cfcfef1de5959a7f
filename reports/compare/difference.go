package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Difference is one field, or one part, that is not the same on both sides.
type Difference struct {
	Kind string `json:"kind"`
	// Entry is the listener, route configuration, cluster or secret, by name.
	Entry string `json:"entry"`
	// Field leads to it from there: the names of fields, and in lists what identifies the entry.
	Field []string `json:"field,omitempty"`
	// A and B are what stands there; absent where it is not there at all.
	A any `json:"a,omitempty"`
	B any `json:"b,omitempty"`
}

// order is the last part of the Field of a list whose entries are the same, in another order.
const order = "(order)"

// below compares two objects, and returns what differs in them.
func (d Difference) below(a, b map[string]any) []Difference {
	var found []Difference
	for _, field := range slices.Sorted(maps.Keys(merged(a, b))) {
		in, inA := a[field]
		out, inB := b[field]
		at := d.at(field)
		if !inA || !inB {
			at.A, at.B = in, out
			found = append(found, at)
			continue
		}
		found = append(found, at.between(field, in, out)...)
	}
	return found
}

// between compares two values of a field.
func (d Difference) between(field string, a, b any) []Difference {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	objectA, ofObject := a.(map[string]any)
	objectB, ofObjects := b.(map[string]any)
	if ofObject && ofObjects {
		return d.below(objectA, objectB)
	}
	listA, ofList := a.([]any)
	listB, ofLists := b.([]any)
	if ofList && ofLists {
		if found, possible := d.amid(field, listA, listB); possible {
			return found
		}
	}
	d.A, d.B = a, b
	return []Difference{d}
}

// amid compares two lists entry by entry: by what identifies an entry, or, where nothing does, by the place. It is not possible
// for lists of different lengths whose entries cannot be told apart.
func (d Difference) amid(field string, a, b []any) (found []Difference, possible bool) {
	keysA, inA, keyedA := keyed(field, a)
	keysB, inB, keyedB := keyed(field, b)
	if keyedA && keyedB {
		found = d.below(inA, inB)
		common := func(keys []string, other map[string]any) []string {
			return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { _, there := other[key]; return !there })
		}
		if before, after := common(keysA, inB), common(keysB, inA); !anyOrder[field] && !slices.Equal(before, after) {
			at := d.at(order)
			at.A, at.B = strings.Join(before, ", "), strings.Join(after, ", ")
			found = append(found, at)
		}
		return found, true
	}
	if len(a) != len(b) {
		return nil, false
	}
	for index := range a {
		found = append(found, d.at(fmt.Sprint(index)).between("", a[index], b[index])...)
	}
	return found, true
}

// identities are the fields by which Envoy itself tells the entries of a list apart; a name does in all others.
var identities = map[string]string{"filter_chains": "filter_chain_match", "routes": "match", "thresholds": "priority"}

// anyOrder are the lists in which the order means nothing.
var anyOrder = map[string]bool{"filter_chains": true, "virtual_hosts": true, "thresholds": true}

// keyed returns the entries of a list by what identifies them; false when not every entry has such a thing, and a different one.
func keyed(field string, list []any) (keys []string, entries map[string]any, possible bool) {
	entries = map[string]any{}
	for _, entry := range list {
		fields, ofObject := entry.(map[string]any)
		if !ofObject {
			return nil, nil, false
		}
		key, named := fields["name"].(string)
		if identity, special := identities[field]; special {
			key, named = text(fields[identity]), true
		}
		if _, twice := entries[key]; !named || twice {
			return nil, nil, false
		}
		keys = append(keys, key)
		entries[key] = entry
	}
	return keys, entries, true
}

// at returns the difference one field deeper.
func (d Difference) at(field string) Difference {
	d.Field = append(slices.Clone(d.Field), field)
	if d.Kind != TLS && (field == "transport_socket" || field == "transport_socket_matches") {
		d.Kind = TLS
	}
	return d
}

func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	return all
}

// text is the value as people read JSON: strings without quotes, and nothing for what is not there.
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value) // it was made of JSON, so it can be written
	}
	return string(data)
}
