package envoy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListenersOfFullDump(t *testing.T) {
	got, err := Listeners(testdata(t, "config_dump.json"))
	if err != nil {
		t.Fatal(err)
	}
	mongo := []WeightedCluster{{Name: "outbound|27018||mongo.lab", Weight: 100}}
	tcp := []string{"envoy.filters.network.tcp_proxy"}
	local := func(port uint16) Address { return Address{Host: "127.0.0.1", Port: port} }
	want := []Listener{
		{
			Name: "static-one", State: Active, Static: true, Address: Address{Host: "::1", Port: 28083},
			Chains: []FilterChain{{Filters: tcp, Clusters: mongo}},
		},
		{
			Name: "0.0.0.0_9080", State: Active, Direction: "OUTBOUND", Address: local(28080),
			Chains: []FilterChain{{
				Filters:     []string{"envoy.filters.network.http_connection_manager"},
				RouteConfig: "8080",
			}},
		},
		{
			Name: "0.0.0.0_28443", State: Active, Address: local(28443),
			Chains: []FilterChain{{
				Name: "api.lab",
				Match: ChainMatch{
					ServerNames: []string{"api.lab"}, TransportProtocol: "tls",
					ApplicationProtocols: []string{"h2", "http/1.1"},
					DestinationPort:      28443, PrefixRanges: []string{"127.0.0.0/8"},
				},
				TLS: &TLS{
					ALPN:         []string{"h2", "http/1.1"},
					Certificates: []string{"kubernetes://api-tls"}, RequireClientCertificate: true,
				},
				Filters: tcp, Clusters: mongo,
			}},
			Default: &FilterChain{
				Name: "fallback", Filters: tcp,
				Clusters: []WeightedCluster{{Name: "BlackHoleCluster", Weight: 100}},
			},
		},
		{
			Name: "0.0.0.0_28018", State: Active, Address: local(28018), More: []Address{{Host: "::1", Port: 28018}},
			Chains: []FilterChain{{
				Filters:  []string{"envoy.filters.network.mongo_proxy", "envoy.filters.network.tcp_proxy"},
				Clusters: mongo,
			}},
		},
		{
			Name: "0.0.0.0_28018", State: Warming, Address: local(28018), More: []Address{{Host: "::1", Port: 28018}},
			Chains: []FilterChain{{
				TLS:     &TLS{Certificates: []string{"kubernetes://late-tls"}},
				Filters: tcp, Clusters: mongo,
			}},
		},
		{
			Name: "pipe", State: Active, Address: Address{Pipe: "/etc/lab/p.sock"},
			Chains: []FilterChain{{Filters: tcp, Clusters: mongo}},
		},
		{
			Name: "connect_originate", State: Active,
			Chains: []FilterChain{{Filters: tcp, Clusters: mongo}},
		},
		{
			Name: "bad", State: Refused,
			Rejected: "cannot bind '127.0.0.1:29901': Address already in use",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Listeners (-want +got):\n%s", diff)
	}
}

func TestListenersOfSubset(t *testing.T) {
	got, err := Listeners(testdata(t, "dynamic_listeners.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range got {
		names = append(names, l.Name+" "+string(l.State))
	}
	want := []string{"0.0.0.0_28443 active", "0.0.0.0_28018 active", "0.0.0.0_28018 warming"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names and states (-want +got):\n%s", diff)
	}
}

func TestListenerStates(t *testing.T) {
	const dump = `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener",
		"name":"virtualOutbound",
		"active_state":{"version_info":"2026-08-01T00:00:02Z/7","listener":{"name":"virtualOutbound","address":{"socket_address":{"address":"0.0.0.0","port_value":15001}}}},
		"draining_state":{"version_info":"2026-08-01T00:00:01Z/6","listener":{"name":"virtualOutbound","address":{"socket_address":{"address":"0.0.0.0","port_value":15001}}}},
		"error_state":{"details":"duplicate filter chain","failed_configuration":{"name":"virtualOutbound"}}}]}`
	got, err := Listeners([]byte(dump))
	if err != nil {
		t.Fatal(err)
	}
	address := Address{Host: "0.0.0.0", Port: 15001}
	want := []Listener{
		{Name: "virtualOutbound", State: Active, Version: "2026-08-01T00:00:02Z/7", Address: address, Rejected: "duplicate filter chain"},
		{Name: "virtualOutbound", State: Draining, Version: "2026-08-01T00:00:01Z/6", Address: address, Rejected: "duplicate filter chain"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Listeners (-want +got):\n%s", diff)
	}
}

func TestTransportSockets(t *testing.T) {
	const upstream = `"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","sni":"a.lab"`
	const tlsSocket = `{"name":"envoy.transport_sockets.tls","typed_config":{` + upstream + `}}`
	deep := tlsSocket
	for range maxSocketDepth {
		deep = `{"name":"wrap","typed_config":{"@type":"x/Wrap","transport_socket":` + deep + `}}`
	}
	for name, test := range map[string]struct {
		socket string
		want   *TLS
		err    string
	}{
		"none":  {socket: `null`},
		"plain": {socket: `{"name":"envoy.transport_sockets.raw_buffer","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}`},
		"tls":   {socket: tlsSocket, want: &TLS{SNI: "a.lab"}},
		"in an internal upstream socket": {
			socket: `{"name":"internal_upstream","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport","transport_socket":` + tlsSocket + `}}`,
			want:   &TLS{SNI: "a.lab"},
		},
		"quic": {
			socket: `{"name":"envoy.transport_sockets.quic","typed_config":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport","downstream_tls_context":{"require_client_certificate":true}}}`,
			want:   &TLS{RequireClientCertificate: true},
		},
		"inline certificates leave no trace": {
			socket: `{"name":"tls","typed_config":{` + upstream + `,"common_tls_context":{"tls_certificates":[{"private_key":{"inline_string":"SECRET"}}],"validation_context_sds_secret_config":{"name":"ca"}}}}`,
			want:   &TLS{SNI: "a.lab", Validation: "ca"},
		},
		"too deep": {socket: deep, err: "sockets inside one another"},
		"no object": {
			socket: `{"name":"tls","typed_config":[]}`,
			err:    `transport socket "tls"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dump := `{"configs":[{"@type":"t/envoy.admin.v3.ClustersConfigDump.DynamicCluster","cluster":{"name":"c","transport_socket":` + test.socket + `}}]}`
			got, err := Clusters([]byte(dump))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), `cluster "c"`) {
					t.Fatalf("error %v, want one with %q and the cluster", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got[0].TLS); diff != "" {
				t.Errorf("TLS (-want +got):\n%s", diff)
			}
		})
	}
}
