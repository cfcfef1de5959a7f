package compare

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// object reads JSON, as it is in a file of a hop's configuration.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestDifferencesOfTwoValues(t *testing.T) {
	for name, test := range map[string]struct {
		a, b string
		// want are the differences as people read them; there and back are the same fields.
		there, back []string
	}{
		"the same": {`{"a": [1, {"b": "c"}]}`, `{"a": [1, {"b": "c"}]}`, nil, nil},
		"a field":  {`{"a": {"b": 1, "c": 2}}`, `{"a": {"b": 1, "c": 3}}`, []string{"clusters x / a / c: 2 -> 3"}, []string{"clusters x / a / c: 3 -> 2"}},
		"a field that is not there": {
			`{"a": {"b": {"c": true}}}`, `{"a": {}}`, []string{`clusters x / a / b: {"c":true} -> absent`}, []string{`clusters x / a / b: absent -> {"c":true}`},
		},
		"another type": {`{"a": {"b": 1}}`, `{"a": "b"}`, []string{`clusters x / a: {"b":1} -> b`}, []string{`clusters x / a: b -> {"b":1}`}},
		"a filter more": {
			`{"http_filters": [{"name": "cors"}, {"name": "router"}]}`, `{"http_filters": [{"name": "cors"}, {"name": "fault"}, {"name": "router"}]}`,
			[]string{`clusters x / http_filters / fault: absent -> {"name":"fault"}`}, []string{`clusters x / http_filters / fault: {"name":"fault"} -> absent`},
		},
		"filters in another order": {
			`{"http_filters": [{"name": "cors"}, {"name": "router"}]}`, `{"http_filters": [{"name": "router"}, {"name": "cors"}]}`,
			[]string{"clusters x / http_filters / (order): cors, router -> router, cors"}, []string{"clusters x / http_filters / (order): router, cors -> cors, router"},
		},
		"virtual hosts in another order": {
			`{"virtual_hosts": [{"name": "a"}, {"name": "b"}]}`, `{"virtual_hosts": [{"name": "b"}, {"name": "a"}]}`, nil, nil,
		},
		"a chain, by what it matches": {
			`{"filter_chains": [{"name": "n", "filter_chain_match": {"p": 1}, "f": 1}, {"name": "n", "filter_chain_match": {"p": 2}}]}`,
			`{"filter_chains": [{"name": "n", "filter_chain_match": {"p": 2}}, {"name": "n", "filter_chain_match": {"p": 1}, "f": 2}]}`,
			[]string{`clusters x / filter_chains / {"p":1} / f: 1 -> 2`}, []string{`clusters x / filter_chains / {"p":1} / f: 2 -> 1`},
		},
		"entries without a name, by their place": {`{"a": [1, 2]}`, `{"a": [1, 3]}`, []string{"clusters x / a / 1: 2 -> 3"}, []string{"clusters x / a / 1: 3 -> 2"}},
		"more entries without a name":            {`{"a": [1]}`, `{"a": [1, 3]}`, []string{"clusters x / a: [1] -> [1,3]"}, []string{"clusters x / a: [1,3] -> [1]"}},
		"entries of the same name, by their place": {
			`{"a": [{"name": "n", "v": 1}, {"name": "n", "v": 2}]}`, `{"a": [{"name": "n", "v": 1}, {"name": "n", "v": 3}]}`,
			[]string{"clusters x / a / 1 / v: 2 -> 3"}, []string{"clusters x / a / 1 / v: 3 -> 2"},
		},
		"TLS": {
			`{"transport_socket": {"typed_config": {"sni": "a"}}}`, `{"transport_socket": {"typed_config": {"sni": "b"}}}`,
			[]string{"tls x / transport_socket / typed_config / sni: a -> b"}, []string{"tls x / transport_socket / typed_config / sni: b -> a"},
		},
		"TLS that is not there": {`{}`, `{"transport_socket_matches": []}`, []string{"tls x / transport_socket_matches: absent -> []"}, []string{"tls x / transport_socket_matches: [] -> absent"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := object(t, test.a), object(t, test.b)
			for _, direction := range []struct {
				from, to map[string]any
				want     []string
			}{{a, b, test.there}, {b, a, test.back}} {
				var got []string
				for _, difference := range (Difference{Kind: Clusters, Entry: "x"}).below(direction.from, direction.to) {
					got = append(got, difference.String())
				}
				if diff := cmp.Diff(direction.want, got); diff != "" {
					t.Errorf("differences (-want +got):\n%s", diff)
				}
			}
		})
	}
}
