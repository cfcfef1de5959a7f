package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority is a certificate authority of one lab. It lives as long as the lab.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// certificateLife is far longer than any lab is kept running.
const certificateLife = 365 * 24 * time.Hour

// newAuthority makes the folder, and in it the authority's certificate and key.
func newAuthority(dir, commonName string) (*authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority %s: %w", commonName, err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: commonName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the authority %s: %w", commonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, key: key, cert: cert}
	return a, a.write("ca", der, key)
}

// makeServiceAccountKey makes the key that signs service account tokens, and its public half, which verifies them.
func (a *authority) makeServiceAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := a.write("service-accounts", nil, key); err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return os.WriteFile(a.path("service-accounts.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600)
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// issue makes name.crt and name.key for a client or a server; hosts are the names and addresses of a server.
func (a *authority) issue(name, commonName string, organisations []string, hosts ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: commonName, Organization: organisations},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("issue the certificate of %s: %w", commonName, err)
	}
	return a.write(name, der, key)
}

func (a *authority) write(name string, certificate []byte, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	if certificate == nil {
		return nil
	}
	return os.WriteFile(a.path(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644)
}

// kubeconfig writes a kubeconfig for the client certificate of this name.
func (a *authority) kubeconfig(target, client, server, contextName string) error {
	var missing error // clientcmd takes a cluster without authority, and a client without certificate, for usable
	read := func(name string) []byte {
		data, err := os.ReadFile(a.path(name))
		missing = errors.Join(missing, err)
		return data
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["lab"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: read("ca.crt")}
	config.AuthInfos[client] = &clientcmdapi.AuthInfo{ClientCertificateData: read(client + ".crt"), ClientKeyData: read(client + ".key")}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: "lab", AuthInfo: client}
	config.CurrentContext = contextName
	if err := errors.Join(missing, clientcmd.ConfirmUsable(*config, contextName)); err != nil {
		return fmt.Errorf("make the kubeconfig of %s: %w", client, err)
	}
	return clientcmd.WriteToFile(*config, target)
}

// issueAll makes every certificate and kubeconfig of the node.
func issueAll(spec Spec) error {
	a, err := newAuthority(spec.CertificateDir(), "meshproof-lab")
	if err != nil {
		return err
	}
	if err := a.makeServiceAccountKey(); err != nil {
		return err
	}
	for _, one := range []struct {
		name, commonName string
		organisations    []string
		hosts            []string
	}{
		{"apiserver", "kube-apiserver", nil, []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", NodeAddress, "10.96.0.1"}},
		{"kubelet-server", "system:node:" + NodeName, nil, []string{NodeName, NodeAddress}},
		{"apiserver-to-kubelet", "meshproof:apiserver", []string{"system:masters"}, nil},
		{"admin", "meshproof:admin", []string{"system:masters"}, nil},
		{"controller-manager", "system:kube-controller-manager", nil, nil},
		{"scheduler", "system:kube-scheduler", nil, nil},
		{"kubelet", "system:node:" + NodeName, []string{"system:nodes"}, nil},
		{"proxy", "system:kube-proxy", nil, nil},
		{"front-proxy", "front-proxy-client", nil, nil},
	} {
		if err := a.issue(one.name, one.commonName, one.organisations, one.hosts...); err != nil {
			return err
		}
	}
	for _, client := range []string{"controller-manager", "scheduler", "kubelet", "proxy"} {
		if err := a.kubeconfig(spec.file("pki", client+".kubeconfig"), client, insideServer(), "lab"); err != nil {
			return err
		}
	}
	return a.kubeconfig(spec.AdminKubeconfig(), "admin", insideServer(), ContextName(spec.Name))
}

// issueRouter makes the router's default certificate, for every name of the apps domain. Its authority is another one than
// the cluster's, as on OpenShift, so that trust in the one is not taken for trust in the other.
func issueRouter(spec Spec) error {
	a, err := newAuthority(spec.routerCertificateDir(), "meshproof-lab-router")
	if err != nil {
		return err
	}
	return a.issue("default", "*."+AppsDomain, nil, "*."+AppsDomain)
}

func insideServer() string { return fmt.Sprintf("https://%s:%d", NodeAddress, APIPort) }

// ContextName is the name of the lab's context in its kubeconfigs.
func ContextName(lab string) string { return "meshproof-lab-" + lab }

// WriteHostKubeconfig writes the kubeconfig for the host, whose server is the forwarder on 127.0.0.1. The node has made
// the certificates by then.
func WriteHostKubeconfig(spec Spec, port int) error {
	a := &authority{dir: spec.CertificateDir()}
	return a.kubeconfig(spec.HostKubeconfig(), "admin", fmt.Sprintf("https://127.0.0.1:%d", port), ContextName(spec.Name))
}
