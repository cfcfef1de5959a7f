package accesslog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHasAndMissing(t *testing.T) {
	f := compileText(t, `%START_TIME(%s)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQUEST_HEADER(User-Agent):8% %UPSTREAM_CLUSTER%`+"\n")
	for op, want := range map[string]bool{
		"START_TIME":                       true,
		"START_TIME(%s)":                   true,
		"START_TIME(%Y)":                   false,
		"%REQ(:PATH)%":                     true,
		"REQ(X-ENVOY-ORIGINAL-PATH)":       true,
		"REQ(x-envoy-original-path?:path)": true,
		"REQ(:PATH?X-ENVOY-ORIGINAL-PATH)": false,
		"REQ(USER-AGENT)":                  true,
		"REQ(USER-AGENT):3":                true,
		"%REQUEST_HEADER(user-agent)%":     true,
		"RESP(USER-AGENT)":                 false,
		"UPSTREAM_CLUSTER":                 true,
		"UPSTREAM_CLUSTER_RAW":             false,
		"UPSTREAM_HOST":                    false,
		"":                                 false,
		"%":                                false,
	} {
		if got := f.Has(op); got != want {
			t.Errorf("Has(%q) = %t", op, got)
		}
	}
	missing := f.Missing("UPSTREAM_HOST", "%START_TIME%", "REQUEST_HEADER(x-request-id)")
	if diff := cmp.Diff([]string{"%UPSTREAM_HOST%", "%REQ(X-REQUEST-ID)%"}, missing); diff != "" {
		t.Errorf("Missing (-want +got):\n%s", diff)
	}
	if missing := f.Missing("START_TIME"); missing != nil {
		t.Errorf("Missing of what is there: %v", missing)
	}
}

func TestDefaultFormats(t *testing.T) {
	istio := compileText(t, IstioDefault)
	if n := len(istio.Operators()); n != 24 || n > fewSlots {
		t.Errorf("Istio's default has %d operators", n)
	}
	if lacks := istio.Missing("UPSTREAM_HOST", "UPSTREAM_CLUSTER_RAW", "UPSTREAM_LOCAL_ADDRESS", "DOWNSTREAM_LOCAL_ADDRESS",
		"DOWNSTREAM_REMOTE_ADDRESS", "REQUESTED_SERVER_NAME", "ROUTE_NAME", "REQ(:PATH)"); lacks != nil {
		t.Errorf("Istio's default lacks %v", lacks)
	}
	envoys := compileText(t, EnvoyDefault)
	want := []string{"%UPSTREAM_CLUSTER_RAW%", "%DOWNSTREAM_REMOTE_ADDRESS%"}
	if diff := cmp.Diff(want, envoys.Missing("UPSTREAM_CLUSTER_RAW", "UPSTREAM_HOST", "DOWNSTREAM_REMOTE_ADDRESS")); diff != "" {
		t.Errorf("Envoy's default lacks (-want +got):\n%s", diff)
	}
	if envoys.String() != EnvoyDefault || envoys.JSON() {
		t.Errorf("format %q, JSON %t", envoys, envoys.JSON())
	}
}

func TestOperators(t *testing.T) {
	f := compileText(t, "%REQ(a?b):12%%% %CEL(f(x)):3% %START_TIME(%H:%M)%")
	want := []Operator{
		{Name: "REQ", Arg: "A?B", MaxLength: 12},
		{Name: "CEL", Arg: "f(x)", MaxLength: 3},
		{Name: "START_TIME", Arg: "%H:%M"},
	}
	if diff := cmp.Diff(want, f.Operators()); diff != "" {
		t.Errorf("Operators (-want +got):\n%s", diff)
	}
	var text []string
	for _, op := range f.Operators() {
		text = append(text, op.String())
	}
	if got := strings.Join(text, " "); got != "%REQ(A?B):12% %CEL(f(x)):3% %START_TIME(%H:%M)%" {
		t.Errorf("operators print as %s", got)
	}
}

// Envoy 1.40.0 refuses each of these.
func TestMalformedFormats(t *testing.T) {
	for format, want := range map[string]string{
		"a % b":                           `byte 2: no operator name after %, which must be doubled to stand for itself: "% b"`,
		"%lower%":                         `byte 0: no operator name`,
		"x %PROTOCOL":                     `byte 2: no % ends the operator "%PROTOCOL"`,
		"%REQ(X):a%":                      `byte 0: no ")%" closes the argument`,
		"%REQ(X)x%":                       `byte 0: no ")%" closes the argument`,
		"%REQ(X":                          `byte 0: no ")%" closes the argument`,
		"%DURATION:%":                     `byte 0: no length after the colon`,
		"%DURATION:99999999999999999999%": `byte 0: no length after the colon`,
		"%REQ(A?B?C)%":                    `byte 0: more than one alternative header`,
		"100%":                            `byte 3: no operator name`,
		"%REQ(" + strings.Repeat("x", 99): `xxxx..."`,
	} {
		_, err := CompileText(format)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "accesslog: text format: ") {
			t.Errorf("%q: error %v, want one with %s", format, err, want)
		}
	}
}
