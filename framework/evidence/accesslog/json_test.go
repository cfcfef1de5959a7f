package accesslog

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func compileJSON(t testing.TB, format string, options ...Option) *Format {
	t.Helper()
	f, err := CompileJSON([]byte(format), options...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const nestedJSON = `{"nested":{"code":"%RESPONSE_CODE%","list":["%DURATION%","x",3]},"ua":"%REQ(USER-AGENT)%",
	"multi":"%REQ(:METHOD)% %REQ(MISSING)%","n":1.5,"start":"%START_TIME%","host":"%UPSTREAM_HOST%","missing":"%REQ(NOPE)%",
	"lit":"plain 100%%","bytes":"%BYTES_SENT%","flags":"%RESPONSE_FLAGS%","cl":"%UPSTREAM_CLUSTER%","port":"%DOWNSTREAM_LOCAL_PORT%","rt":"%ROUTE_NAME%"}`

// The lines are what Envoy 1.40.0 wrote.
func TestParseJSON(t *testing.T) {
	f := compileJSON(t, nestedJSON)
	const line = `{"bytes":5,"cl":"outbound|9080||reviews.lab;","flags":"-","host":"127.0.0.1:28090","lit":"plain 100%","missing":null,"multi":"GET -","n":"1.5","nested":{"code":200,"list":[1,"x",3]},"port":28080,"rt":"default","start":"2026-08-01T15:16:51.060Z","ua":"Moz \"foo\" (x; y)"}` + "\n"
	got, ok := f.Parse(line)
	if !ok {
		t.Fatal("not in the format")
	}
	want := Line{
		Start:    time.Date(2026, time.August, 1, 15, 16, 51, 60e6, time.UTC),
		Duration: time.Millisecond, Method: "GET", UserAgent: `Moz "foo" (x; y)`,
		ResponseCode: 200, BytesSent: 5, UpstreamHost: "127.0.0.1:28090", UpstreamCluster: "outbound|9080||reviews.lab", Route: "default",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Line{})); diff != "" {
		t.Errorf("Line (-want +got):\n%s", diff)
	}
	for op, want := range map[string]string{"DOWNSTREAM_LOCAL_PORT": "28080", "REQ(NOPE)": "", "REQ(MISSING)": "", "RESPONSE_FLAGS": ""} {
		if v, ok := got.Field(op); v != want || ok != (want != "") {
			t.Errorf("Field(%s) = %q, %t", op, v, ok)
		}
	}
	if !f.JSON() || !strings.HasPrefix(f.String(), `{"nested":{"code":`) || strings.Contains(f.String(), "\n") {
		t.Errorf("format %s, JSON %t", f, f.JSON())
	}
	// A request that failed: bytes that are no UTF-8 come as code points.
	l, ok := f.Parse(`{"bytes":0,"cl":null,"flags":"NR","host":null,"lit":"plain 100%","missing":null,"multi":"GET -","n":"1.5","nested":{"code":404,"list":[0,"x",3]},"port":28080,"rt":null,"start":"2026-08-01T15:16:11.705Z","ua":"hi\u00e9\u00c3\u00a9\u0009tab\u005cback"}`)
	if !ok || l.UserAgent != "hié\u00c3©\ttab\\back" || !l.HasFlag("NR") || l.UpstreamHost != "" {
		t.Errorf("line %+v, %t", l, ok)
	}
}

func TestParseJSONOmitEmpty(t *testing.T) {
	f := compileJSON(t, nestedJSON, OmitEmpty())
	l, ok := f.Parse(`{"bytes":11,"flags":"DPE","lit":"plain 100%","multi":" ","n":"1.5","nested":{"code":400,"list":[0,"x",3]},"port":28080,"start":"2026-08-01T15:16:11.704Z"}`)
	if !ok || l.Ambiguous || l.ResponseCode != 400 || l.Method != "" {
		t.Errorf("line %+v, %t", l, ok)
	}
	if _, ok := l.Field("REQ(USER-AGENT)"); ok {
		t.Error("the user agent is there")
	}
	all := compileJSON(t, `{"m":"%PROTOCOL%","o":{"z":"%PROTOCOL%"}}`, OmitEmpty())
	if l, ok := all.Parse("{}"); !ok || l.Protocol != "" {
		t.Errorf("everything left out: %+v, %t", l, ok)
	}
	list := compileJSON(t, `{"l":["%PROTOCOL%","%ROUTE_NAME%"],"d":"%DURATION%"}`, OmitEmpty())
	if l, ok := list.Parse(`{"l":["x"],"d":1}`); !ok || !l.Ambiguous || l.Sure("PROTOCOL") || !l.Sure("DURATION") {
		t.Errorf("half a list: %+v, %t", l, ok)
	}
	if _, ok := list.Parse(`{"l":["x","y","z"],"d":1}`); ok {
		t.Error("a longer list was taken")
	}
}

func TestJSONTypes(t *testing.T) {
	f := compileJSON(t, `{"b":true,"n":null,"i":1,"f":2.5,"e":{},"el":[],"s":"","big":12345678901234,"o":{"b":false},
		"md":"%DYNAMIC_METADATA(a)%","d":"-%DURATION%-","x":"%REQ(X)%"}`)
	const line = `{"b":true,"n":null,"i":1,"f":2.5,"e":{},"el":[],"s":"","big":12345678901234,"o":{"b":false},"md":{"k":["v",2]},"d":"-3-","x":true}`
	l, ok := f.Parse(line)
	if !ok {
		t.Fatal("not in the format")
	}
	for op, want := range map[string]string{"DYNAMIC_METADATA(a)": `{"k":["v",2]}`, "DURATION": "3", "REQ(X)": "true"} {
		if got, _ := l.Field(op); got != want {
			t.Errorf("Field(%s) = %q, want %q", op, got, want)
		}
	}
	if l.Duration != 3*time.Millisecond {
		t.Errorf("duration %s", l.Duration)
	}
	for name, change := range map[string][2]string{
		"another boolean":             {`"b":true`, `"b":false`},
		"a text for null":             {`"n":null`, `"n":"x"`},
		"another number":              {`"i":1`, `"i":2`},
		"a text for a number":         {`"i":1`, `"i":"one"`},
		"another text":                {`"s":""`, `"s":"x"`},
		"a number for an object":      {`"e":{}`, `"e":1`},
		"a number for a list":         {`"el":[]`, `"el":1`},
		"a list for a literal":        {`"i":1`, `"i":[1]`},
		"one more key":                {`"s":""`, `"s":"","t":""`},
		"one key less":                {`"s":"",`, ``},
		"one more key inside":         {`{"b":false}`, `{"b":false,"c":1}`},
		"other text around":           {`"-3-"`, `"3"`},
		"a number for text and value": {`"-3-"`, `3`},
		"something after it":          {`"x":true}`, `"x":true}{}`},
		"broken JSON":                 {`"x":true}`, `"x":tru}`},
		"another line":                {line, `2026-08-01T15:16:11.704Z info`},
	} {
		if l, ok := f.Parse(strings.Replace(line, change[0], change[1], 1)); ok {
			t.Errorf("%s: parsed as %+v", name, l.values)
		}
	}
	number := compileJSON(t, `{"d":"%DURATION%","t":"%START_TIME%"}`)
	for _, line := range []string{
		`{"d":true,"t":null}`, `{"d":"x","t":null}`, `{"d":1,"t":"yesterday"}`, `{"d":{},"t":null}`, `[]`,
	} {
		if _, ok := number.Parse(line); ok {
			t.Errorf("%s was taken", line)
		}
	}
}

func TestAmbiguousJSONValue(t *testing.T) {
	f := compileJSON(t, `{"two":"%REQ(A)% %REQ(B)%","d":"%DURATION%"}`)
	l, ok := f.Parse(`{"two":"a b c","d":1}`)
	if !ok || !l.Ambiguous || l.Sure("REQ(A)") || l.Sure("REQ(B)") || !l.Sure("DURATION") {
		t.Errorf("line %+v, %t", l, ok)
	}
}

func TestIstioJSON(t *testing.T) {
	f := compileJSON(t, istioJSON)
	text := compileText(t, IstioDefault)
	a, ok := f.Parse(jsonLine)
	if !ok {
		t.Fatal("the JSON line is not in the format")
	}
	b, ok := text.Parse(httpLine)
	if !ok {
		t.Fatal("the text line is not in the format")
	}
	if diff := cmp.Diff(b, a, cmpopts.IgnoreUnexported(Line{})); diff != "" {
		t.Errorf("the same request as text and as JSON (-text +JSON):\n%s", diff)
	}
}

func TestMalformedJSONFormats(t *testing.T) {
	for format, want := range map[string]string{
		``:                             "EOF",
		`"%PROTOCOL%"`:                 "not an object",
		`{"a":1}{}`:                    "more than one value",
		`{"a":{"b":["x","%NOPE"]}}`:    `key "a.b[1]": byte 0: no % ends the operator`,
		`{"a":"%PROTOCOL%","b":"50%"}`: `key "b": byte 2: `,
	} {
		_, err := CompileJSON([]byte(format))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "accesslog: JSON format: ") {
			t.Errorf("%s: error %v, want one with %s", format, err, want)
		}
	}
}
