package egresstlshttp

import (
	"testing"

	"github.com/meshproof/meshproof/framework/pattern"
)

// TestWhereNGINXHOSTIs: where there are Routes it is one of theirs, and else a name of the server's own port.
func TestWhereNGINXHOSTIs(t *testing.T) {
	for name, test := range map[string]struct {
		set                   map[string]string
		host, endpoint, alias string
	}{
		"with Routes": {
			map[string]string{routeHost: "domain-outside.apps.mesh.lab", "server_address": "10.0.0.9"},
			"nginx-outside.apps.mesh.lab", "nginx-outside.apps.mesh.lab", "no-alias.meshproof.internal",
		},
		"without": {
			map[string]string{"server_address": "lb.example.org"},
			"nginx.outside.meshproof.internal", "lb.example.org", "nginx.outside.meshproof.internal",
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.set["mesh_external_namespace"] = "outside"
			p := Pattern()
			values, err := p.Values(test.set, "", func(string) string { return "image" })
			if err == nil {
				values, err = p.Computed(values, test.set)
			}
			if err != nil {
				t.Fatal(err)
			}
			want := pattern.Values{nginxHost: test.host, "nginx_endpoint": test.endpoint, "nginx_alias": test.alias, serverHost: "server.outside.meshproof.internal"}
			for parameter, value := range want {
				if values[parameter] != value {
					t.Errorf("%s = %q, want %q", parameter, values[parameter], value)
				}
			}
		})
	}
}
