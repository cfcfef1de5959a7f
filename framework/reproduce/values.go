package reproduce

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/internal/hide"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// replacing puts ${name} in place of the values that the script makes or asks for.
type replacing struct {
	forms    []form
	redactor *v1.Redactor
	// used are the variables that stand in what was replaced.
	used map[string]bool
	// thrown are the commands that make the values of Secrets which are no parameter's, by variable.
	thrown map[string]string
}

// form is a text that stands for a variable; whole says that it is replaced only as a word of its own.
type form struct {
	text, variable string
	whole          bool
}

// pemSuffix ends the name of a variable with the PEM of one in base64, as it stands between the quotes of a YAML string.
const pemSuffix = "_pem"

func newReplacing(parameters []Parameter, redactor *v1.Redactor) *replacing {
	r := &replacing{redactor: redactor, used: map[string]bool{}, thrown: map[string]string{}}
	for _, p := range parameters {
		switch {
		case p.Value == "":
		case p.Observed != nil:
			r.forms = append(r.forms, form{p.Value, p.Name, true})
		default:
			r.forms = append(r.forms, form{text: p.Value, variable: p.Name})
			if text, err := base64.StdEncoding.DecodeString(p.Value); err == nil && strings.HasPrefix(string(text), "-----BEGIN ") {
				r.forms = append(r.forms, form{text: string(text), variable: p.Name + pemSuffix})
				r.forms = append(r.forms, form{text: strings.TrimSpace(string(text)), variable: p.Name + pemSuffix})
			}
		}
	}
	slices.SortStableFunc(r.forms, func(a, b form) int { return cmp.Compare(len(b.text), len(a.text)) })
	return r
}

// object is a copy with variables, and without what only this run, or the API server, has written.
func (r *replacing) object(object *unstructured.Unstructured) *unstructured.Unstructured {
	copied := object.DeepCopy()
	copied.SetManagedFields(nil)
	copied.SetLabels(without(copied.GetLabels()))
	copied.SetAnnotations(without(copied.GetAnnotations()))
	unstructured.RemoveNestedField(copied.Object, "status")
	secret := copied.GetKind() == "Secret"
	content := r.value(copied.Object)
	if !secret {
		content = hide.Values(content)
	}
	copied.Object, _ = content.(map[string]any)
	if secret {
		r.secret(copied)
	}
	return copied
}

// without leaves out what marks an object as a run's: what is installed by hand is nobody's to remove.
func without(marks map[string]string) map[string]string {
	kept := maps.Clone(marks)
	maps.DeleteFunc(kept, func(name, _ string) bool {
		return strings.HasPrefix(name, "meshproof.dev/") || name == "app.kubernetes.io/managed-by"
	})
	if len(kept) == 0 {
		return nil
	}
	return kept
}

func (r *replacing) value(value any) any {
	switch v := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for name, field := range v {
			copied[name] = r.value(field)
		}
		return copied
	case []any:
		copied := make([]any, 0, len(v))
		for _, entry := range v {
			copied = append(copied, r.value(entry))
		}
		return copied
	case string:
		return r.safe(r.text(v))
	}
	return value
}

// text puts variables into a text.
func (r *replacing) text(text string) string {
	for _, f := range r.forms {
		var replaced string
		if f.whole {
			replaced = regexp.MustCompile(`(^|[^\w.-])`+regexp.QuoteMeta(f.text)+`($|[^\w-])`).ReplaceAllString(text, "${1}$${"+f.variable+"}${2}")
		} else {
			replaced = strings.ReplaceAll(text, f.text, "${"+f.variable+"}")
		}
		if replaced != text {
			text, r.used[f.variable] = replaced, true
		}
	}
	return text
}

// variable is one in a text.
var variable = regexp.MustCompile(`\$\{[a-z0-9_]+\}`)

// safe takes out of a text what looks like a secret. A variable is none, though it stands where passwords do.
func (r *replacing) safe(text string) string {
	bare := variable.ReplaceAllLiteralString(text, "")
	if redacted := r.redactor.String(bare); redacted == bare {
		return text
	}
	return r.redactor.String(text)
}

// wholly is a text of variables and line ends only; address is a URL in which a variable stands for the password.
var (
	wholly  = regexp.MustCompile(`^(\s*\$\{[a-z0-9_]+\}\s*)+$`)
	address = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^\s:@/]+:(\$\{[a-z0-9_]+\}|\[redacted\])@[^\s@]+$`)
)

// secret leaves in a Secret only what the script makes: variables, and addresses with one for the password. What else it holds is
// nobody's business, and becomes random.
func (r *replacing) secret(object *unstructured.Unstructured) {
	for _, place := range []string{"data", "stringData"} {
		values, _, _ := unstructured.NestedMap(object.Object, place)
		for key, value := range values {
			text, _ := value.(string)
			if wholly.MatchString(text) || place == "stringData" && address.MatchString(text) {
				continue
			}
			name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllLiteralString(strings.ToLower("secret "+object.GetNamespace()+" "+object.GetName()+" "+key), "_"), "_")
			r.thrown[name] = "openssl rand -hex 16"
			if place == "data" {
				r.thrown[name] += " | base64 -w0"
			}
			values[key] = "${" + name + "}"
		}
		if values != nil {
			object.Object[place] = values
		}
	}
}

// shell is a text with variables as it stands between double quotes in a script.
func shell(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`").Replace(escapeDollar(text))
}

// escapeDollar escapes every $ that begins no variable.
func escapeDollar(text string) string {
	var result strings.Builder
	for index := 0; index < len(text); index++ {
		if text[index] == '$' && variable.FindStringIndex(text[index:]) == nil || text[index] == '$' && variable.FindStringIndex(text[index:])[0] != 0 {
			result.WriteString(`\`)
		}
		result.WriteByte(text[index])
	}
	return result.String()
}

// quoted is a text with variables in double quotes.
func quoted(text string) string { return fmt.Sprintf(`"%s"`, shell(text)) }
