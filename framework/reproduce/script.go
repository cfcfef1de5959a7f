package reproduce

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/internal/hide"
	"github.com/meshproof/meshproof/framework/traffic"
)

//go:embed reproduce.sh.tmpl
var scriptText string

var scriptTemplate = template.Must(template.New(Script).Funcs(template.FuncMap{"quoted": quoted, "line": oneLine}).Parse(scriptText))

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// making is a reproducer in the making.
type making struct {
	first, manifests, script string
}

// view is what the template of the script is filled with.
type view struct {
	Case
	HasFirst    bool
	Random      []string
	Observed    []observedView
	Credentials []string
	// PEM are the keys and certificates that are used as they stand between quotes.
	PEM   []string
	Probe probeView
	// Text and Answer are the promised texts with variables.
	Text, Answer string
}

// observedView is a value that is waited for; Paths are in quotes.
type observedView struct {
	Name, Resource, Namespace, Object, Paths string
	Address                                  bool
}

// probeView is the probe as the script sends it.
type probeView struct {
	// JSON is the body of what the agent is asked, and Path where; empty when curl or python sends the probe itself.
	JSON, Path string
	// Curl are the arguments of curl; empty for a database.
	Curl []string
	// Host and Port are a database's, ServerName is that of its TLS; empty for plain text.
	Host, Port, ServerName string
	// Authority is how a file with the authorities is made; empty when none is needed.
	Authority string
	Numbered  bool
	Seconds   int
}

// newMaking puts together what is written.
func newMaking(c Case) (making, error) {
	r := newReplacing(c.Parameters, c.Redactor)
	var objects []*unstructured.Unstructured
	for _, object := range c.Objects {
		objects = append(objects, r.object(object))
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return stage(a) - stage(b) })
	v := view{Case: c, Text: r.text(c.Promise.Text), Answer: r.text(c.Promise.Answer)}
	probe, err := c.probe(r)
	if err != nil {
		return making{}, err
	}
	v.Probe = probe
	lines, made, err := credentials(c.Parameters, r, c.authorityName(), time.Now())
	if err != nil {
		return making{}, err
	}
	v.Credentials = lines
	for _, p := range c.Parameters {
		switch {
		case p.Observed != nil && r.used[p.Name]:
			v.Observed = append(v.Observed, observedView{
				Name: p.Name, Resource: p.Observed.Resource, Namespace: p.Observed.Namespace, Object: p.Observed.Name, Paths: quotedAll(p.Observed.Paths), Address: p.Observed.Address,
			})
		case p.Secret && !made[p.Name] && r.used[p.Name]:
			v.Random = append(v.Random, p.Name+" \"$(openssl rand -hex 16)\"")
		}
		if r.used[p.Name+pemSuffix] {
			v.PEM = append(v.PEM, p.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.thrown)) {
		v.Random = append(v.Random, fmt.Sprintf("%s \"$(%s)\"", name, r.thrown[name]))
	}
	var result making
	if len(v.Observed) > 0 {
		v.HasFirst = true
		if result.first, err = text(sources(objects, v.Observed)); err != nil {
			return making{}, err
		}
	}
	if result.manifests, err = text(objects); err != nil {
		return making{}, err
	}
	var script bytes.Buffer
	if err := scriptTemplate.Execute(&script, v); err != nil {
		return making{}, err
	}
	result.script = script.String()
	return result, nil
}

func quotedAll(texts []string) string {
	var all []string
	for _, text := range texts {
		all = append(all, "'"+text+"'")
	}
	return strings.Join(all, " ")
}

// stage puts namespaces first and workloads last.
func stage(object *unstructured.Unstructured) int {
	switch object.GetKind() {
	case "Namespace":
		return 0
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "Pod":
		return 2
	}
	return 1
}

// sources are the namespaces, and the objects of which values are observed without the fields that hold those.
func sources(objects []*unstructured.Unstructured, observed []observedView) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, object := range objects {
		of := slices.ContainsFunc(observed, func(o observedView) bool {
			return strings.EqualFold(o.Resource, object.GetKind()) && o.Namespace == object.GetNamespace() && o.Object == object.GetName()
		})
		if object.GetKind() == "Namespace" || of {
			copied := object.DeepCopy()
			copied.Object, _ = withoutVariables(copied.Object).(map[string]any)
			found = append(found, copied)
		}
	}
	return found
}

// withoutVariables leaves out the fields that are a variable.
func withoutVariables(value any) any {
	fields, ok := value.(map[string]any)
	if !ok {
		return value
	}
	kept := map[string]any{}
	for name, field := range fields {
		if text, isText := field.(string); isText && variable.MatchString(text) {
			continue
		}
		kept[name] = withoutVariables(field)
	}
	return kept
}

func text(objects []*unstructured.Unstructured) (string, error) {
	var content strings.Builder
	for _, object := range objects {
		data, err := yaml.Marshal(object.Object)
		if err != nil {
			return "", err
		}
		content.WriteString("---\n" + string(data))
	}
	return content.String(), nil
}

func decoded(text string) string {
	data, _ := base64.StdEncoding.DecodeString(text) // which was parsed before
	return string(data)
}

// routerConfigMap is how the authorities of OpenShift's router are read.
const routerConfigMap = `kubectl -n openshift-config-managed get configmap default-ingress-cert -o 'jsonpath={.data.ca-bundle\.crt}'`

