// Package tlstest starts servers with TLS, whose certificates have the names and the time that a test wants.
package tlstest

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/meshproof/meshproof/framework/certificate"
)

// Authority signs the certificates of a test.
type Authority struct {
	// PEM is its own certificate.
	PEM string
	key string
}

func subject(name string, to time.Time, names ...string) certificate.Subject {
	return certificate.Subject{Name: name, Names: names, From: to.Add(-365 * 24 * time.Hour), To: to}
}

// NewAuthority returns an authority that nobody trusts yet.
func NewAuthority(t testing.TB) Authority {
	t.Helper()
	key, err := certificate.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := certificate.Authority(key, subject("authority", time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	return Authority{PEM: text, key: key}
}

// Sign returns the certificate of a server that is good for the names, until to, and its key, in PEM.
func (a Authority) Sign(t testing.TB, to time.Time, names ...string) (certificatePEM, keyPEM string) {
	t.Helper()
	key, err := certificate.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := certificate.Server(key, subject("server", to, names...), a.PEM, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return text, key
}

// Serve starts a server whose certificate is good for the names, until to.
func (a Authority) Serve(t testing.TB, handler http.Handler, to time.Time, names ...string) *httptest.Server {
	t.Helper()
	pair, err := tls.X509KeyPair(pairOf(a.Sign(t, to, names...)))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse it are what is tested
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func pairOf(certificatePEM, keyPEM string) ([]byte, []byte) {
	return []byte(certificatePEM), []byte(keyPEM)
}
