package envoy

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// SecretKind is what a secret is for.
type SecretKind string

// The kinds of secrets.
const (
	CertificateSecret SecretKind = "certificate" // a certificate chain with its key
	ValidationSecret  SecretKind = "validation"  // certificates that peers are checked against
	OtherSecret       SecretKind = "other"       // session ticket keys, generic secrets
	UnknownSecret     SecretKind = ""            // not sent yet
)

// Secret is one secret of a configuration dump: its certificates, which are public.
// Keys and generic secrets are never decoded.
type Secret struct {
	Name        string
	State       State
	Static      bool
	Version     string
	LastUpdated time.Time // when the proxy took it; zero if the dump does not say
	Kind        SecretKind
	// Certificates are the chain of a CertificateSecret, leaf first, or the trusted
	// authorities of a ValidationSecret.
	Certificates []Certificate
	// Problem is why there are no certificates: kept in a file, not PEM, none sent
	// yet. Empty when there are.
	Problem string
	// Rejected is why the proxy refused the newest update; empty when it took it.
	Rejected string
}

// Certificate is what one X.509 certificate says.
type Certificate struct {
	Subject   string // RFC 4514: "CN=api,O=lab"
	Issuer    string
	Serial    string // hexadecimal, lower case, as Envoy's /certs writes it
	DNS       []string
	URIs      []string
	IPs       []netip.Addr
	NotBefore time.Time
	NotAfter  time.Time
	CA        bool
}

var secretKind = resourceKind{
	what: "secrets",
	dump: "SecretsConfigDump",
	lists: []resourceList{
		{field: "static_secrets", state: Active, static: true},
		{field: "dynamic_active_secrets", state: Active},
		{field: "dynamic_warming_secrets", state: Warming},
	},
	items: []resourceItem{
		{message: "SecretsConfigDump.StaticSecret", state: Active, static: true},
		{message: "SecretsConfigDump.DynamicSecret", state: Unstated},
	},
}

// Secrets returns the secrets of a configuration dump in the dump's order. It takes
// a full /config_dump and the answers to ?resource=dynamic_active_secrets,
// dynamic_warming_secrets and static_secrets; see Unstated for their State. A
// certificate that cannot be read is a Problem of its secret, not an error.
func Secrets(configDump []byte) ([]Secret, error) {
	found, err := secretKind.read(configDump)
	if err != nil {
		return nil, err
	}
	out := make([]Secret, 0, len(found))
	for _, r := range found {
		var entry secretEntry
		if err := r.decode(&entry); err != nil {
			return nil, err
		}
		secret := entry.secret()
		secret.State, secret.Static = r.state, r.static
		if secret.State == Unstated && entry.Version == uninitialized {
			secret.State = Warming
		}
		out = append(out, secret)
	}
	return out, nil
}

// uninitialized is the version of a secret that the proxy waits for.
const uninitialized = "uninitialized"

// secretEntry has no field for private keys and passwords, so that decoding skips
// them; of ticket keys and generic secrets only the presence is kept.
type secretEntry struct {
	Name    string           `json:"name"`
	Version string           `json:"version_info"`
	Updated time.Time        `json:"last_updated"`
	Error   *updateErrorJSON `json:"error_state"`
	Secret  struct {
		Name        string `json:"name"`
		Certificate *struct {
			Chain *dataSourceJSON `json:"certificate_chain"`
		} `json:"tls_certificate"`
		Validation *struct {
			CA *dataSourceJSON `json:"trusted_ca"`
		} `json:"validation_context"`
		TicketKeys present `json:"session_ticket_keys"`
		Generic    present `json:"generic_secret"`
	} `json:"secret"`
}

// present says that a field is there, and drops what it holds.
type present bool

func (p *present) UnmarshalJSON([]byte) error {
	*p = true
	return nil
}

type dataSourceJSON struct {
	Bytes  string `json:"inline_bytes"`
	String string `json:"inline_string"`
	File   string `json:"filename"`
	Env    string `json:"environment_variable"`
}

func (e secretEntry) secret() Secret {
	out := Secret{Name: e.Name, Version: e.Version, LastUpdated: e.Updated, Kind: OtherSecret}
	if out.Name == "" {
		out.Name = e.Secret.Name
	}
	if e.Error != nil {
		out.Rejected = e.Error.Details
	}
	var source *dataSourceJSON
	switch {
	case e.Secret.Certificate != nil:
		out.Kind, source = CertificateSecret, e.Secret.Certificate.Chain
	case e.Secret.Validation != nil:
		out.Kind, source = ValidationSecret, e.Secret.Validation.CA
	case bool(e.Secret.TicketKeys), bool(e.Secret.Generic):
		return out
	default:
		out.Kind, out.Problem = UnknownSecret, "the proxy waits for it"
		return out
	}
	certificates, err := source.certificates()
	if err != nil {
		out.Problem = err.Error()
	}
	out.Certificates = certificates
	return out
}

func (s *dataSourceJSON) certificates() ([]Certificate, error) {
	switch {
	case s == nil:
		return nil, errors.New("holds no certificates")
	case s.String != "":
		return parseCertificates([]byte(s.String))
	case s.Bytes != "":
		data, err := base64.StdEncoding.DecodeString(s.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificates are not base64: %w", err)
		}
		return parseCertificates(data)
	case s.File != "":
		return nil, fmt.Errorf("certificates are in the proxy's file %s", s.File)
	case s.Env != "":
		return nil, fmt.Errorf("certificates are in the proxy's environment variable %s", s.Env)
	}
	return nil, errors.New("holds no certificates")
}

func parseCertificates(data []byte) ([]Certificate, error) {
	var out []Certificate
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue // a key next to its certificate is none of our business
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(out)+1, err)
		}
		out = append(out, certificate(parsed))
	}
	if len(out) == 0 {
		return nil, errors.New("no PEM certificate in it")
	}
	return out, nil
}

func certificate(c *x509.Certificate) Certificate {
	out := Certificate{
		Subject:   c.Subject.String(),
		Issuer:    c.Issuer.String(),
		DNS:       c.DNSNames,
		NotBefore: c.NotBefore,
		NotAfter:  c.NotAfter,
		CA:        c.IsCA,
	}
	if c.SerialNumber != nil {
		out.Serial = fmt.Sprintf("%x", c.SerialNumber.Bytes())
	}
	for _, uri := range c.URIs {
		out.URIs = append(out.URIs, uri.String())
	}
	for _, ip := range c.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			out.IPs = append(out.IPs, addr.Unmap())
		}
	}
	return out
}
