package accesslog

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

func FuzzCompileText(f *testing.F) {
	for _, format := range []string{IstioDefault, EnvoyDefault, "%START_TIME(%s.%3f)%%REQ(A?B):3% %%%CEL(f(x))%", "%", "%REQ(a%b)%"} {
		f.Add(format, "[2026-08-01T15:16:51.066Z] \"- - HTTP/1.1\" 400 DPE")
	}
	f.Fuzz(func(t *testing.T, format, line string) {
		compiled, err := CompileText(format)
		if err != nil {
			if compiled != nil || !strings.HasPrefix(err.Error(), "accesslog: text format: byte ") {
				t.Errorf("format %v, error %v", compiled, err)
			}
			return
		}
		for _, op := range compiled.Operators() {
			if !compiled.Has(op.String()) {
				t.Errorf("%q has %s, but says it has not", format, op)
			}
		}
		if len(format)*len(line) > 1<<20 {
			return
		}
		checkLine(t, compiled, line)
	})
}

// checkLine asks a parsed line everything.
func checkLine(t *testing.T, f *Format, line string) {
	l, ok := f.Parse(line)
	if !ok {
		return
	}
	sure := true
	for _, op := range f.Operators() {
		l.Field(op.String())
	}
	for i := range f.slots {
		sure = sure && (l.unsure == nil || !l.unsure[i])
	}
	if sure == l.Ambiguous {
		t.Errorf("ambiguous %t, but sure of everything is %t", l.Ambiguous, sure)
	}
	l.UpstreamHostAddr()
}

// rendered operators, with the bytes that Envoy can write for each; nil: a fixed form.
var renderedOps = []struct {
	op    string
	bytes *byteSet
}{
	{"%REQ(:METHOD)%", wordBytes},
	{"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", nil},
	{"%PROTOCOL%", wordBytes},
	{"%RESPONSE_CODE%", digits},
	{"%RESPONSE_CODE_DETAILS%", visibleBytes},
	{"%CONNECTION_TERMINATION_DETAILS%", nil},
	{"%UPSTREAM_TRANSPORT_FAILURE_REASON%", nil},
	{"%BYTES_RECEIVED%", digits},
	{"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", digits},
	{"%REQ(X-FORWARDED-FOR)%", nil},
	{"%REQ(USER-AGENT)%", nil},
	{"%REQ(X-REQUEST-ID)%", nil},
	{"%REQ(:AUTHORITY)%", wordBytes},
	{"%UPSTREAM_CLUSTER_RAW%", wordBytes},
	{"%REQUESTED_SERVER_NAME%", visibleBytes},
	{"%ROUTE_NAME%", nil},
}

var fixedValues = map[string]string{
	"%START_TIME%": "2026-08-01T15:16:51.066Z", "%START_TIME(%s.%6f)%": "1795362146.025018",
	"%RESPONSE_FLAGS%": "UF,URX", "%BYTES_SENT%": "0", "%DURATION%": "12",
	"%UPSTREAM_HOST%": "[::1]:28090", "%UPSTREAM_LOCAL_ADDRESS%": "-", "%DOWNSTREAM_LOCAL_ADDRESS%": "/var/run/x.sock",
	"%DOWNSTREAM_REMOTE_ADDRESS%": "envoy://internal_client_address/",
}

var renderedFormats = []string{
	IstioDefault,
	EnvoyDefault,
	"%START_TIME(%s.%6f)%|%REQ(USER-AGENT)%|%REQ(X-REQUEST-ID)%|%UPSTREAM_HOST%|%ROUTE_NAME%\n",
	"ua=%REQ(USER-AGENT)%, code=%RESPONSE_CODE%%PROTOCOL% to=%UPSTREAM_CLUSTER_RAW% %DOWNSTREAM_REMOTE_ADDRESS%\n",
	`{"r":"%REQ(X-REQUEST-ID)%","sni":"%REQUESTED_SERVER_NAME%","b":%BYTES_RECEIVED%}` + "\n",
}

