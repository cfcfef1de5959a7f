package v1_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func TestRedactorRemovesWhatLooksSecret(t *testing.T) {
	key := "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----"
	for in, want := range map[string]string{
		"before " + key + " after":                            "before [redacted] after",
		key[:40]:                                              "[redacted]",
		"two " + key + key:                                    "two [redacted][redacted]",
		"-----BEGIN CERTIFICATE-----\nMIID":                   "-----BEGIN CERTIFICATE-----\nMIID",
		"mongodb://user:pass@host:27017/db?x=a@b":             "mongodb://user:[redacted]@host:27017/db?x=a@b",
		"mongodb+srv://user:p@ss@host":                        "mongodb+srv://user:[redacted]@host",
		"http://10.0.0.1:9080/a@b":                            "http://10.0.0.1:9080/a@b",
		"http://[::1]:9080 spiffe://cluster.local/ns/a@b":     "http://[::1]:9080 spiffe://cluster.local/ns/a@b",
		"Authorization: Basic dXNlcjpwYXNz, Accept: x":        "Authorization: Basic [redacted], Accept: x",
		"proxy-authorization=Bearer abc":                      "proxy-authorization=Bearer [redacted]",
		`{"authorization":"Basic dXNlcg=="}`:                  `{"authorization":"Basic [redacted]"}`,
		`{\"authorization\":\"Basic dXNlcg==\"}`:              `{\"authorization\":\"Basic [redacted]\"}`,
		"map[Authorization:[Bearer abc] Host:[x]]":            "map[Authorization:[Bearer [redacted]] Host:[x]]",
		`Authorization: Digest username="a", response="6629"`: "Authorization: Digest [redacted]",
		"authorization: denied by policy ns/deny":             "authorization: denied by policy ns/deny",
		"sent bearer abcdef":                                  "sent bearer [redacted]",
		"a bearer token is missing":                           "a bearer token is missing",
		`www-authenticate: Bearer realm="https://x"`:          `www-authenticate: Bearer realm="https://x"`,
		"token eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln end": "token [redacted] end",
		"outbound|9080||productpage -> 10.244.0.7:9080":       "outbound|9080||productpage -> 10.244.0.7:9080",
	} {
		var r *v1.Redactor
		got := r.String(in)
		if got != want {
			t.Errorf("%q becomes\n%q, want\n%q", in, got, want)
		}
		if again := r.String(got); again != got {
			t.Errorf("redacting %q twice gives %q", got, again)
		}
	}
}

func TestRedactorRemovesGivenSecrets(t *testing.T) {
	const secret = `p"ss <wörd>&/1`
	r, err := v1.NewRedactor(secret, "abcdef", "defghi", "abc1")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"x " + secret + " y":                              "x [redacted] y",
		base64.StdEncoding.EncodeToString([]byte(secret)): "[redacted]=",
		`p\"ss \u003cwörd\u003e\u0026/1`:                  "[redacted]",
		`p\"ss <wörd>&/1`:                                 "[redacted]",
		"p%22ss+%3Cw%C3%B6rd%3E%26%2F1":                   "[redacted]",
		"p%22ss%20%3Cw%C3%B6rd%3E&%2F1":                   "[redacted]",
		"-abcdefghi-":                                     "-[redacted]-",
		"abcdef, abcdef":                                  "[redacted], [redacted]",
		"abc":                                             "abc",
	} {
		// Adjacent secrets are one secret to a reader, so padding that follows may be all that is left.
		if got := r.String(in); strings.TrimSuffix(got, "=") != strings.TrimSuffix(want, "=") {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestRedactorRefusesShortSecrets(t *testing.T) {
	r, err := v1.NewRedactor("long enough", "abc")
	if err == nil || strings.Contains(err.Error(), "abc") || !strings.Contains(err.Error(), "secret 2 of 2") {
		t.Errorf("error = %v", err)
	}
	if got := r.String("abc long enough"); got != "abc [redacted]" {
		t.Errorf("got %q", got)
	}
}

// TestRedactorWalksEverything gives a secret that occurs in strings, lists, map keys and values, behind pointers, and
// that is also the text of a verdict and an event type, which are no free text.
func TestRedactorWalksEverything(t *testing.T) {
	r, err := v1.NewRedactor("failed", "claim-finished")
	if err != nil {
		t.Fatal(err)
	}
	event := func(s string) v1.Event {
		return v1.Event{
			Time: example.At(1), Type: v1.ClaimFinished, PatternName: s, Message: s, Error: s, Leftovers: []string{s},
			Run: &v1.Run{Args: []string{"run", s}, StartedAt: example.At(1)}, Cluster: &v1.Cluster{Mesh: v1.Mesh{Proxy: s}},
			Pattern: &v1.Pattern{Parameters: map[string]string{s: s}},
			Claim: &v1.Claim{Verdict: v1.Failed, Reason: s, TrueAfterSeconds: new(1.5), Evidence: []v1.Evidence{{Items: []v1.EvidenceItem{{Text: s, Fields: map[string]string{"x": s}}}}},
				Judgements: []v1.Judgement{{Statement: s, Verdict: v1.Failed}}},
		}
	}
	in := event("failed")
	if diff := cmp.Diff(event("[redacted]"), r.Event(in)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(event("failed"), in); diff != "" {
		t.Errorf("the event itself was changed:\n%s", diff)
	}
}

func TestRedactorKeepsWhatIsNoSecret(t *testing.T) {
	var r v1.Redactor
	if diff := cmp.Diff(example.Report(), r.Report(example.Report())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
