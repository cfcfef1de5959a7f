// Package authority is a certificate authority of a run's own, as parameters of a pattern: keys that each run makes afresh, and
// certificates that are computed of them.
package authority

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/meshproof/meshproof/framework/certificate"
	"github.com/meshproof/meshproof/framework/pattern"
)

const (
	// lifetime is how long certificates are good for: longer than any run, and short enough to be of no use afterwards.
	lifetime = 7 * 24 * time.Hour
	// skew is by how much clocks may differ.
	skew = time.Hour
	// validFrom is the parameter of this name.
	validFrom = "certificates_valid_from"
)

// ValidFrom is the parameter that all certificates of a run take their time from.
var ValidFrom = pattern.Parameter{
	Name: validFrom, Unrendered: true, Description: "time from which the run's certificates are valid",
	Generate: func() (string, error) { return time.Now().UTC().Truncate(time.Second).Format(time.RFC3339), nil },
}

// Key is a parameter with a private key in PEM, in base64, as a Secret has it.
func Key(name, description string) pattern.Parameter {
	return pattern.Parameter{
		Name: name, Description: description, Secret: true, Unrendered: true, Parse: parseKey,
		Generate: func() (string, error) {
			text, err := certificate.NewKey()
			return encode(text), err
		},
	}
}

// Self is a parameter with the certificate of an authority, signed by itself with the key of another parameter.
func Self(name, description, common, key string) pattern.Parameter {
	return pattern.Parameter{
		Name: name, Description: description, Unrendered: true, Parse: parseCertificate,
		Compute: func(values pattern.Values) (string, error) {
			pair, err := PEM(values, key)
			if err != nil {
				return "", err
			}
			from, to, err := Valid(values)
			if err != nil {
				return "", err
			}
			text, err := certificate.Authority(pair, certificate.Subject{Name: common, From: from, To: to})
			return encode(text), err
		},
	}
}

// Validity is the time of a certificate.
type Validity func(pattern.Values) (from, to time.Time, err error)

// Valid is the time of a certificate that can be used by the run.
func Valid(values pattern.Values) (from, to time.Time, err error) {
	from, err = time.Parse(time.RFC3339, values[validFrom])
	return from.Add(-skew), from.Add(lifetime), err
}

// Expired is that of one that has ended before the run began, by every clock.
func Expired(values pattern.Values) (from, to time.Time, err error) {
	from, _, err = Valid(values)
	return from.Add(-lifetime), from.Add(-skew), err
}

// Signer names the parameters that a server's certificate is made of.
type Signer struct{ Key, Authority, AuthorityKey string }

// Server is a parameter with the certificate of a server for these names.
func Server(name, description string, validity Validity, signer Signer, names func(pattern.Values) []string) pattern.Parameter {
	return pattern.Parameter{
		Name: name, Description: description, Unrendered: true, Parse: parseCertificate,
		Compute: func(values pattern.Values) (string, error) {
			var texts []string
			for _, parameter := range []string{signer.Key, signer.Authority, signer.AuthorityKey} {
				text, err := PEM(values, parameter)
				if err != nil {
					return "", err
				}
				texts = append(texts, text)
			}
			from, to, err := validity(values)
			if err != nil {
				return "", err
			}
			all := names(values)
			text, err := certificate.Server(texts[0], certificate.Subject{Name: shortened(all[0]), Names: all, From: from, To: to}, texts[1], texts[2])
			return encode(text), err
		},
	}
}

// Quoted is a parameter with the PEM of another one as it stands between the quotes of a YAML string.
func Quoted(name, description, of string, secret bool) pattern.Parameter {
	return pattern.Parameter{
		Name: name, Description: description, Secret: secret, Unrendered: true,
		Compute: func(values pattern.Values) (string, error) {
			text, err := PEM(values, of)
			return strings.ReplaceAll(text, "\n", `\n`), err
		},
	}
}

// PEM is the text of a key or certificate.
func PEM(values pattern.Values, name string) (string, error) {
	text, err := base64.StdEncoding.DecodeString(values[name])
	if err != nil || len(text) == 0 {
		return "", fmt.Errorf("%s is not base64", name)
	}
	return string(text), nil
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// parseCertificate is what a Secret has of a certificate that a user gives, in PEM.
func parseCertificate(given string) (string, error) {
	block, _ := pem.Decode([]byte(given))
	if block == nil || block.Type != "CERTIFICATE" {
		return "", errors.New("this is no certificate in PEM (-----BEGIN CERTIFICATE-----)")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return "", fmt.Errorf("this is no certificate: %w", err)
	}
	return encode(given), nil
}

// parseKey is what a Secret has of a private key that a user gives, in PEM.
func parseKey(given string) (string, error) {
	block, _ := pem.Decode([]byte(given))
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return "", errors.New("this is no private key in PEM (-----BEGIN PRIVATE KEY-----)")
	}
	return encode(given), nil
}

// shortened is what fits into a common name, whose length X.509 bounds.
func shortened(name string) string {
	if len(name) <= 64 {
		return name
	}
	label, _, _ := strings.Cut(name, ".")
	return label[:min(len(label), 64)]
}
