package node

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// issued is the spec of a lab whose certificates are made.
func issued(t *testing.T) Spec {
	t.Helper()
	spec := Spec{Name: "default", StateDir: t.TempDir()}
	if err := issueAll(spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

// pair is a certificate with its key, which must belong together.
func pair(t *testing.T, spec Spec, name string) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	file := filepath.Join(spec.CertificateDir(), name)
	both, err := tls.LoadX509KeyPair(file+".crt", file+".key")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(both.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return both, cert
}

// pool is what trusts the lab's authority alone.
func pool(t *testing.T, spec Spec) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(spec.CertificateDir(), "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(data) {
		t.Fatal("ca.crt holds no certificate")
	}
	return trusted
}

func TestCertificates(t *testing.T) {
	spec, other := issued(t), issued(t)
	trusted, foreign := pool(t, spec), pool(t, other)
	firstService := netip.MustParsePrefix(ServiceCIDR).Addr().Next().String()
	serials := map[string]string{}
	for name, row := range map[string]struct {
		commonName    string
		organisations []string
		hosts         []string
	}{
		"apiserver":            {"kube-apiserver", nil, []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", NodeAddress, firstService}},
		"kubelet-server":       {"system:node:lab", nil, []string{NodeName, NodeAddress}},
		"apiserver-to-kubelet": {"meshproof:apiserver", []string{"system:masters"}, nil},
		"admin":                {"meshproof:admin", []string{"system:masters"}, nil},
		"controller-manager":   {"system:kube-controller-manager", nil, nil},
		"scheduler":            {"system:kube-scheduler", nil, nil},
		"kubelet":              {"system:node:lab", []string{"system:nodes"}, nil},
		"proxy":                {"system:kube-proxy", nil, nil},
		"front-proxy":          {"front-proxy-client", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, cert := pair(t, spec, name)
			for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
				if _, err := cert.Verify(x509.VerifyOptions{Roots: trusted, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
					t.Errorf("the lab's authority does not vouch for it: %v", err)
				}
			}
			if _, err := cert.Verify(x509.VerifyOptions{Roots: foreign, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
				t.Error("another lab's authority vouches for it")
			}
			if cert.Subject.CommonName != row.commonName || !slices.Equal(cert.Subject.Organization, row.organisations) || cert.IsCA {
				t.Errorf("it is of %s, authority: %t", cert.Subject, cert.IsCA)
			}
			for _, host := range row.hosts {
				if err := cert.VerifyHostname(host); err != nil {
					t.Error(err)
				}
			}
			if names := len(cert.DNSNames) + len(cert.IPAddresses); names != len(row.hosts) {
				t.Errorf("%d names, want %d: %v %v", names, len(row.hosts), cert.DNSNames, cert.IPAddresses)
			}
			if now := time.Now(); cert.NotBefore.After(now) || cert.NotAfter.Before(now.Add(300*24*time.Hour)) {
				t.Errorf("it is good from %s until %s", cert.NotBefore, cert.NotAfter)
			}
			if taken, found := serials[cert.SerialNumber.String()]; found {
				t.Errorf("it has the serial number of %s", taken)
			}
			serials[cert.SerialNumber.String()] = name
		})
	}
}

// The router's certificate is good for the hosts of Routes, and for nobody who trusts the cluster's authority.
func TestRouterCertificate(t *testing.T) {
	spec := issued(t)
	if err := issueRouter(spec); err != nil {
		t.Fatal(err)
	}
	_, cert := pair(t, spec, "router/default")
	data, err := os.ReadFile(filepath.Join(spec.CertificateDir(), "router/ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(data)
	for host, good := range map[string]bool{"web-shop.apps.mesh.lab": true, "apps.mesh.lab": false, "a.b.apps.mesh.lab": false, "web.mesh.lab": false} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: trusted, DNSName: host}); (err == nil) != good {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool(t, spec)}); err == nil {
		t.Error("the cluster's authority vouches for it")
	}
}

func TestKeysAreTheirOwners(t *testing.T) {
	spec := issued(t)
	entries, err := os.ReadDir(spec.CertificateDir())
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if secret := strings.HasSuffix(entry.Name(), ".key") || strings.HasSuffix(entry.Name(), ".kubeconfig"); secret {
			keys++
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", entry.Name(), info.Mode())
			}
		}
	}
	if info, err := os.Stat(spec.CertificateDir()); err != nil || info.Mode().Perm() != 0o700 || keys != 15 {
		t.Errorf("%d keys in a folder of mode %v, error %v", keys, info.Mode(), err)
	}
}

