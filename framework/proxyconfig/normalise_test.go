package proxyconfig

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

func object(t *testing.T, content string) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(content), &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

func TestWhatMeansTheSameIsTheSame(t *testing.T) {
	n := normaliser{names: &Names{}}
	for name, test := range map[string]struct {
		a, b string
		same bool
	}{
		"another version":              {`{"version_info": "1", "last_updated": "today", "a": 1}`, `{"version_info": "2", "last_updated": "tomorrow", "a": 1}`, true},
		"another value":                {`{"a": 1}`, `{"a": 2}`, false},
		"domains in another order":     {`{"domains": ["a", "b"]}`, `{"domains": ["b", "a"]}`, true},
		"other domains":                {`{"domains": ["a", "b"]}`, `{"domains": ["a", "c"]}`, false},
		"chains in another order":      {`{"filter_chains": [{"name": "a"}, {"name": "b"}]}`, `{"filter_chains": [{"name": "b"}, {"name": "a"}]}`, true},
		"routes in another order":      {`{"routes": [{"name": "a"}, {"name": "b"}]}`, `{"routes": [{"name": "b"}, {"name": "a"}]}`, false},
		"filters in another order":     {`{"http_filters": [{"name": "a"}, {"name": "b"}]}`, `{"http_filters": [{"name": "b"}, {"name": "a"}]}`, false},
		"offered protocols in order":   {`{"alpn_protocols": ["h2", "http/1.1"]}`, `{"alpn_protocols": ["http/1.1", "h2"]}`, false},
		"another authority, inline":    {`{"trusted_ca": {"inline_string": "a"}}`, `{"trusted_ca": {"inline_string": "b"}}`, false},
		"the same authority, inline":   {`{"trusted_ca": {"inline_string": "a"}}`, `{"trusted_ca": {"inline_string": "a"}}`, true},
		"another key, which is unseen": {`{"private_key": {"inline_bytes": "a"}}`, `{"private_key": {"inline_bytes": "b"}}`, true},
	} {
		a, b := text(n.object(object(t, test.a))), text(n.object(object(t, test.b)))
		if (a == b) != test.same {
			t.Errorf("%s: same %t\n%s\n%s", name, a == b, a, b)
		}
	}
}

func TestSecretsNeverGetIn(t *testing.T) {
	const secret = "hunter2-swordfish"
	redactor, err := v1.NewRedactor("known-to-the-run")
	if err != nil {
		t.Fatal(err)
	}
	n := normaliser{names: &Names{}, redactor: redactor}
	for name, content := range map[string]string{
		"a private key":            `{"tls_certificates": [{"private_key": {"inline_string": "SECRET"}}]}`,
		"a key's password":         `{"tls_certificates": [{"password": {"inline_bytes": "SECRET"}}]}`,
		"a ticket key":             `{"session_ticket_keys": {"keys": [{"inline_bytes": "SECRET"}]}}`,
		"a client secret":          `{"credentials": {"token_secret": {"inline_string": "SECRET"}}}`,
		"code":                     `{"default_source_code": {"inline_string": "local password = 'SECRET'"}}`,
		"a header that is added":   `{"request_headers_to_add": [{"header": {"key": "Authorization", "value": "SECRET"}}]}`,
		"raw":                      `{"header": {"key": "x-api-key", "raw_value": "SECRET"}}`,
		"a header that must match": `{"headers": [{"name": "x-api-key", "string_match": {"exact": "SECRET"}}]}`,
		"a bearer's token":         `{"value": "Bearer SECRET"}`,
		"a password in a URL":      `{"uri": "https://user:SECRET@auth.example"}`,
		"what the run knows":       `{"anything": "a known-to-the-run b"}`,
	} {
		got := text(n.object(object(t, strings.ReplaceAll(content, "SECRET", secret))))
		if strings.Contains(got, secret) || strings.Contains(got, "known-to-the-run") || strings.Contains(got, "swordfish") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	n := normaliser{names: &Names{}}
	const content = `{"headers":[{"name":":authority","string_match":{"exact":"api.lab"}}],"header":{"key":"x-tier","value":"gold"},` +
		`"tls_certificate_sds_secret_configs":[{"name":"default"}],"token_bucket":{"max_tokens":10},"present":{"name":"cookie","present_match":true}}`
	if diff := cmp.Diff(object(t, content), n.object(object(t, content))); diff != "" {
		t.Errorf("(-given +got):\n%s", diff)
	}
}

func TestNamesOfFieldsAreReplacedToo(t *testing.T) {
	n := normaliser{names: NewNames([]Parameter{{Name: "shop_namespace", Value: "shop", Namespace: true}}, nil, nil, "")}
	got := n.object(object(t, `{"policies": {"ns[shop]-policy[a]-rule[0]": {}}}`))
	if diff := cmp.Diff(object(t, `{"policies": {"ns[${shop_namespace}]-policy[a]-rule[0]": {}}}`), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