// A line that was rendered from known fields is in the format, and every field that the
// parse is sure of is the one it was rendered from.
func FuzzParse(f *testing.F) {
	for i := range renderedFormats {
		f.Add(uint8(i), "GET\x00/a?b=c\x00HTTP/1.1\x00200\x00via_upstream\x00-\x00-\x000\x0012\x00-\x00curl/8\x007f3a\x00a.lab\x00outbound|80||a\x00-\x00default")
		f.Add(uint8(i), "GET\x00/\x00HTTP/2\x00200\x00x\x00a \"b\x00c\" d\x000\x00\x00- \"-\" \x00\" \"\x00\" \" \"\x00a\x00b\x00c\x00d e\" f")
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		format := renderedFormats[int(which)%len(renderedFormats)]
		values := renderValues(text)
		pairs := make([]string, 0, 2*len(values))
		for op, value := range values {
			pairs = append(pairs, op, value)
		}
		compiled := compileText(t, format)
		line := strings.NewReplacer(pairs...).Replace(format)
		checkValues(t, compiled, line, values)

		// The same fields as a JSON object.
		keys := slices.Sorted(maps.Keys(values))
		formatObject, lineObject := map[string]string{}, map[string]string{}
		for _, op := range keys {
			value := strings.ToValidUTF8(values[op], "?")
			values[op] = value
			formatObject[strings.ReplaceAll(op, "%", "")] = op
			lineObject[strings.ReplaceAll(op, "%", "")] = value
		}
		formatJSON, _ := json.Marshal(formatObject)
		lineJSON, _ := json.Marshal(lineObject)
		checkValues(t, compileJSON(t, string(formatJSON)), string(lineJSON), values)
	})
}

// renderValues cuts a text at its zero bytes into one value for each operator, made of
// what the operator can write.
func renderValues(text string) map[string]string {
	values := maps.Clone(fixedValues)
	parts := strings.Split(text, "\x00")
	for i, r := range renderedOps {
		value := ""
		if i < len(parts) {
			value = strings.Map(func(c rune) rune {
				if c == '\n' || c < 256 && !r.bytes.has(byte(c)) || c >= 256 && r.bytes != nil {
					return -1
				}
				return c
			}, parts[i])
		}
		if r.bytes == digits && len(value) > 15 {
			value = value[:15]
		}
		if value == "" && r.bytes != nil {
			value = "-"
		}
		values[r.op] = value
	}
	return values
}

func checkValues(t *testing.T, f *Format, line string, values map[string]string) {
	t.Helper()
	l, ok := f.Parse(line)
	if !ok {
		t.Fatalf("%q is not in %q", line, f)
	}
	for i, s := range f.slots {
		want := values[s.op.String()]
		if l.values[i] != want && l.Sure(s.op.String()) {
			t.Errorf("%q: %s is %q, rendered from %q", line, s.op, l.values[i], want)
		}
	}
}

func FuzzDiscover(f *testing.F) {
	dump, err := os.ReadFile("testdata/dynamic_listeners.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(dump)
	f.Add(dumpOf(`{"name":"n","filter":{"or_filter":{"filters":[{"response_flag_filter":{"flags":["NR"]}}]}},"typed_config":{"@type":"x/FileAccessLog","path":"/l","log_format":{"json_format":{"a":"%PROTOCOL%"}}}}`))
	f.Fuzz(func(t *testing.T, dump []byte) {
		sinks, err := Discover(dump)
		if err != nil && !strings.HasPrefix(err.Error(), "accesslog: ") {
			t.Errorf("error %v", err)
		}
		for _, s := range sinks {
			if s.Readable != (s.Format != nil) || s.Readable != (s.Problem == "") || s.String() == "" {
				t.Errorf("sink %+v", s)
			}
		}
	})
}