// authority is how a file with these authorities is made; empty for none.
func (c Case) authority(pem string) (string, error) {
	if pem == "" {
		return "", nil
	}
	if pem == c.RouterCA {
		return routerConfigMap, nil
	}
	if name := c.parameterOf(pem); name != "" {
		return fmt.Sprintf(`cat "$work/%s.pem"`, name), nil
	}
	return "", fmt.Errorf("nothing tells where the authorities of probe %s come from", c.Probe.ID)
}

// authorities are those that the client checks the server's certificate against, in PEM; empty for none of the pattern's own.
func (c Case) authorities() string {
	if database := c.Probe.Request.Database; database != nil && database.TLS != nil {
		return database.TLS.RootCAs
	}
	return c.Probe.Request.RootCAs
}

// authorityName is the parameter that holds them; empty for none.
func (c Case) authorityName() string { return c.parameterOf(c.authorities()) }

func (c Case) parameterOf(pem string) string {
	for _, p := range c.Parameters {
		if parsed, ok := parse(p); pem != "" && ok && parsed.certificate != nil && strings.TrimSpace(decoded(p.Value)) == strings.TrimSpace(pem) {
			return p.Name
		}
	}
	return ""
}

// probe is how the script sends the probe: without what it logs in with, and without headers that may hold secrets.
func (c Case) probe(r *replacing) (probeView, error) {
	request := c.Probe.Request
	v := probeView{Numbered: c.Probe.Numbered(), Seconds: int(c.Probe.Timeout().Seconds()) + 1}
	headers := map[string]string{"User-Agent": traffic.UserAgentPrefix + "${id}"}
	for name, value := range request.Header {
		if secret := c.Redactor.String(name+": "+value) != name+": "+value; !secret && !hide.Header(name) {
			headers[http.CanonicalHeaderKey(name)] = r.text(value)
		}
	}
	target := ""
	if request.Database == nil {
		probe := c.Probe
		probe.ID = "${id}"
		probe.Request.URL = r.text(strings.ReplaceAll(probe.Request.URL, traffic.NumberPlaceholder, "NUMBER"))
		separator := "?"
		if strings.Contains(probe.Request.URL, "?") {
			separator = "&"
		}
		target = strings.ReplaceAll(probe.Request.URL, "NUMBER", "${number}") + separator + traffic.IDParameter + "=${id}"
	}
	authorities := c.authorities()
	var err error
	if v.Authority, err = c.authority(authorities); err != nil {
		return v, err
	}
	pem := ""
	if authorities != "" {
		pem = "${authority_pem}"
	}
	switch {
	case request.Database != nil && c.From != nil:
		tls := request.Database.TLS
		if tls != nil {
			tls = &wire.DatabaseTLS{ServerName: r.text(tls.ServerName), CertificateName: r.text(tls.CertificateName), RootCAs: pem, Insecure: tls.Insecure}
		}
		v.Path = "/database"
		v.JSON, err = body(wire.DatabaseRequest{
			Address: r.text(request.Database.Address), TLS: tls, Name: "${id}", Commands: []wire.DatabaseCommand{{Database: "admin", Command: `{"hello": 1}`}},
			TimeoutMilliseconds: c.Probe.Timeout().Milliseconds(),
		})
	case request.Database != nil:
		host, port, splitErr := net.SplitHostPort(request.Database.Address)
		if splitErr != nil {
			return v, splitErr
		}
		v.Host, v.Port = r.text(host), port
		if request.Database.TLS != nil {
			v.ServerName = r.text(request.Database.TLS.ServerName)
		}
	case c.From != nil:
		v.Path = "/probe"
		v.JSON, err = body(wire.ProbeRequest{
			Method: c.Probe.Method(), URL: target, Host: r.text(request.Host), Address: r.text(request.Address), Headers: headers, Body: r.safe(r.text(request.Body)), RootCAs: pem,
			Unchecked: request.Unchecked, TimeoutMilliseconds: c.Probe.Timeout().Milliseconds(), NewConnection: true,
		})
	default:
		v.Curl = curl(request, c.Probe.Method(), target, headers, r)
	}
	return v, err
}

// body is JSON in which a variable with a PEM, which has quotes of its own, has none.
func body(request any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(request)
	return strings.TrimSpace(strings.ReplaceAll(text.String(), `"${authority_pem}"`, `${authority_pem}`)), err
}

// curl are the arguments that send the probe as meshproof's own client does.
func curl(request traffic.Request, method, target string, headers map[string]string, r *replacing) []string {
	arguments := []string{"-X " + method}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		arguments = append(arguments, "-H "+quoted(name+": "+headers[name]))
	}
	if request.Host != "" {
		arguments = append(arguments, "-H "+quoted("Host: "+r.text(request.Host)))
	}
	if request.Address != "" {
		arguments = append(arguments, "--connect-to "+quoted("::"+r.text(request.Address)))
	}
	if request.Unchecked {
		arguments = append(arguments, "-k")
	}
	if request.RootCAs != "" {
		arguments = append(arguments, `--cacert "$work/authority.pem"`)
	}
	if request.Body != "" {
		arguments = append(arguments, "--data-raw "+quoted(r.safe(r.text(request.Body))))
	}
	return append(arguments, quoted(target))
}
