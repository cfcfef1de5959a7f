package reproduce

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"
)

// pair is a key or a certificate that is a parameter, parsed.
type pair struct {
	name string
	// public is the public key, in DER, certificate the certificate; nil for a key.
	public      []byte
	certificate *x509.Certificate
}

func parse(p Parameter) (pair, bool) {
	text, err := base64.StdEncoding.DecodeString(p.Value)
	if err != nil {
		return pair{}, false
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return pair{}, false
	}
	if block.Type == "CERTIFICATE" {
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return pair{}, false
		}
		return pair{p.Name, parsed.RawSubjectPublicKeyInfo, parsed}, true
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return pair{}, false
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return pair{}, false
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	return pair{p.Name, public, nil}, err == nil
}

// credentials are the lines that make keys and certificates like those that are used, or that the client checks by; those that others
// need come first. The names of a certificate may have variables.
func credentials(parameters []Parameter, r *replacing, authority string, now time.Time) (lines []string, made map[string]bool, err error) {
	var keys, certificates []pair
	for _, p := range parameters {
		if parsed, ok := parse(p); ok && parsed.certificate != nil {
			certificates = append(certificates, parsed)
		} else if ok && p.Secret {
			keys = append(keys, parsed)
		}
	}
	// An authority comes before what it has signed.
	slices.SortStableFunc(certificates, func(a, b pair) int { return rank(a) - rank(b) })
	needed := map[string]bool{authority: true}
	for _, one := range slices.Concat(keys, certificates) {
		needed[one.name] = needed[one.name] || r.used[one.name] || r.used[one.name+pemSuffix]
	}
	var ofCertificates []string
	for _, c := range slices.Backward(certificates) { // what has signed one is needed, too
		if !needed[c.name] {
			continue
		}
		key := slices.IndexFunc(keys, func(k pair) bool { return bytes.Equal(k.public, c.public) })
		if key < 0 {
			return nil, nil, fmt.Errorf("no parameter holds the key of certificate %s", c.name)
		}
		needed[keys[key].name] = true
		days := int(c.certificate.NotAfter.Sub(now).Hours()/24) + 1
		if c.certificate.NotAfter.Before(now) {
			days = -1
		}
		subject := quoted("/O=meshproof/CN=" + r.text(c.certificate.Subject.CommonName))
		if rank(c) == 0 {
			ofCertificates = append(ofCertificates, fmt.Sprintf("new_authority %s %s %s %d", c.name, keys[key].name, subject, days))
			continue
		}
		signer := slices.IndexFunc(certificates, func(a pair) bool { return rank(a) == 0 && c.certificate.CheckSignatureFrom(a.certificate) == nil })
		if signer < 0 {
			return nil, nil, fmt.Errorf("no parameter holds the authority that has signed certificate %s", c.name)
		}
		by := slices.IndexFunc(keys, func(k pair) bool { return bytes.Equal(k.public, certificates[signer].public) })
		if by < 0 {
			return nil, nil, fmt.Errorf("no parameter holds the key of the authority that has signed certificate %s", c.name)
		}
		needed[certificates[signer].name], needed[keys[by].name] = true, true
		ofCertificates = append(ofCertificates, fmt.Sprintf("new_certificate %s %s %s %d %s %s %s", c.name, keys[key].name, subject, days,
			certificates[signer].name, keys[by].name, quoted(r.text(namesOf(c.certificate)))))
	}
	for _, key := range keys {
		if needed[key.name] {
			lines = append(lines, "new_key "+key.name)
		}
	}
	slices.Reverse(ofCertificates)
	return append(lines, ofCertificates...), needed, nil
}

// rank is 0 for an authority.
func rank(c pair) int {
	if c.certificate.IsCA {
		return 0
	}
	return 1
}

// namesOf are the names of a certificate as openssl has them.
func namesOf(c *x509.Certificate) string {
	var names []string
	for _, name := range c.DNSNames {
		names = append(names, "DNS:"+name)
	}
	for _, address := range c.IPAddresses {
		names = append(names, "IP:"+address.String())
	}
	return strings.Join(names, ",")
}
