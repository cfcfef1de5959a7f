package proxyconfig

import (
	"slices"
	"testing"
)

// shopScope is of the pattern in namespace shop, which also names a host outside.
func shopScope(gateway bool) (*scope, normaliser) {
	names := NewNames([]Parameter{{Name: "shop_namespace", Value: "shop", Namespace: true}}, nil, nil, "")
	return newScope(gateway, []string{"shop"}, []string{"page", "*.mongo.lab", "*"}, names), normaliser{names: names}
}

func TestClustersOfThePattern(t *testing.T) {
	s, n := shopScope(false)
	for content, ours := range map[string]bool{
		`{"name": "outbound|80||page.shop.svc.cluster.local"}`:                      true,
		`{"name": "outbound|80||page.bank.svc.cluster.local"}`:                      false,
		`{"name": "outbound|80||page.workshop.svc.cluster.local"}`:                  false,
		`{"name": "outbound|27017||db.mongo.lab"}`:                                  true,
		`{"name": "outbound|27017||db.other.lab"}`:                                  false,
		`{"name": "outbound_.80_._.page.bank.svc.cluster.local"}`:                   false,
		`{"name": "inbound|80||"}`:                                                  true,
		`{"name": "PassthroughCluster"}`:                                            true,
		`{"name": "outbound|1||a.b", "metadata": {"services": [{"ns": "shop"}]}}`:   true,
		`{"name": "outbound|1||a.b", "metadata": {"services": [{"ns": "shop-2"}]}}`: false,
	} {
		if got := s.cluster(n.object(object(t, content))); got != ours {
			t.Errorf("%s: %t", content, got)
		}
	}
}

const twoHosts = `{"name": "80", "virtual_hosts": [{"name": "a", "domains": ["page.shop"]}, {"name": "b", "domains": ["page.bank"]}, {"name": "allow_any", "domains": ["*"]}]}`

func TestRoutesOfThePattern(t *testing.T) {
	kept := func(gateway bool, content string) []string {
		s, n := shopScope(gateway)
		route := n.object(object(t, content))
		if !s.route(route) {
			return nil
		}
		names := []string{"kept"}
		hosts, _ := route["virtual_hosts"].([]any)
		for _, host := range hosts {
			names = append(names, host.(map[string]any)["name"].(string))
		}
		return names
	}
	const onlyOthers = `{"name": "81", "virtual_hosts": [{"name": "b", "domains": ["page.bank"]}, {"name": "allow_any", "domains": ["*"]}]}`
	for _, test := range []struct {
		gateway bool
		content string
		want    []string
	}{
		{false, twoHosts, []string{"kept", "allow_any", "a"}},
		{false, onlyOthers, nil},
		{true, onlyOthers, []string{"kept", "allow_any", "b"}},
		{true, `{"name": "http.80"}`, []string{"kept"}},
	} {
		if got := kept(test.gateway, test.content); !slices.Equal(got, test.want) {
			t.Errorf("gateway %t, %s: %v, want %v", test.gateway, test.content, got, test.want)
		}
	}
}

func TestListenersOfThePattern(t *testing.T) {
	const (
		ourRoutes   = `{"name": "ours", "filters": [{"typed_config": {"rds": {"route_config_name": "80"}}}]}`
		otherRoutes = `{"name": "theirs", "filters": [{"typed_config": {"rds": {"route_config_name": "81"}}}]}`
		ourCluster  = `{"name": "ours", "filters": [{"typed_config": {"cluster": "outbound|80||page.shop"}}]}`
		other       = `{"name": "theirs", "filters": [{"typed_config": {"cluster": "outbound|80||page.bank"}}]}`
		traced      = `{"name": "traced", "filters": [{"typed_config": {"tracing": {"custom_tags": [{"literal": {"value": "shop"}}]}, "rds": {"route_config_name": "81"}}}]}`
		everyone    = `{"name": "everyone", "filters": [{"typed_config": {"cluster": "PassthroughCluster"}}]}`
	)
	for _, test := range []struct {
		gateway bool
		content string
		want    []string
	}{
		{false, `{"name": "0.0.0.0_80", "filter_chains": [` + ourRoutes + `]}`, []string{"kept", "ours"}},
		{false, `{"name": "0.0.0.0_81", "filter_chains": [` + otherRoutes + `]}`, nil},
		{false, `{"name": "0.0.0.0_82", "filter_chains": [` + ourCluster + `,` + other + `,` + everyone + `]}`, []string{"kept", "everyone", "ours"}},
		{false, `{"name": "0.0.0.0_83", "filter_chains": [` + other + `,` + everyone + `]}`, nil},
		{false, `{"name": "0.0.0.0_86", "filter_chains": [` + traced + `]}`, nil},
		{false, `{"name": "virtualOutbound", "filter_chains": [` + everyone + `]}`, []string{"kept", "everyone"}},
		{false, `{"name": "virtualInbound", "traffic_direction": "INBOUND", "filter_chains": [` + other + `]}`, []string{"kept", "theirs"}},
		{false, `{"name": "0.0.0.0_84", "default_filter_chain": ` + ourRoutes + `}`, []string{"kept"}},
		{true, `{"name": "0.0.0.0_85", "filter_chains": [` + other + `]}`, []string{"kept", "theirs"}},
	} {
		s, n := shopScope(test.gateway)
		s.route(n.object(object(t, twoHosts))) // "80" is kept
		listener := n.object(object(t, test.content))
		var got []string
		if s.listener(listener) {
			got = []string{"kept"}
			chains, _ := listener["filter_chains"].([]any)
			for _, chain := range chains {
				got = append(got, chain.(map[string]any)["name"].(string))
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("gateway %t, %s: %v, want %v", test.gateway, test.content, got, test.want)
		}
	}
}
