// Package certificate makes the certificates of patterns: of an authority of the run's own, with right and with wrong
// names. What it makes of the same keys, names and times is the same, byte for byte, so that rendering stays a pure
// function.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// NewKey returns a new private key, in PEM: ECDSA on P-256, which every proxy takes.
func NewKey() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make a private key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("write a private key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// Subject is what a certificate is about.
type Subject struct {
	// Name is its common name, Names are the DNS names and IP addresses that it is good for.
	Name  string
	Names []string
	// From and To bound its time.
	From, To time.Time
}

// Authority returns the certificate of an authority with this key, in PEM, signed by itself.
func Authority(keyPEM string, subject Subject) (string, error) {
	key, err := parseKey(keyPEM)
	if err != nil {
		return "", err
	}
	template := templateOf(subject, &key.PublicKey)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	return sign(template, template, &key.PublicKey, key)
}

// Server returns the certificate of a server with this key, in PEM, signed by the authority.
func Server(keyPEM string, subject Subject, authorityPEM, authorityKeyPEM string) (string, error) {
	key, err := parseKey(keyPEM)
	if err != nil {
		return "", err
	}
	authorityKey, err := parseKey(authorityKeyPEM)
	if err != nil {
		return "", fmt.Errorf("the authority's: %w", err)
	}
	block, _ := pem.Decode([]byte(authorityPEM))
	if block == nil {
		return "", errors.New("the authority's certificate is not in PEM")
	}
	authority, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("the authority's certificate: %w", err)
	}
	template := templateOf(subject, &key.PublicKey)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return sign(template, authority, &key.PublicKey, authorityKey)
}

// templateOf has a serial number that follows from the content.
func templateOf(subject Subject, public *ecdsa.PublicKey) *x509.Certificate {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: subject.Name, Organization: []string{"meshproof"}}, NotBefore: subject.From, NotAfter: subject.To}
	for _, name := range subject.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	// A key that was parsed can be written.
	der, _ := x509.MarshalPKIXPublicKey(public)
	digest := sha256.Sum256(fmt.Appendf(der, "%s %q %s %s", subject.Name, subject.Names, subject.From, subject.To))
	template.SerialNumber = new(big.Int).SetBytes(digest[:15])
	return template
}

// sign signs without randomness, as RFC 6979 has it.
func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificate(nil, template, parent, public, key)
	if err != nil {
		return "", fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

func parseKey(text string) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the private key is not in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the private key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the private key is %T, and ECDSA is expected", parsed)
	}
	return key, nil
}
