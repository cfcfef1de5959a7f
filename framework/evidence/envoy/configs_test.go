package envoy

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is read whole are the same resources, in the same order, as those that are read in part.
func TestResourceConfigsAreWhole(t *testing.T) {
	dump := testdata(t, "config_dump.json")
	clusters, err := Clusters(dump)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := Routes(dump)
	if err != nil {
		t.Fatal(err)
	}
	var wantClusters, wantRoutes []string
	for _, c := range clusters {
		wantClusters = append(wantClusters, c.Name+" "+string(c.State))
	}
	for _, r := range routes {
		wantRoutes = append(wantRoutes, r.Name+" "+string(Active))
	}
	for what, test := range map[string]struct {
		read func([]byte) ([]ResourceConfig, error)
		want []string
	}{"clusters": {ClusterConfigs, wantClusters}, "routes": {RouteConfigs, wantRoutes}} {
		configs, err := test.read(dump)
		if err != nil || len(configs) == 0 {
			t.Fatalf("%s: %d, error %v", what, len(configs), err)
		}
		var got []string
		for _, c := range configs {
			got = append(got, c.Name+" "+string(c.State))
			var whole struct{ Name string }
			if err := json.Unmarshal(c.JSON, &whole); err != nil || whole.Name != c.Name {
				t.Errorf("%s: the JSON of %q is of %q, error %v", what, c.Name, whole.Name, err)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}
