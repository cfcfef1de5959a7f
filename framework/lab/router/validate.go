package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"unicode"

	routev1 "github.com/openshift/api/route/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	certutil "k8s.io/client-go/util/cert"
)

// validate says what is wrong with a Route, in the words of the API; nil means that HAProxy can serve it. One Route that
// HAProxy does not accept would keep every other from being served.
func validate(route *routev1.Route, haveServiceCA bool) error {
	spec := field.NewPath("spec")
	var problems field.ErrorList
	if strings.ContainsFunc(route.Spec.Path, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		problems = append(problems, field.Invalid(spec.Child("path"), route.Spec.Path, "no request has such a path"))
	}
	if route.Spec.TLS != nil {
		problems = append(problems, validateTLS(route, spec.Child("tls"), haveServiceCA)...)
		if route.Spec.TLS.Termination == routev1.TLSTerminationPassthrough && route.Spec.Path != "" {
			problems = append(problems, field.Invalid(spec.Child("path"), route.Spec.Path, "passthrough termination does not support paths"))
		}
	}
	return problems.ToAggregate()
}

func validateTLS(route *routev1.Route, path *field.Path, haveServiceCA bool) field.ErrorList {
	config := route.Spec.TLS
	var problems field.ErrorList
	refuse := func(name, problem string) {
		// No value is shown, because a key may stand where it does not belong.
		problems = append(problems, field.Invalid(path.Child(name), "redacted "+name+" data", problem))
	}
	switch config.Termination {
	case routev1.TLSTerminationPassthrough:
		for _, given := range []struct{ name, value string }{
			{"certificate", config.Certificate}, {"key", config.Key}, {"caCertificate", config.CACertificate}, {"destinationCACertificate", config.DestinationCACertificate},
		} {
			if given.value != "" {
				refuse(given.name, "passthrough termination does not support certificates")
			}
		}
		if config.InsecureEdgeTerminationPolicy == routev1.InsecureEdgeTerminationPolicyAllow {
			problems = append(problems, field.Invalid(path.Child("insecureEdgeTerminationPolicy"), config.InsecureEdgeTerminationPolicy, "acceptable values are None, Redirect, or empty"))
		}
		return problems
	case routev1.TLSTerminationEdge:
		if config.DestinationCACertificate != "" {
			refuse("destinationCACertificate", "edge termination does not support destination certificates")
		}
	case routev1.TLSTerminationReencrypt:
		if config.DestinationCACertificate == "" && !haveServiceCA {
			problems = append(problems, field.Required(path.Child("destinationCACertificate"), "this cluster has no service CA to check the server's certificate against"))
		}
		if config.DestinationCACertificate != "" {
			if _, err := parseCertificates(config.DestinationCACertificate); err != nil {
				refuse("destinationCACertificate", err.Error())
			}
		}
	default:
		problems = append(problems, field.NotSupported(path.Child("termination"), config.Termination, []routev1.TLSTerminationType{routev1.TLSTerminationEdge, routev1.TLSTerminationPassthrough, routev1.TLSTerminationReencrypt}))
	}
	if config.ExternalCertificate != nil {
		problems = append(problems, field.Forbidden(path.Child("externalCertificate"), "the lab's router reads no Secrets"))
	}
	if name, err := checkPair(config); err != nil {
		refuse(name, err.Error())
	}
	return problems
}

// checkPair checks a Route's own certificate; name is the field that an error is about.
func checkPair(config *routev1.TLSConfig) (name string, err error) {
	var authorities []*x509.Certificate
	if config.CACertificate != "" {
		if authorities, err = parseCertificates(config.CACertificate); err != nil {
			return "caCertificate", err
		}
	}
	if config.Certificate == "" {
		return "", nil
	}
	chain, err := parseCertificates(config.Certificate)
	if err != nil {
		return "certificate", err
	}
	// Either field may hold the key.
	if _, err := tls.X509KeyPair([]byte(config.Certificate), []byte(pemFile(config.Key, config.Certificate))); err != nil {
		return "key", err
	}
	if key, ok := chain[0].PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < 2048 {
		return "certificate", fmt.Errorf("an RSA key of %d bits, which the router's OpenSSL does not accept", key.N.BitLen())
	}
	if len(authorities) == 0 {
		return "", nil
	}
	pool := x509.NewCertPool()
	for _, authority := range authorities {
		pool.AddCert(authority)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: pool})
	// An expired certificate is served, for its clients to refuse.
	if invalid := new(x509.CertificateInvalidError); errors.As(err, invalid) && invalid.Reason == x509.Expired {
		err = nil
	}
	return "certificate", err
}

// parseCertificates reads PEM, and refuses signatures that the router's OpenSSL does not accept.
func parseCertificates(text string) ([]*x509.Certificate, error) {
	list, err := certutil.ParseCertsPEM([]byte(text))
	if err != nil {
		return nil, err
	}
	for _, one := range list {
		// What signs itself is trusted or not, whatever its signature.
		if bytes.Equal(one.RawIssuer, one.RawSubject) {
			continue
		}
		switch one.SignatureAlgorithm {
		case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA:
			return nil, fmt.Errorf("a certificate signed with %s, which the router does not support", one.SignatureAlgorithm)
		}
	}
	return list, nil
}
