package envoy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoutesOfFullDump(t *testing.T) {
	got, err := Routes(testdata(t, "config_dump.json"))
	if err != nil {
		t.Fatal(err)
	}
	const reviews = "outbound|9080||reviews.bookinfo.svc.cluster.local"
	want := []RouteConfig{{
		Name: "8080",
		VirtualHosts: []VirtualHost{{
			Name:    "reviews.lab:9080",
			Domains: []string{"reviews.lab", "reviews.lab:*", "*"},
			Routes: []Route{
				{
					Name: "first",
					Match: RouteMatch{
						Kind: ExactPath, Path: "/exact",
						Headers: []HeaderMatch{{Name: "plan-type", Kind: "exact", Value: "gold"}},
					},
					Clusters: []WeightedCluster{{reviews, 80}, {"outbound|443||tls.lab", 20}},
				},
				{Match: RouteMatch{Kind: RegexPath, Path: "/re/.*"}, Redirect: true},
				{Name: "direct", Match: RouteMatch{Kind: PrefixPath, Path: "/direct"}, DirectResponse: ptr(uint32(418))},
				{
					Name: "tls", Match: RouteMatch{Kind: PrefixPath, Path: "/tls"},
					Clusters: []WeightedCluster{{"outbound|443||tls.lab", 100}},
				},
				{
					Name: "default", Match: RouteMatch{Kind: PrefixPath, Path: "/"},
					Clusters: []WeightedCluster{{reviews, 100}},
				},
			},
		}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Routes (-want +got):\n%s", diff)
	}
}

func TestRouteMatches(t *testing.T) {
	for match, want := range map[string]string{
		`{"prefix":"/"}`:                                  "prefix /",
		`{"path":"/login"}`:                               "exact /login",
		`{"path_separated_prefix":"/api"}`:                "path_separated_prefix /api",
		`{"safe_regex":{"google_re2":{},"regex":"/a.*"}}`: "regex /a.*",
		`{"connect_matcher":{}}`:                          "connect",
		`{"path_match_policy":{"name":"t","typed_config":{"path_template":"/a/{b}"}}}`: "path_match_policy /a/{b}",
		`{}`: "other",
		`{"prefix":"/","headers":[{"name":"a","string_match":{"prefix":"x"},"invert_match":true}]}`:                     "prefix /, a not prefix x",
		`{"prefix":"/","headers":[{"name":"a","exact_match":"x"},{"name":"b","safe_regex_match":{"regex":"y"}}]}`:       "prefix /, a exact x, b regex y",
		`{"prefix":"/","headers":[{"name":"a","present_match":true},{"name":"b","present_match":false},{"name":"c"}]}`:  "prefix /, a present, b not present, c present",
		`{"prefix":"/","headers":[{"name":"a","range_match":{"end":"10"}},{"name":"b","string_match":{"suffix":"s"}}]}`: "prefix /, a range [0,10), b suffix s",
		`{"prefix":"/","headers":[{"name":"a","string_match":{"contains":"c"}}],"query_parameters":[{"name":"q"}]}`:     "prefix /, a contains c, query q",
		`{"prefix":"/","headers":[{"name":"a","string_match":{"custom":{}}}]}`:                                          "prefix /, a other",
	} {
		dump := `{"configs":[{"@type":"t/envoy.admin.v3.RoutesConfigDump.DynamicRouteConfig","route_config":{"name":"r",
			"virtual_hosts":[{"routes":[{"match":` + match + `}]}]}}]}`
		got, err := Routes([]byte(dump))
		if err != nil {
			t.Errorf("%s: %v", match, err)
			continue
		}
		if text := got[0].VirtualHosts[0].Routes[0].Match.String(); text != want {
			t.Errorf("%s:\ngot  %s\nwant %s", match, text, want)
		}
	}
}

func TestStaticRouteConfig(t *testing.T) {
	const dump = `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
		"static_route_configs":[{"route_config":{"name":"inbound|9080||"}}],
		"dynamic_route_configs":[{"version_info":"2026-08-01T00:00:01Z/5","route_config":{"name":"9080","virtual_hosts":[
			{"name":"allow_any","domains":["*"],"routes":[{"name":"by-header","match":{"prefix":"/"},"route":{"cluster_header":"x-c"}}]}]},
			"error_state":{"details":"no such cluster"}}]}]}`
	got, err := Routes([]byte(dump))
	if err != nil {
		t.Fatal(err)
	}
	want := []RouteConfig{
		{Name: "inbound|9080||", Static: true},
		{
			Name: "9080", Version: "2026-08-01T00:00:01Z/5", Rejected: "no such cluster",
			VirtualHosts: []VirtualHost{{
				Name: "allow_any", Domains: []string{"*"},
				Routes: []Route{{Name: "by-header", Match: RouteMatch{Kind: PrefixPath, Path: "/"}, ClusterHeader: "x-c"}},
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Routes (-want +got):\n%s", diff)
	}
}
