package proxyconfig

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// orderless are the lists of Envoy's configuration in which the order of the entries means nothing: the most specific entry is
// chosen, or any one will do.
var orderless = map[string]bool{
	"domains": true, "virtual_hosts": true, "filter_chains": true, "server_names": true, "prefix_ranges": true, "source_prefix_ranges": true,
	"application_protocols": true, "match_typed_subject_alt_names": true, "match_subject_alt_names": true, "thresholds": true, "services": true,
}

// sensitive are the fields whose text is a secret, wherever they stand; references to secrets by name are no secrets.
var sensitive = map[string]bool{
	"private_key": true, "password": true, "secret": true, "token": true, "token_secret": true, "hmac_secret": true, "client_secret": true,
	"api_key": true, "private_key_provider": true, "session_ticket_keys": true, "generic_secret": true, "pkcs12": true,
}

// headers are those whose values are, or may hold, secrets.
var headers = map[string]bool{
	"authorization": true, "proxy-authorization": true, "cookie": true, "set-cookie": true, "x-api-key": true, "x-forwarded-access-token": true,
}

// normaliser brings a part of a proxy's configuration into the form in which two of them can be compared.
type normaliser struct {
	names    *Names
	redactor *v1.Redactor
}

// value returns a copy of what stands in a field: names instead of what they stand for, secrets taken out, certificates and other
// inline data as digests, and what has no order sorted.
func (n normaliser) value(field string, v any) any {
	if sensitive[field] && v != nil {
		return v1.Redacted
	}
	switch v := v.(type) {
	case map[string]any:
		return n.object(v)
	case []any:
		list := make([]any, 0, len(v))
		for _, entry := range v {
			list = append(list, n.value(field, entry))
		}
		if orderless[field] {
			slices.SortStableFunc(list, func(a, b any) int { return cmp.Compare(text(a), text(b)) })
		}
		return list
	case string:
		if field == "inline_string" || field == "inline_bytes" {
			// What stands inline may be long, and may be anything; two of them can be compared all the same.
			return "digest " + digest(n.names.Replace(v))
		}
		return n.names.Replace(n.redactor.String(v))
	}
	return v
}

func (n normaliser) object(fields map[string]any) map[string]any {
	copied := make(map[string]any, len(fields))
	secret := ofSecretHeader(fields)
	for field, v := range fields {
		switch {
		case field == "version_info" || field == "last_updated":
			continue
		case secret && !plainOfHeader[field]:
			copied[field] = v1.Redacted
		default:
			copied[n.names.Replace(field)] = n.value(field, v)
		}
	}
	return copied
}

// plainOfHeader are the fields that are no secret where a header is named whose value may be one.
var plainOfHeader = map[string]bool{"key": true, "name": true, "present_match": true, "invert_match": true, "treat_missing_header_as_empty": true}

// ofSecretHeader tells whether the object is a header to be added, as {"key": "authorization", "value": "..."}, or one that a
// request must have, as {"name": "x-api-key", "string_match": {...}}.
func ofSecretHeader(fields map[string]any) bool {
	key, _ := fields["key"].(string)
	name, _ := fields["name"].(string)
	return headers[strings.ToLower(key)] || headers[strings.ToLower(name)]
}

// digest is equal exactly when the text is.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// text is the value as JSON with sorted keys.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "" // it was made of JSON, so it can be written
	}
	return string(data)
}
