package envoy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSecretsOfFullDump(t *testing.T) {
	got, err := Secrets(testdata(t, "config_dump.json"))
	if err != nil {
		t.Fatal(err)
	}
	leaf := Certificate{
		Subject: "CN=api.lab,O=lab", Issuer: "CN=root,O=lab", Serial: "1234abcd",
		DNS: []string{"api.lab"}, URIs: []string{"spiffe://cluster.local/ns/bookinfo/sa/ratings"},
		IPs: []netip.Addr{netip.MustParseAddr("10.0.0.9")},
	}
	root := Certificate{Subject: "CN=root,O=lab", Issuer: "CN=root,O=lab", CA: true}
	want := []Secret{
		{Name: "default", State: Active, Kind: CertificateSecret, Certificates: []Certificate{leaf, root}},
		{Name: "kubernetes://api-tls", State: Active, Kind: CertificateSecret, Certificates: []Certificate{leaf}},
		{Name: "ROOTCA", State: Active, Kind: ValidationSecret, Certificates: []Certificate{root}},
		{Name: "kubernetes://late-tls", State: Warming, Version: "uninitialized", Problem: "the proxy waits for it"},
	}
	ignored := cmp.Options{
		cmpopts.IgnoreFields(Secret{}, "LastUpdated"),
		cmpopts.IgnoreFields(Certificate{}, "NotBefore", "NotAfter"),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Serial" },
			cmp.Comparer(func(a, b string) bool { return a == b || a == "" || b == "" })), // the root's is random
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	}
	if diff := cmp.Diff(want, got, ignored); diff != "" {
		t.Errorf("Secrets (-want +got):\n%s", diff)
	}
	for _, s := range got {
		if s.LastUpdated.IsZero() {
			t.Errorf("secret %s has no update time", s.Name)
		}
		for _, c := range s.Certificates {
			if !c.NotAfter.After(c.NotBefore) {
				t.Errorf("secret %s: valid from %s to %s", s.Name, c.NotBefore, c.NotAfter)
			}
		}
	}
}

func TestWarmingSecretOfSubset(t *testing.T) {
	got, err := Secrets(testdata(t, "dynamic_warming_secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Name != "kubernetes://late-tls" || got[0].State != Warming {
		t.Errorf("got %+v, want the one late secret, warming", got)
	}
}

func TestSecretProblems(t *testing.T) {
	for secret, want := range map[string]struct {
		kind    SecretKind
		problem string
	}{
		`"tls_certificate":{"certificate_chain":{"filename":"/etc/certs/tls.crt"}}`:   {CertificateSecret, "file /etc/certs/tls.crt"},
		`"tls_certificate":{"certificate_chain":{"environment_variable":"CERT"}}`:     {CertificateSecret, "variable CERT"},
		`"tls_certificate":{"certificate_chain":{"inline_bytes":"W3JlZGFjdGVkXQ=="}}`: {CertificateSecret, "no PEM certificate"},
		`"tls_certificate":{"certificate_chain":{"inline_bytes":"%%%"}}`:              {CertificateSecret, "not base64"},
		`"tls_certificate":{}`:                                                           {CertificateSecret, "holds no certificates"},
		`"validation_context":{"trusted_ca":{}}`:                                         {ValidationSecret, "holds no certificates"},
		`"generic_secret":{"secret":{"inline_string":"hunter2"}}`:                        {OtherSecret, ""},
		`"session_ticket_keys":{"keys":[]}`:                                              {OtherSecret, ""},
		`"validation_context":{"trusted_ca":{"inline_string":"` + brokenPEM + `"}}`:      {ValidationSecret, "certificate 1"},
		`"tls_certificate":{"certificate_chain":{"inline_string":"` + keyOnlyPEM + `"}}`: {CertificateSecret, "no PEM certificate"},
	} {
		dump := `{"configs":[{"@type":"t/envoy.admin.v3.SecretsConfigDump.StaticSecret","name":"s","secret":{` + secret + `}}]}`
		got, err := Secrets([]byte(dump))
		if err != nil {
			t.Errorf("%s: %v", secret, err)
			continue
		}
		s := got[0]
		if s.Kind != want.kind || !strings.Contains(s.Problem, want.problem) || (want.problem == "") != (s.Problem == "") {
			t.Errorf("%s: kind %q, problem %q, want %q, %q", secret, s.Kind, s.Problem, want.kind, want.problem)
		}
		if !s.Static || s.State != Active || len(s.Certificates) != 0 {
			t.Errorf("%s: %+v, want a static, active secret without certificates", secret, s)
		}
	}
}

const (
	brokenPEM  = `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`
	keyOnlyPEM = `-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n`
)