// The API server verifies tokens with the public half of the key that signs them.
func TestServiceAccountKeysBelongTogether(t *testing.T) {
	dir := issued(t).CertificateDir()
	block := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		decoded, _ := pem.Decode(data)
		if decoded == nil {
			t.Fatalf("%s is no PEM", name)
		}
		return decoded.Bytes
	}
	private, err := x509.ParseECPrivateKey(block("service-accounts.key"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(block("service-accounts.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if !private.PublicKey.Equal(public) {
		t.Error("service-accounts.pub is not of service-accounts.key")
	}
}

// client is what a kubeconfig makes, and the name of its context.
func client(t *testing.T, file string) (*rest.Config, string) {
	t.Helper()
	loaded, err := clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.NewDefaultClientConfig(*loaded, nil).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	return config, loaded.CurrentContext
}

func TestKubeconfigsInside(t *testing.T) {
	spec := issued(t)
	for file, row := range map[string]struct{ context, commonName string }{
		spec.AdminKubeconfig():                            {"meshproof-lab-default", "meshproof:admin"},
		spec.file("pki", "controller-manager.kubeconfig"): {"lab", "system:kube-controller-manager"},
		spec.file("pki", "scheduler.kubeconfig"):          {"lab", "system:kube-scheduler"},
		spec.file("pki", "kubelet.kubeconfig"):            {"lab", "system:node:lab"},
		spec.file("pki", "proxy.kubeconfig"):              {"lab", "system:kube-proxy"},
	} {
		config, context := client(t, file)
		if context != row.context || config.Host != "https://10.244.0.1:6443" {
			t.Errorf("%s: context %s of %s", file, context, config.Host)
		}
		both, err := tls.X509KeyPair(config.CertData, config.KeyData)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if cert, err := x509.ParseCertificate(both.Certificate[0]); err != nil || cert.Subject.CommonName != row.commonName {
			t.Errorf("%s is of %s, error %v; want %s", file, cert.Subject, err, row.commonName)
		}
		if config.Insecure || len(config.CAData) == 0 {
			t.Errorf("%s trusts anybody", file)
		}
	}
}

// apiServer answers with the name and groups of its client, which must have a certificate of the lab's.
func apiServer(t *testing.T, spec Spec) (port int) {
	t.Helper()
	both, _ := pair(t, spec, "apiserver")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		subject := r.TLS.PeerCertificates[0].Subject
		_, _ = io.WriteString(w, subject.CommonName+" "+strings.Join(subject.Organization, ","))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{both}, ClientCAs: pool(t, spec), ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := net.SplitHostPort(address.Host)
	if err != nil {
		t.Fatal(err)
	}
	port, err = strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// The kubeconfig for the host works through the forwarder: both sides prove who they are.
func TestHostKubeconfig(t *testing.T) {
	spec := issued(t)
	if err := WriteHostKubeconfig(spec, apiServer(t, spec)); err != nil {
		t.Fatal(err)
	}
	config, context := client(t, spec.HostKubeconfig())
	if diff := cmp.Diff("meshproof-lab-default", context); diff != "" {
		t.Errorf("context (-want +got):\n%s", diff)
	}
	caller, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	response, err := caller.Get(config.Host + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "meshproof:admin system:masters" {
		t.Errorf("the server sees %q, error %v", body, err)
	}
	if info, err := os.Stat(spec.HostKubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v; want it to be its owner's", info.Mode(), err)
	}
}

// A kubeconfig without credentials would only fail later, as somebody whom the API server does not know.
func TestKubeconfigNeedsItsCertificate(t *testing.T) {
	spec := issued(t)
	for name, row := range map[string]struct {
		remove string
		want   []string
	}{
		"the authority":   {"ca.crt", []string{"kubeconfig of admin", "ca.crt"}},
		"the certificate": {"admin.crt", []string{"kubeconfig of admin", "admin.crt"}},
		"the key":         {"admin.key", []string{"kubeconfig of admin", "admin.key"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(spec.CertificateDir(), row.remove)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Error(err)
				}
			}()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			wantError(t, WriteHostKubeconfig(spec, 1), row.want...)
			if _, err := os.Stat(spec.HostKubeconfig()); err == nil {
				t.Error("it is written all the same")
			}
		})
	}
}
