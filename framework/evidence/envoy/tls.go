package envoy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// TLS is what a TLS transport socket is configured to do, on either side.
// Certificates and keys that stand inline in the configuration are not kept.
type TLS struct {
	SNI                      string   // sent to the upstream; empty downstream
	ALPN                     []string // offered or accepted protocols
	Certificates             []string // names of the secrets with its own certificates
	Validation               string   // name of the secret that validates the peer
	RequireClientCertificate bool     // downstream only
}

// TransportSocketMatch is one entry of a cluster's transport_socket_matches: hosts
// whose metadata agrees with Match are reached through this socket.
type TransportSocketMatch struct {
	Name  string
	Match map[string]string // empty: matches every host
	TLS   *TLS              // nil: plain text
}

// transportSocketJSON is envoy.config.core.v3.TransportSocket.
type transportSocketJSON struct {
	Name   string          `json:"name"`
	Config json.RawMessage `json:"typed_config"`
}

// tlsContextJSON reads Upstream- and DownstreamTlsContext at once, and the sockets
// that wrap another one (PROXY protocol, internal upstream, tap, QUIC).
type tlsContextJSON struct {
	Type    string `json:"@type"`
	SNI     string `json:"sni"`
	Require bool   `json:"require_client_certificate"`
	Common  struct {
		ALPN       []string     `json:"alpn_protocols"`
		Secrets    []sdsRefJSON `json:"tls_certificate_sds_secret_configs"`
		Validation *sdsRefJSON  `json:"validation_context_sds_secret_config"`
		Combined   *struct {
			Secret *sdsRefJSON `json:"validation_context_sds_secret_config"`
		} `json:"combined_validation_context"`
	} `json:"common_tls_context"`
	Inner          *transportSocketJSON `json:"transport_socket"`
	DownstreamQUIC json.RawMessage      `json:"downstream_tls_context"`
	UpstreamQUIC   json.RawMessage      `json:"upstream_tls_context"`
}

type sdsRefJSON struct {
	Name string `json:"name"`
}

// maxSocketDepth bounds sockets inside sockets; Envoy's own nest three deep.
const maxSocketDepth = 8

// tls returns nil for a socket that sends plain text.
func (s *transportSocketJSON) tls() (*TLS, error) {
	return s.tlsAt(0)
}

func (s *transportSocketJSON) tlsAt(depth int) (*TLS, error) {
	if s == nil || len(s.Config) == 0 {
		return nil, nil
	}
	if depth == maxSocketDepth {
		return nil, fmt.Errorf("transport socket %q: more than %d sockets inside one another", s.Name, maxSocketDepth)
	}
	var config tlsContextJSON
	if err := json.Unmarshal(s.Config, &config); err != nil {
		return nil, fmt.Errorf("transport socket %q: %w", s.Name, err)
	}
	switch {
	case strings.HasSuffix(config.Type, "TlsContext"):
		return config.tls(), nil
	case len(config.DownstreamQUIC) > 0:
		return (&transportSocketJSON{Name: s.Name, Config: asTLSContext(config.DownstreamQUIC)}).tlsAt(depth + 1)
	case len(config.UpstreamQUIC) > 0:
		return (&transportSocketJSON{Name: s.Name, Config: asTLSContext(config.UpstreamQUIC)}).tlsAt(depth + 1)
	case config.Inner != nil:
		return config.Inner.tlsAt(depth + 1)
	}
	return nil, nil
}

// asTLSContext gives a nested TLS context the type that only an Any carries.
func asTLSContext(context json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(context, &fields) != nil || fields == nil {
		return context
	}
	fields["@type"] = json.RawMessage(`"TlsContext"`)
	typed, err := json.Marshal(fields)
	if err != nil {
		return context
	}
	return typed
}

func (c *tlsContextJSON) tls() *TLS {
	out := &TLS{SNI: c.SNI, ALPN: c.Common.ALPN, RequireClientCertificate: c.Require}
	for _, secret := range c.Common.Secrets {
		out.Certificates = append(out.Certificates, secret.Name)
	}
	switch {
	case c.Common.Validation != nil:
		out.Validation = c.Common.Validation.Name
	case c.Common.Combined != nil && c.Common.Combined.Secret != nil:
		out.Validation = c.Common.Combined.Secret.Name
	}
	return out
}
