package mongo

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/pattern"
)

// valuesOf are the values of a run whose load balancer has this status.
func valuesOf(t *testing.T, hostname, ip string) (pattern.Pattern, pattern.Values) {
	t.Helper()
	p := pattern.Pattern{Name: "mongo-test", Parameters: Parameters("mongo-test")}
	values, err := p.Values(map[string]string{"mongodb_hostname": hostname, IP: ip}, "7f3a", func(fixture string) string { return fixture + ":v1" })
	if err != nil {
		t.Fatal(err)
	}
	computed, err := p.Computed(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p, computed
}

func certificateOf(t *testing.T, values pattern.Values, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(PEM(values, name)))
	if block == nil {
		t.Fatalf("%s is no PEM", name)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestTheHostIsTheNameOfTheLoadBalancerOrOneOfOurs(t *testing.T) {
	for name, test := range map[string]struct{ hostname, ip, host, alias string }{
		"it has a name":    {"lb-1.cloud.example.org", "192.0.2.7", "lb-1.cloud.example.org", "no-alias.meshproof.internal"},
		"it has none":      {"192.0.2.7", "192.0.2.7", "mongo.mongo-test-gateways-7f3a.meshproof.internal", "mongo.mongo-test-gateways-7f3a.meshproof.internal"},
		"as a plan has it": {"mongo.example.org", "192.0.2.1", "mongo.example.org", "no-alias.meshproof.internal"},
	} {
		t.Run(name, func(t *testing.T) {
			_, values := valuesOf(t, test.hostname, test.ip)
			if values[Host] != test.host || values["mongodb_alias"] != test.alias {
				t.Errorf("host %s, alias %s; want %s, %s", values[Host], values["mongodb_alias"], test.host, test.alias)
			}
			env := &pattern.Env{Values: values}
			if got := Balancer(env, TLSPort); got != test.host+":27018" {
				t.Errorf("balancer %s", got)
			}
		})
	}
}

// TestCertificates: who trusts the run's authority can check each for its names, and for no other.
func TestCertificates(t *testing.T) {
	_, values := valuesOf(t, "lb.example.org", "192.0.2.7")
	const inside = "mongo-ingressgateway.mongo-test-gateways-7f3a.svc"
	roots, strangers := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(PEM(values, ownAuthority)))
	strangers.AppendCertsFromPEM([]byte(PEM(values, otherAuthority)))
	for name, names := range map[string][]string{proxyCert: {inside}, namedCert: {"lb.example.org"}, bothCert: {inside, "lb.example.org"}} {
		certificate := certificateOf(t, values, name)
		if diff := cmp.Diff(names, certificate.DNSNames); diff != "" {
			t.Errorf("names of %s (-want +got):\n%s", name, diff)
		}
		for _, wanted := range names {
			if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: wanted}); err != nil {
				t.Errorf("%s for %s: %v", name, wanted, err)
			}
			if _, err := certificate.Verify(x509.VerifyOptions{Roots: strangers, DNSName: wanted}); err == nil {
				t.Errorf("%s for %s is good by another authority", name, wanted)
			}
		}
		if _, err := tls.X509KeyPair([]byte(PEM(values, name)), []byte(PEM(values, proxyKey))); err != nil {
			t.Errorf("%s does not go with the key: %v", name, err)
		}
	}
	for hardened, want := range map[bool]string{false: inside, true: "lb.example.org"} {
		env := &pattern.Env{Values: values, Hardened: hardened}
		if got := CertificateName(env); got != want || len(Fingerprint(env)) != 64 {
			t.Errorf("hardened %t: name %s, fingerprint %s", hardened, got, Fingerprint(env))
		}
	}
	plain, hardened := &pattern.Env{Values: values}, &pattern.Env{Values: values, Hardened: true}
	if Fingerprint(plain) == Fingerprint(hardened) {
		t.Error("both variants present the same certificate")
	}
	if got := Fingerprint(&pattern.Env{}); got != "" {
		t.Errorf("without a certificate the fingerprint is %q", got)
	}
}

// A name that is longer than a common name may be is in the certificate all the same.
func TestALongName(t *testing.T) {
	const host = "internal-a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6-1234567890.elb.eu-central-1.amazonaws.com"
	_, values := valuesOf(t, host, "192.0.2.7")
	certificate := certificateOf(t, values, namedCert)
	if err := certificate.VerifyHostname(host); err != nil {
		t.Error(err)
	}
	if name := certificate.Subject.CommonName; len(name) > 64 || name == "" {
		t.Errorf("common name %q", name)
	}
}

// TestRenderingIsTheSameOfTheSame: a run's objects are rendered again for every change, and must not differ in what nobody
// changed.
func TestRenderingIsTheSameOfTheSame(t *testing.T) {
	p, values := valuesOf(t, "lb.example.org", "192.0.2.7")
	again, err := p.Computed(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(values, again); diff != "" {
		t.Errorf("computed twice (-first +second):\n%s", diff)
	}
	_, other := valuesOf(t, "lb.example.org", "192.0.2.7")
	for _, name := range []string{adminPassword, ratingsPassword, authorityKey, proxyKey} {
		if values[name] == other[name] {
			t.Errorf("two runs have the same %s", name)
		}
	}
}

func TestNoSecretIsShown(t *testing.T) {
	p, values := valuesOf(t, "lb.example.org", "192.0.2.7")
	shown := p.Shown(values)
	for _, name := range []string{adminPassword, ratingsPassword, authorityKey, proxyKey} {
		if _, found := shown[name]; found {
			t.Errorf("%s is shown", name)
		}
	}
	if shown[IP] != "192.0.2.7" {
		t.Errorf("the address is shown as %q", shown[IP])
	}
}

func TestAKeyThatIsNone(t *testing.T) {
	p, values := valuesOf(t, "lb.example.org", "192.0.2.7")
	for _, wrong := range []string{"", "?", base64.StdEncoding.EncodeToString([]byte("text"))} {
		values[proxyKey] = wrong
		if _, err := p.Computed(values, nil); err == nil {
			t.Errorf("certificates are made of the key %q", wrong)
		}
	}
}

func TestRequests(t *testing.T) {
	_, values := valuesOf(t, "lb.example.org", "192.0.2.7")
	env := &pattern.Env{Values: values}
	request := Find(Balancer(env, PlainPort), Ratings(env), nil)
	if request.Database.Address != "lb.example.org:27017" || request.Database.TLS != nil || request.Database.Username != "bookinfo" || request.Database.AuthDatabase != "test" {
		t.Errorf("%+v", request.Database)
	}
	if admin := Admin(env); admin.Password == Ratings(env).Password || admin.Database != "admin" {
		t.Errorf("the administrator is %+v", admin)
	}
	checked, other := Checked(env, "a"), CheckedByOther(env, "a")
	if checked.Insecure || checked.ServerName != "lb.example.org" || checked.CertificateName != "a" || checked.RootCAs == other.RootCAs || !Unchecked(env).Insecure {
		t.Errorf("checked %+v, by another %+v", checked, other)
	}
	for got, want := range map[string]string{
		Page(env, "reviews", "v3"):    "outbound|9080|v3|reviews.mongo-test-bookinfo-7f3a.svc.cluster.local",
		External(env, TLSPort, "tls"): "outbound|27018|tls|lb.example.org",
		Database(env):                 "outbound|27017||mongodb.mongo-test-mongodb-7f3a.svc.cluster.local",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
