package accesslog

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func compileText(t testing.TB, format string, options ...Option) *Format {
	t.Helper()
	f, err := CompileText(format, options...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The lines are what Envoy 1.40.0 wrote, in Istio's default format.
func TestParseIstioDefault(t *testing.T) {
	at := func(s string) time.Time {
		start, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return start
	}
	f := compileText(t, IstioDefault)
	for name, test := range map[string]struct {
		line string
		want Line
	}{
		"a request": {
			`[2026-08-01T15:16:51.060Z] "GET /ok?id=1 HTTP/1.1" 200 - via_upstream - "-" 0 5 1 0 "-" "curl/8" "96fde9b2-57a6-43d5-a22a-a88341826b3b" "reviews.lab" "127.0.0.1:28090" outbound|9080||reviews.lab 127.0.0.1:45508 127.0.0.1:28080 127.0.0.1:58234 - default`,
			Line{
				Start: at("2026-08-01T15:16:51.060Z"), Duration: time.Millisecond,
				Method: "GET", Path: "/ok?id=1", Authority: "reviews.lab", Protocol: "HTTP/1.1",
				UserAgent: "curl/8", RequestID: "96fde9b2-57a6-43d5-a22a-a88341826b3b",
				ResponseCode: 200, Details: "via_upstream", BytesSent: 5,
				UpstreamHost: "127.0.0.1:28090", UpstreamCluster: "outbound|9080||reviews.lab",
				UpstreamLocal: "127.0.0.1:45508", DownstreamLocal: "127.0.0.1:28080", DownstreamRemote: "127.0.0.1:58234",
				Route: "default",
			},
		},
		"a connection through an egress gateway": {
			`[2026-08-01T00:38:16.510Z] "- - -" 0 - - - "-" 2576 3397 42 - "-" "-" "-" "-" "10.244.200.12:27018" outbound|27018||my-mongo.tcp.svc 10.244.0.13:47928 10.244.0.13:15666 10.244.0.22:56490 - -` + "\n",
			Line{
				Start: at("2026-08-01T00:38:16.510Z"), Duration: 42 * time.Millisecond,
				BytesReceived: 2576, BytesSent: 3397,
				UpstreamHost: "10.244.200.12:27018", UpstreamCluster: "outbound|27018||my-mongo.tcp.svc",
				UpstreamLocal: "10.244.0.13:47928", DownstreamLocal: "10.244.0.13:15666", DownstreamRemote: "10.244.0.22:56490",
			},
		},
		"IPv6, and two flags": {
			`[2026-08-01T15:16:11.746Z] "- - -" 0 UF,URX - - "delayed_connect_error:_Connection_refused" 0 0 0 - "-" "-" "-" "-" "[::1]:28091" outbound|27018||mongo.lab - [::1]:28018 [::1]:58560 - -`,
			Line{
				Start: at("2026-08-01T15:16:11.746Z"),
				Flags: []string{"UF", "URX"}, UpstreamFailure: "delayed_connect_error:_Connection_refused",
				UpstreamHost: "[::1]:28091", UpstreamCluster: "outbound|27018||mongo.lab",
				DownstreamLocal: "[::1]:28018", DownstreamRemote: "[::1]:58560",
			},
		},
		"an upstream that breaks TLS, and X-Forwarded-For": {
			`[2026-08-01T15:16:51.069Z] "GET /tls HTTP/1.1" 503 UF upstream_reset_before_response_started{remote_connection_failure|TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer:TLS_error_end} - "TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer:TLS_error_end" 0 98 0 - "1.2.3.4, 5.6.7.8" "-" "d4d1548a-0e3e-4c61-a704-7680cc03707d" "reviews.lab" "127.0.0.1:28443" outbound|443||tls.lab - 127.0.0.1:28080 5.6.7.8:0 - tls`,
			Line{
				Start: at("2026-08-01T15:16:51.069Z"), Method: "GET", Path: "/tls", Authority: "reviews.lab", Protocol: "HTTP/1.1",
				RequestID: "d4d1548a-0e3e-4c61-a704-7680cc03707d", ForwardedFor: "1.2.3.4, 5.6.7.8",
				ResponseCode: 503, Flags: []string{"UF"},
				Details:         "upstream_reset_before_response_started{remote_connection_failure|TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer:TLS_error_end}",
				UpstreamFailure: "TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer:TLS_error_end",
				BytesSent:       98, UpstreamHost: "127.0.0.1:28443", UpstreamCluster: "outbound|443||tls.lab",
				DownstreamLocal: "127.0.0.1:28080", DownstreamRemote: "5.6.7.8:0", Route: "tls",
			},
		},
		"quotes and spaces in the user agent": {
			`[2026-08-01T15:16:11.703Z] "GET /quotes HTTP/1.1" 404 NR route_not_found - "-" 0 0 0 - "-" "Moz "foo" (x; y)" "e10f215f-74e8-48d2-adbe-07d0c56f2f14" "reviews.lab" "-" - - 127.0.0.1:28080 127.0.0.1:57714 - -`,
			Line{
				Start: at("2026-08-01T15:16:11.703Z"), Method: "GET", Path: "/quotes", Authority: "reviews.lab", Protocol: "HTTP/1.1",
				UserAgent: `Moz "foo" (x; y)`, RequestID: "e10f215f-74e8-48d2-adbe-07d0c56f2f14",
				ResponseCode: 404, Flags: []string{"NR"}, Details: "route_not_found",
				DownstreamLocal: "127.0.0.1:28080", DownstreamRemote: "127.0.0.1:57714",
			},
		},
		"an original path with spaces and a quote": {
			"[2026-08-01T15:16:51.067Z] \"GET /a b \"c HTTP/1.1\" 200 - via_upstream - \"-\" 0 5 0 0 \"-\" \"hi\xe9\xc3\xa9\ttab\\back\" \"e2dd3b41\" \"reviews.lab\" \"127.0.0.1:28090\" outbound|9080||reviews.lab 127.0.0.1:45532 127.0.0.1:28080 127.0.0.1:58326 api.lab default",
			Line{
				Start: at("2026-08-01T15:16:51.067Z"), Method: "GET", Path: `/a b "c`, Authority: "reviews.lab", Protocol: "HTTP/1.1",
				UserAgent: "hi\xe9\xc3\xa9\ttab\\back", RequestID: "e2dd3b41",
				ResponseCode: 200, Details: "via_upstream", BytesSent: 5,
				UpstreamHost: "127.0.0.1:28090", UpstreamCluster: "outbound|9080||reviews.lab", UpstreamLocal: "127.0.0.1:45532",
				DownstreamLocal: "127.0.0.1:28080", DownstreamRemote: "127.0.0.1:58326", SNI: "api.lab", Route: "default",
			},
		},
		"a request that could not be read": {
			`[2026-08-01T15:16:51.066Z] "- - HTTP/1.1" 400 DPE http1.codec_error - "-" 0 11 0 - "-" "-" "-" "-" "-" - - 127.0.0.1:28080 127.0.0.1:58288 - -`,
			Line{
				Start: at("2026-08-01T15:16:51.066Z"), Protocol: "HTTP/1.1", ResponseCode: 400, Flags: []string{"DPE"},
				Details: "http1.codec_error", BytesSent: 11, DownstreamLocal: "127.0.0.1:28080", DownstreamRemote: "127.0.0.1:58288",
			},
		},
		"spaces in what a configuration or filter worded": {
			`[2026-08-01T15:16:51.066Z] "- - -" 0 - - denied by policy "a b" "-" 0 0 0 - "-" "-" "-" "-" "envoy://connect_originate/10.0.0.9:15008" outbound|80||svc envoy://internal_client_address/ @/x/y 10.0.0.1:5 - my route`,
			Line{
				Start: at("2026-08-01T15:16:51.066Z"), TerminationDetails: `denied by policy "a b"`,
				UpstreamHost: "envoy://connect_originate/10.0.0.9:15008", UpstreamCluster: "outbound|80||svc",
				UpstreamLocal: "envoy://internal_client_address/", DownstreamLocal: "@/x/y", DownstreamRemote: "10.0.0.1:5", Route: "my route",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := f.Parse(test.line)
			if !ok {
				t.Fatalf("not in the format: %s", test.line)
			}
			// What a quoted field holds can look like the quotes of two others; this line
			// has one such place, and all else is certain.
			if strings.Contains(test.line, `"a b"`) {
				if !got.Ambiguous || got.Sure("CONNECTION_TERMINATION_DETAILS") || !got.Sure("UPSTREAM_HOST") || !got.Sure("ROUTE_NAME") {
					t.Errorf("ambiguous %t, unsure %v", got.Ambiguous, got.unsure)
				}
				got.Ambiguous = false
				test.want.TerminationDetails, test.want.UpstreamFailure = got.TerminationDetails, got.UpstreamFailure
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(Line{})); diff != "" {
				t.Errorf("Line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEmptyHeaderIsNotAbsent(t *testing.T) {
	f := compileText(t, EnvoyDefault)
	const line = `[2026-08-01T15:16:51.065Z] "GET /empty HTTP/1.1" 200 - 0 5 0 0 "-" "" "99f960b0" "reviews.lab" "127.0.0.1:28090"`
	l, ok := f.Parse(line)
	if !ok {
		t.Fatal("not in the format")
	}
	if v, ok := l.Field("REQ(user-agent)"); v != "" || !ok {
		t.Errorf("empty user agent: %q, %t", v, ok)
	}
	if v, ok := l.Field("%REQ(X-FORWARDED-FOR)%"); v != "" || ok {
		t.Errorf("no X-Forwarded-For: %q, %t", v, ok)
	}
	if v, ok := l.Field("RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)"); v != "0" || !ok {
		t.Errorf("service time %q, %t", v, ok)
	}
	if v, ok := l.Field("UPSTREAM_CLUSTER"); ok {
		t.Errorf("cluster %q, which the format lacks", v)
	}
	if l.Sure("UPSTREAM_CLUSTER") || !l.Sure("UPSTREAM_HOST") || l.Format() != f {
		t.Error("Sure or Format is wrong")
	}
	if _, ok := (Line{}).Field("PROTOCOL"); ok || (Line{}).Sure("PROTOCOL") {
		t.Error("the zero line has a field")
	}
}

func TestAmbiguousHeaders(t *testing.T) {
	f := compileText(t, IstioDefault)
	// A client sent the user agent `a" "b` and the request ID `q" "r`.
	const line = `[2026-08-01T15:16:11.703Z] "GET /amb HTTP/1.1" 404 NR route_not_found - "-" 0 0 0 - "-" "a" "b" "q" "r" "reviews.lab" "-" - - 127.0.0.1:28080 127.0.0.1:57722 - -`
	l, ok := f.Parse(line)
	if !ok || !l.Ambiguous {
		t.Fatalf("parsed %t, ambiguous %t, want both", ok, l.Ambiguous)
	}
	for _, op := range f.Operators() {
		want := true
		switch op.Arg {
		case "X-FORWARDED-FOR", "USER-AGENT", "X-REQUEST-ID":
			want = false
		}
		if got := l.Sure(op.String()); got != want {
			t.Errorf("Sure(%s) = %t", op, got)
		}
	}
	if l.Authority != "reviews.lab" || l.DownstreamRemote != "127.0.0.1:57722" {
		t.Errorf("authority %q, remote %q", l.Authority, l.DownstreamRemote)
	}
}

func TestOtherLinesAreNotInTheFormat(t *testing.T) {
	f := compileText(t, IstioDefault)
	for _, line := range []string{
		"",
		"\n",
		"2026-08-01T15:16:11.703Z\tinfo\tEnvoy proxy is ready",
		"[2026-08-01 15:16:51.015][28733][warning][main] [source/server/server.cc:1059] There is no configured limit",
		`[2026-08-01T15:16:51.065Z] "GET /empty HTTP/1.1" 200 - 0 5 0 0 "-" "" "99f960b0" "reviews.lab" "127.0.0.1:28090"`,
		`[2026-13-01T15:16:51.066Z] "- - HTTP/1.1" 400 DPE http1.codec_error - "-" 0 11 0 - "-" "-" "-" "-" "-" - - 127.0.0.1:28080 127.0.0.1:58288 - -`,
		`[2026-08-01T15:16:51.066Z] "- - HTTP/1.1" 4-0 DPE http1.codec_error - "-" 0 11 0 - "-" "-" "-" "-" "-" - - 127.0.0.1:28080 127.0.0.1:58288 - -`,
		`[2026-08-01T15:16:51.066Z] "- - HTTP/1.1" 400 DPE http1.codec_error - "-" 0 11 0 - "-" "-" "-" "-" "-" - - 127.0.0.1:28080 127.0.0.1:58288`,
	} {
		if l, ok := f.Parse(line); ok {
			t.Errorf("parsed %q as %+v", line, l)
		}
	}
}

func TestOmitEmpty(t *testing.T) {
	f := compileText(t, IstioDefault, OmitEmpty())
	const line = `[2026-08-01T15:16:11.701Z] "GET /ok?id=1 HTTP/1.1" 404 NR route_not_found  "" 0 0 0  "" "curl/8" "e9743ae7" "reviews.lab" ""   127.0.0.1:28080 127.0.0.1:57706  ` + "\n"
	l, ok := f.Parse(line)
	if !ok {
		t.Fatal("not in the format")
	}
	if l.DownstreamRemote != "127.0.0.1:57706" || l.UpstreamHost != "" || l.ResponseCode != 404 || l.UserAgent != "curl/8" {
		t.Errorf("line %+v", l)
	}
	if v, ok := l.Field("UPSTREAM_HOST"); ok {
		t.Errorf("upstream host %q, want absent", v)
	}
	if !l.Sure("DOWNSTREAM_REMOTE_ADDRESS") {
		t.Error("the remote address is not certain")
	}
}

func TestTextFormats(t *testing.T) {
	for _, test := range []struct {
		format, line string
		fields       string // op=value pairs
		ambiguous    bool
	}{
		{"100%% %DURATION%\n", "100% 7", "DURATION=7", false},
		{"%REQ(USER-AGENT):3%|%REQ(NOPE):1%|%DURATION%\n", `a" |-|1`, `REQ(USER-AGENT)=a" `, false},
		{"%REQ(A):3%|%REQ(B)%\n", "a|b|c|d", "", true},
		{"%REQ(A):3%|%REQ(B):3%\n", "a|b|c", "", true},
		{"%REQ(A):1%|%REQ(B):3%\n", "a|b|c", "REQ(A)=a REQ(B)=b|c", false},
		{"%PROTOCOL%%RESPONSE_CODE%\n", "HTTP/1.1200", "", true},
		{"%RESPONSE_CODE%%PROTOCOL%\n", "200HTTP/2", "", true},
		{"%REQ(A)%-%DURATION%\n", "a-b-5", "REQ(A)=a-b DURATION=5", false},
		{"%REQ(A)%-%DURATION%\n", "a--5", "REQ(A)=a- DURATION=5", false},
		{"%REQ(A)%-%DURATION%\n", "a-5-", "", false}, // no number at the end
		{"%UPSTREAM_HOST% %UPSTREAM_CLUSTER%\n", "10.0.0.1:80 outbound|80||a;", "UPSTREAM_CLUSTER=outbound|80||a;", false},
		{"%START_TIME(%s.%3f)% %REQ(A?B)%\n", "1795360571.701 x y", "START_TIME=1795360571.701 REQ(A)=x REQ(B)=x", false},
		{`{"ua":"%REQ(USER-AGENT)%","d":%DURATION%}` + "\n", `{"ua":"x","y","d":3}`, `REQ(USER-AGENT)=x","y DURATION=3`, false},
		{"%DYNAMIC_METADATA(a:b)% %FILTER_STATE(x:PLAIN):9% %NEW_OPERATOR(y)%\n", "- - -", "", false},
		{"%CEL(request.headers['x'].size())% %DURATION%\n", "3 4", "CEL(request.headers['x'].size())=3", false},
		{"%REQUEST_HEADER(:path)%\n", "/a b", "REQ(:PATH)=/a REQUEST_HEADER(:PATH)=/a", false},
		{"", "", "", false},
		{"static\n", "static", "", false},
		{"%DURATION%\r\n", "5\r\n", "DURATION=5", false},
		{"%DURATION%\r\n", "5", "DURATION=5", false},
	} {
		f := compileText(t, test.format)
		l, ok := f.Parse(test.line)
		if test.line == "a-5-" {
			if ok {
				t.Errorf("%q took %q", test.format, test.line)
			}
			continue
		}
		if !ok {
			t.Errorf("%q is not in %q", test.line, test.format)
			continue
		}
		if l.Ambiguous != test.ambiguous {
			t.Errorf("%q in %q: ambiguous %t, values %q", test.line, test.format, l.Ambiguous, l.values)
		}
		for pair := range strings.FieldsSeq(test.fields) {
			op, want, _ := strings.Cut(pair, "=")
			if got, _ := l.Field(op); strings.TrimSpace(got) != want && got != want && !strings.HasPrefix(got, want+" ") {
				t.Errorf("%q in %q: %s is %q, want %q", test.line, test.format, op, got, want)
			}
		}
	}
}

func TestStatNameOfCluster(t *testing.T) {
	l, ok := compileText(t, "%UPSTREAM_CLUSTER%\n").Parse("outbound|80||a;")
	if !ok || l.UpstreamCluster != "outbound|80||a" {
		t.Errorf("cluster %q, %t", l.UpstreamCluster, ok)
	}
	l, _ = compileText(t, "%UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW%\n").Parse("alias; outbound|80||a")
	if l.UpstreamCluster != "outbound|80||a" {
		t.Errorf("cluster %q, want the raw name", l.UpstreamCluster)
	}
}

func TestParseAny(t *testing.T) {
	istio := compileText(t, IstioDefault)
	short := compileText(t, "up %UPSTREAM_HOST%\n")
	wide := compileText(t, "%REQ(A)% %UPSTREAM_HOST%\n")
	if l, ok := ParseAny("up 127.0.0.1:28090", istio, short); !ok || l.Ambiguous || l.Format() != short {
		t.Errorf("one format: %+v, %t", l, ok)
	}
	l, ok := ParseAny("up 127.0.0.1:28090", istio, wide, short)
	if !ok || !l.Ambiguous || l.Format() != wide || l.Sure("REQ(A)") || !l.Sure("UPSTREAM_HOST") {
		t.Errorf("two formats: %+v, %t", l, ok)
	}
	if l, ok := ParseAny("up 127.0.0.1:28090", short, short); !ok || l.Ambiguous {
		t.Errorf("the same twice: %+v, %t", l, ok)
	}
	if _, ok := ParseAny("nothing", istio, short); ok {
		t.Error("no format: parsed")
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1:80":             "10.0.0.1:80",
		"[::1]:80":                "[::1]:80",
		"[::ffff:10.0.0.1]:80":    "10.0.0.1:80",
		"[fe80::1%eth0]:80":       "[fe80::1%eth0]:80",
		"tcp://10.0.2.1:80":       "10.0.2.1:80",
		"-":                       "",
		"":                        "",
		"/var/run/x.sock":         "",
		"envoy://inside/10.0.0.1": "",
		"mongo.lab:27018":         "",
		"10.0.0.1":                "",
		"10.0.0.1:99999":          "",
	} {
		got, ok := AddrPort(text)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("AddrPort(%q) = %s, %t, want %q", text, got, ok, want)
		}
	}
	l := Line{UpstreamHost: "10.0.0.1:1", UpstreamLocal: "10.0.0.2:2", DownstreamLocal: "10.0.0.3:3", DownstreamRemote: "10.0.0.4:4"}
	for i, get := range []func() (string, bool){
		func() (string, bool) { a, ok := l.UpstreamHostAddr(); return a.String(), ok },
		func() (string, bool) { a, ok := l.UpstreamLocalAddr(); return a.String(), ok },
		func() (string, bool) { a, ok := l.DownstreamLocalAddr(); return a.String(), ok },
		func() (string, bool) { a, ok := l.DownstreamRemoteAddr(); return a.String(), ok },
	} {
		n := string(rune('1' + i))
		if got, ok := get(); !ok || got != "10.0.0."+n+":"+n {
			t.Errorf("address %d is %s, %t", i, got, ok)
		}
	}
	if !(Line{Flags: []string{"UF", "URX"}}).HasFlag("URX") || (Line{}).HasFlag("UF") {
		t.Error("HasFlag is wrong")
	}
}
