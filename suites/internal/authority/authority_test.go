package authority

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/meshproof/meshproof/framework/pattern"
)

// made are the values of parameters, generated and computed.
func made(t *testing.T, parameters ...pattern.Parameter) pattern.Values {
	t.Helper()
	p := pattern.Pattern{Name: "test", Parameters: parameters}
	values, err := p.Values(nil, "", nil)
	if err == nil {
		values, err = p.Computed(values, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func certificateOf(t *testing.T, values pattern.Values, name string) *x509.Certificate {
	t.Helper()
	text, err := PEM(values, name)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(text))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestTheCertificatesAreWhatTheyAreFor(t *testing.T) {
	named := func(pattern.Values) []string { return []string{strings.Repeat("long", 20) + ".lab", "db.lab"} }
	signer := Signer{Key: "key", Authority: "authority", AuthorityKey: "authority_key"}
	values := made(t, ValidFrom, Key("authority_key", ""), Key("key", ""), Self("authority", "", "the run's", "authority_key"),
		Server("good", "", Valid, signer, named), Server("late", "", Expired, signer, named), Quoted("quoted", "", "good", false), Quoted("quoted_key", "", "key", true))
	roots := x509.NewCertPool()
	roots.AddCert(certificateOf(t, values, "authority"))
	for name, want := range map[string]string{"good": "", "late": "certificate has expired"} {
		_, err := certificateOf(t, values, name).Verify(x509.VerifyOptions{Roots: roots, DNSName: "db.lab", CurrentTime: time.Now()})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	unquote := strings.NewReplacer(`\n`, "\n")
	if _, err := tls.X509KeyPair([]byte(unquote.Replace(values["quoted"])), []byte(unquote.Replace(values["quoted_key"]))); err != nil || strings.Contains(values["quoted"], "\n") {
		t.Errorf("the quoted pair: %v", err)
	}
}

func TestWhatAUserGives(t *testing.T) {
	values := made(t, ValidFrom, Key("key", ""), Self("authority", "", "the run's", "key"))
	key, _ := PEM(values, "key")
	certificate, _ := PEM(values, "authority")
	for name, test := range map[string]struct {
		parse       func(string) (string, error)
		given, want string
	}{
		"a certificate":              {parseCertificate, certificate, ""},
		"a key":                      {parseKey, key, ""},
		"a key as a certificate":     {parseCertificate, key, "this is no certificate in PEM"},
		"a certificate as a key":     {parseKey, certificate, "this is no private key in PEM"},
		"nothing":                    {parseCertificate, "", "this is no certificate in PEM"},
		"no certificate in its hull": {parseCertificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "this is no certificate: "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.parse(test.given)
			if test.want == "" && (err != nil || got != base64.StdEncoding.EncodeToString([]byte(test.given))) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
	for _, values := range []pattern.Values{{}, {"key": "%"}} {
		if text, err := PEM(values, "key"); err == nil {
			t.Errorf("%v has the PEM %q", values, text)
		}
	}
}
