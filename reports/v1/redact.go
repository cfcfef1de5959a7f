package v1

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// MinSecretLength is the length, in bytes, from which a secret can be redacted: a shorter one occurs in ordinary words,
// and replacing it would destroy the results.
const MinSecretLength = 4

// Redactor removes secrets from whatever enters a journal or a report: the strings it was given, as they are and as
// base64, URLs and JSON write them, and what looks like a private key, a token or the password in a URL. The zero value
// and nil know no strings and remove only what looks like a secret. It is safe for concurrent use.
type Redactor struct {
	mu    sync.RWMutex
	forms []string
}

// NewRedactor returns a Redactor for the given secrets; for its error see Add.
func NewRedactor(secrets ...string) (*Redactor, error) {
	r := &Redactor{}
	return r, r.Add(secrets...)
}

// Add makes the Redactor remove more secrets from now on. A secret shorter than MinSecretLength is not added and is an
// error, which tells its position and not its text; the others are added all the same.
func (r *Redactor) Add(secrets ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for i, secret := range secrets {
		if len(secret) < MinSecretLength {
			errs = append(errs, fmt.Errorf("secret %d of %d cannot be redacted: it has %d bytes, fewer than %d", i+1, len(secrets), len(secret), MinSecretLength))
			continue
		}
		r.forms = append(r.forms, formsOf(secret)...)
	}
	slices.SortFunc(r.forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	r.forms = slices.Compact(r.forms)
	return errors.Join(errs...)
}

// formsOf returns the secret as it may turn up in a log line, a manifest, a URL or a JSON document.
func formsOf(secret string) []string {
	forms := []string{
		secret,
		// Without padding, so that both the padded and the raw form are found.
		base64.RawStdEncoding.EncodeToString([]byte(secret)),
		base64.RawURLEncoding.EncodeToString([]byte(secret)),
		url.QueryEscape(secret),
		url.PathEscape(secret),
	}
	if quoted, err := json.Marshal(secret); err == nil {
		forms = append(forms, string(quoted[1:len(quoted)-1]))
	}
	if quoted, err := encode(secret, ""); err == nil {
		forms = append(forms, string(quoted[1:len(quoted)-len("\"\n")]))
	}
	return forms
}

// String returns s without secrets.
func (r *Redactor) String(s string) string {
	return redactPatterns(r.redactForms(s))
}

// redactForms marks every byte that belongs to any secret before it replaces anything: secrets that overlap, or of which
// one is part of another, must not leave a remainder.
func (r *Redactor) redactForms(s string) string {
	if r == nil {
		return s
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	var secret []bool
	for _, form := range r.forms {
		for from := 0; ; {
			at := strings.Index(s[from:], form)
			if at < 0 {
				break
			}
			if secret == nil {
				secret = make([]bool, len(s))
			}
			for i := range len(form) {
				secret[from+at+i] = true
			}
			from += at + 1
		}
	}
	if secret == nil {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		switch {
		case !secret[i]:
			b.WriteByte(s[i])
		case i == 0 || !secret[i-1]:
			b.WriteString(Redacted)
		}
	}
	return b.String()
}
