// Package hide takes out of objects what is a secret by the name of its field. What only looks like one is the redactor's to find.
package hide

import (
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// headers are those whose values are, or may hold, secrets, in lower case.
var headers = map[string]bool{
	"authorization": true, "proxy-authorization": true, "cookie": true, "set-cookie": true, "x-api-key": true, "x-forwarded-access-token": true,
}

// fields are those whose text is a secret wherever they stand, in lower case and without what parts their words.
var fields = map[string]bool{
	"password": true, "passwd": true, "privatekey": true, "token": true, "clientsecret": true, "apikey": true, "accesskey": true, "secretkey": true,
	"bearertoken": true, "hmacsecret": true, "tokensecret": true,
}

// lastApplied is the annotation in which kubectl keeps an object whole, values of Secrets included.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Header tells whether a header's values are, or may hold, secrets.
func Header(name string) bool { return headers[strings.ToLower(name)] }

// Values returns a copy of an object, or of a part of one, in which v1.Redacted stands for texts that are secrets by the name of their
// field, or of the header or variable that they are the value of: {"cookie": "..."}, {"name": "DB_PASSWORD", "value": "..."}.
func Values(value any) any {
	switch v := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		named := nameIn(v)
		for key, field := range v {
			_, isText := field.(string)
			switch {
			case Header(key) && !isText: // how a request must have it
				copied[key] = matched(field)
			case isText && (secret(key) || Header(key) || key == lastApplied), isText && named && ofNamed[key]:
				copied[key] = v1.Redacted
			default:
				copied[key] = Values(field)
			}
		}
		return copied
	case []any:
		copied := make([]any, 0, len(v))
		for _, entry := range v {
			copied = append(copied, Values(entry))
		}
		return copied
	}
	return value
}

// matched is a match of a header, whose texts are hidden.
func matched(value any) any {
	match, ok := value.(map[string]any)
	if !ok {
		return Values(value)
	}
	copied := make(map[string]any, len(match))
	for key, field := range match {
		if _, isText := field.(string); isText {
			field = v1.Redacted
		}
		copied[key] = field
	}
	return copied
}

// ofNamed are the fields that hold the value of what another field names.
var ofNamed = map[string]bool{"value": true, "exact": true, "prefix": true, "regex": true, "rawvalue": true}

// nameIn tells whether a map names a header or a variable whose value is a secret.
func nameIn(fields map[string]any) bool {
	for _, key := range []string{"name", "key"} {
		if name, ok := fields[key].(string); ok && (Header(name) || secretVariable(name)) {
			return true
		}
	}
	return false
}

func secret(key string) bool {
	return fields[strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(key))]
}

// secretVariable tells whether a variable of an environment is a secret by its name.
func secretVariable(name string) bool {
	for _, part := range []string{"PASSWORD", "PASSWD", "TOKEN", "SECRET", "PRIVATE_KEY", "API_KEY", "ACCESS_KEY"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
