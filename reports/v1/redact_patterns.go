package v1

import (
	"regexp"
	"strings"
)

// What looks like a secret, wherever it stands. Each pattern keeps what tells a reader which secret stood there.
var (
	// A key that is cut off is redacted to the end of the text.
	privateKey = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`)
	// The password reaches to the last "@" before the path, since a password may hold one.
	urlPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#"'<>:@]*:)[^\s/?#"'<>]+@`)
	// A scheme is wanted, because "authorization: denied by policy x" is evidence.
	authorization = regexp.MustCompile(`(?i)(\bauthorization[\\"']*\s*[:=]\s*[\[\\"']*(?:basic|bearer|negotiate|ntlm|token|apikey)\s+)[^\s"',;\[\]\\]+`)
	digest        = regexp.MustCompile(`(?i)(\bauthorization[\\"']*\s*[:=]\s*[\[\\"']*(?:digest|aws4-hmac-sha256)\s+)[^\r\n\[\]]+`)
	bearer        = regexp.MustCompile(`(?i)\bbearer\s+([a-z0-9._~+/=-]+)`)
	webToken      = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*`)
)

// notToken matches what follows "bearer" in a sentence about tokens, or in a server's challenge.
var notToken = regexp.MustCompile(`(?i)^(?:(?:tokens?|auth|authentication|authorization|is|was|scheme)\.?$|(?:realm|error|scope)=)`)

// redactPatterns returns s without what looks like a secret. Applied twice it changes nothing more.
func redactPatterns(s string) string {
	s = privateKey.ReplaceAllLiteralString(s, Redacted)
	s = urlPassword.ReplaceAllString(s, "${1}"+Redacted+"@")
	s = authorization.ReplaceAllString(s, "${1}"+Redacted)
	s = digest.ReplaceAllString(s, "${1}"+Redacted)
	s = bearer.ReplaceAllStringFunc(s, redactBearer)
	return webToken.ReplaceAllLiteralString(s, Redacted)
}

func redactBearer(match string) string {
	token := bearer.FindStringSubmatch(match)[1]
	if notToken.MatchString(token) {
		return match
	}
	return strings.TrimSuffix(match, token) + Redacted
}
