package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
)

// stdout is a log of requests on the proxy's standard output.
func stdout(format *accesslog.Format) accesslog.Sink {
	return accesslog.Sink{Kind: accesslog.HTTP, Provider: "file", Path: "/dev/stdout", Readable: true, Format: format}
}

// logsOf are the logs of a proxy with one filter chain, which writes each request in each of these formats.
func logsOf(t *testing.T, formats ...string) accessLogs {
	t.Helper()
	var sinks []accesslog.Sink
	for _, format := range formats {
		sinks = append(sinks, stdout(compile(t, format)))
	}
	logs, _ := takeLogs("apps/page-1", sinks)
	return logs
}

func TestTakeLogs(t *testing.T) {
	full := compile(t, accesslog.IstioDefault)
	without := func(operators ...string) *accesslog.Format {
		text := accesslog.IstioDefault
		for _, operator := range operators {
			if !strings.Contains(text, operator) {
				t.Fatalf("Istio's format has no %s", operator)
			}
			text = strings.ReplaceAll(text, operator, "x")
		}
		return compile(t, text)
	}
	at := func(chain int, sink accesslog.Sink) accesslog.Sink {
		sink.Chain = chain
		return sink
	}
	filtered, elsewhere, listener := stdout(full), stdout(full), stdout(full)
	filtered.Filter = &accesslog.Filter{Text: "response.code >= 500"}
	elsewhere.Path = "/var/log/access.log"
	listener.Kind = accesslog.Listener
	for name, test := range map[string]struct {
		sinks []accesslog.Sink
		// why and remedy are parts of the gap; why is empty for none.
		why, remedy string
		formats     int
		// several is set where a chain writes more than one line for a request.
		several bool
	}{
		"Istio's default, of many chains": {sinks: []accesslog.Sink{stdout(full), at(1, stdout(full)), at(2, stdout(compile(t, accesslog.IstioDefault)))}, formats: 1},
		"two formats of one chain":        {sinks: []accesslog.Sink{stdout(full), stdout(compile(t, "again "+accesslog.IstioDefault))}, formats: 2, several: true},
		"two formats of two chains":       {sinks: []accesslog.Sink{stdout(full), at(1, stdout(compile(t, "again "+accesslog.IstioDefault)))}, formats: 2},
		"the operators' other names": {formats: 1, sinks: []accesslog.Sink{stdout(compile(t, strings.NewReplacer(
			"%UPSTREAM_CLUSTER_RAW%", "%UPSTREAM_CLUSTER%", "%UPSTREAM_HOST%", "%UPSTREAM_REMOTE_ADDRESS%",
			"%DOWNSTREAM_REMOTE_ADDRESS%", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "%REQ(", "%REQUEST_HEADER(").Replace(accesslog.IstioDefault)))}},
		"no sink": {why: "proxy apps/page-1 writes no access log", remedy: "Telemetry that switches on accessLogging"},
		"a sink elsewhere": {
			sinks: []accesslog.Sink{elsewhere, {Kind: accesslog.HTTP, Provider: "grpc", Problem: "it goes to a service"}},
			why:   "proxy apps/page-1 sends its access log elsewhere than to its standard output", remedy: "/dev/stdout",
		},
		"only a listener's own log": {sinks: []accesslog.Sink{listener}, why: "elsewhere", remedy: "/dev/stdout"},
		"a filter": {
			sinks: []accesslog.Sink{stdout(full), at(1, filtered)}, formats: 1,
			why: "writes only some access-log lines (response.code >= 500)", remedy: "without a filter",
		},
		"a filter, and the same without it": {sinks: []accesslog.Sink{filtered, stdout(full)}, formats: 1, several: true},
		"no cluster":                        {sinks: []accesslog.Sink{stdout(without("%UPSTREAM_CLUSTER_RAW%"))}, formats: 1, why: "lacks %UPSTREAM_CLUSTER%", remedy: "Istio's default format"},
		"no upstream host":                  {sinks: []accesslog.Sink{stdout(without("%UPSTREAM_HOST%"))}, formats: 1, why: "lacks %UPSTREAM_HOST%", remedy: "Istio's default format"},
		"no downstream":                     {sinks: []accesslog.Sink{stdout(without("%DOWNSTREAM_REMOTE_ADDRESS%"))}, formats: 1, why: "lacks %DOWNSTREAM_REMOTE_ADDRESS%", remedy: "Istio's default format"},
		"no local address":                  {sinks: []accesslog.Sink{stdout(without("%DOWNSTREAM_LOCAL_ADDRESS%"))}, formats: 1, why: "lacks %DOWNSTREAM_LOCAL_ADDRESS%", remedy: "Istio's default format"},
		"no request ID":                     {sinks: []accesslog.Sink{stdout(without("%REQ(X-REQUEST-ID)%"))}, formats: 1, why: "lacks %REQ(X-REQUEST-ID)%", remedy: "Istio's default format"},
		"no start time":                     {sinks: []accesslog.Sink{stdout(without("[%START_TIME%]"))}, formats: 1, why: "lacks %START_TIME%", remedy: "Istio's default format"},
		"no flags":                          {sinks: []accesslog.Sink{stdout(without("%RESPONSE_FLAGS%"))}, formats: 1, why: "lacks %RESPONSE_FLAGS%", remedy: "Istio's default format"},
		"no User-Agent":                     {sinks: []accesslog.Sink{stdout(without("%REQ(USER-AGENT)%"))}, formats: 1},
		"no path":                           {sinks: []accesslog.Sink{stdout(without("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"))}, formats: 1},
		"nothing of identity":               {sinks: []accesslog.Sink{stdout(without("%REQ(USER-AGENT)%", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"))}, formats: 1, why: "lacks %REQ(:PATH)%", remedy: "Istio's default format"},
		"one format of two chains":          {sinks: []accesslog.Sink{stdout(full), at(1, stdout(without("%UPSTREAM_HOST%")))}, formats: 2, why: "lacks %UPSTREAM_HOST%", remedy: "add %UPSTREAM_HOST%"},
		"one format of one chain":           {sinks: []accesslog.Sink{stdout(without("%UPSTREAM_HOST%")), stdout(full)}, formats: 2, several: true},
		"one that lacks something, and one with a filter": {
			sinks: []accesslog.Sink{filtered, stdout(without("%UPSTREAM_HOST%"))}, formats: 2, several: true, why: "lacks %UPSTREAM_HOST%", remedy: "add %UPSTREAM_HOST%",
		},
		"several lacks at once": {sinks: []accesslog.Sink{stdout(without("%UPSTREAM_HOST%", "%UPSTREAM_LOCAL_ADDRESS%"))}, formats: 1, why: "lacks %UPSTREAM_HOST%, %UPSTREAM_LOCAL_ADDRESS%", remedy: "Istio's default format"},
	} {
		t.Run(name, func(t *testing.T) {
			logs, gap := takeLogs("apps/page-1", test.sinks)
			switch {
			case gap == nil && test.why != "":
				t.Errorf("no gap, want one that says %q", test.why)
			case gap != nil && (test.why == "" || !strings.Contains(gap.Why, test.why) || !strings.Contains(gap.Remedy, test.remedy)):
				t.Errorf("gap %q, remedy %q; want %q, %q", gap.Why, gap.Remedy, test.why, test.remedy)
			}
			if len(logs.formats) != test.formats || logs.several != test.several {
				t.Errorf("%d formats, several logs %t; want %d, %t", len(logs.formats), logs.several, test.formats, test.several)
			}
		})
	}
}

func TestLogsRefusals(t *testing.T) {
	request := stdout(compile(t, accesslog.IstioDefault))
	own, elsewhere := request, request
	own.Kind, elsewhere.Kind, elsewhere.Path = accesslog.Listener, accesslog.Listener, "/var/log/access.log"
	for name, test := range map[string]struct {
		sinks []accesslog.Sink
		want  bool
	}{
		"a listener's own log":      {[]accesslog.Sink{request, own}, true},
		"logs of requests only":     {[]accesslog.Sink{request}, false},
		"a listener's own, to disk": {[]accesslog.Sink{request, elsewhere}, false},
		"no log":                    {nil, false},
	} {
		if got := logsRefusals(test.sinks); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

// short is another format that has all that is needed, and brief one that lacks a request ID. tell writes a request in it.
const (
	short = "%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %RESPONSE_CODE% %REQ(X-REQUEST-ID)% %PATH% %RESPONSE_FLAGS% %START_TIME%\n"
	brief = "%START_TIME% %RESPONSE_CODE% %REQ(X-REQUEST-ID)%\n"
)

func (l logged) inShort() string {
	return fmt.Sprintf("10.0.0.7:9080 %s 10.0.0.5:41000 10.0.0.5:80 10.0.0.8:50000 200 %s %s - 2026-11-22T16:04:%02d.000Z", l.cluster, l.id, l.path, l.second)
}

func (l logged) inBrief() string {
	return fmt.Sprintf("2026-11-22T16:04:%02d.000Z 200 %s", l.second, l.id)
}

// TestOnceCountsRequestsNotLines: however many logs a proxy has, one request is one line, and two are two.
func TestOnceCountsRequestsNotLines(t *testing.T) {
	one, other := logged{path: "/a", id: "1", cluster: "outbound|9080||page.lab"}, logged{path: "/a", id: "2", cluster: "outbound|9080||page.lab", second: 1}
	again := one
	again.second = 2
	def := accesslog.IstioDefault
	for name, test := range map[string]struct {
		formats []string
		lines   []string
		// want are the request IDs of what is left.
		want []string
	}{
		"one log":                           {[]string{def}, []string{one.text(), other.text()}, []string{"1", "2"}},
		"one log, a line twice":             {[]string{def}, []string{one.text(), one.text()}, []string{"1", "1"}},
		"the same log twice":                {[]string{def, def}, []string{one.text(), one.text(), other.text(), other.text()}, []string{"1", "2"}},
		"the same twice, one still to come": {[]string{def, def}, []string{one.text(), one.text(), other.text()}, []string{"1", "2"}},
		"the same twice, a request twice":   {[]string{def, def}, []string{one.text(), one.text(), again.text(), again.text()}, []string{"1", "1"}},
		"the same twice, a line four times": {[]string{def, def}, []string{one.text(), one.text(), one.text(), one.text()}, []string{"1", "1"}},
		"two formats":                       {[]string{def, short}, []string{one.text(), one.inShort(), other.inShort(), other.text()}, []string{"1", "2"}},
		"two formats, a request twice":      {[]string{def, short}, []string{one.text(), one.inShort(), again.inShort(), again.text()}, []string{"1", "1"}},
		"two formats, one still to come":    {[]string{def, short}, []string{one.inShort(), again.inShort(), one.text()}, []string{"1", "1"}},
		"two formats, one of them twice":    {[]string{def, short, short}, []string{one.inShort(), one.text(), one.inShort(), other.inShort(), other.inShort(), other.text()}, []string{"1", "2"}},
		"a format that lacks addresses":     {[]string{brief, def}, []string{one.inBrief(), one.text(), other.inBrief(), other.text()}, []string{"1", "2"}},
		"nothing but such a format, twice":  {[]string{brief, brief}, []string{one.inBrief(), one.inBrief()}, []string{"1"}},
	} {
		t.Run(name, func(t *testing.T) {
			logs := logsOf(t, test.formats...)
			var lines []Line
			for _, text := range test.lines {
				line, ok := logs.parse(text, nil)
				if !ok {
					t.Fatalf("%q is in none of the formats", text)
				}
				lines = append(lines, Line{Line: line, Pod: "page-1", Raw: text})
			}
			var got []string
			for _, line := range logs.once(refer(lines)) {
				got = append(got, line.RequestID)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// TestALineOfTwoReadingsIsNotRead: what one log wrote must not be taken for what another one would have written.
func TestALineOfTwoReadingsIsNotRead(t *testing.T) {
	logs := logsOf(t, "%PROTOCOL% %RESPONSE_CODE%\n", "%RESPONSE_FLAGS% %RESPONSE_CODE%\n")
	if line, ok := logs.parse("- 200", nil); ok {
		t.Errorf("read as %+v", line)
	}
}

// TestALineInAFormatOfBefore: while a mutant replaces the log's format, connections of before are logged as before.
func TestALineInAFormatOfBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "formats.json")
	judged := func(format *accesslog.Format) *Observer {
		s := &source{}
		s.logs, _ = takeLogs("apps/page-1", []accesslog.Sink{stdout(format)})
		o := &Observer{sources: []*source{s}}
		if err := o.Remember(file); err != nil {
			t.Fatal(err)
		}
		return o
	}
	object, err := accesslog.CompileJSON([]byte(`{"id": "%REQ(X-REQUEST-ID)%", "code": "%RESPONSE_CODE%"}`))
	if err != nil {
		t.Fatal(err)
	}
	const line = `{"id":"abc","code":200}`
	text := compile(t, "%REQ(X-REQUEST-ID)% | %RESPONSE_CODE%\n")
	first := judged(text)
	if parsed, ok := first.sources[0].logs.parse(line, first.before); ok {
		t.Errorf("what was never configured is read as %+v", parsed)
	}
	judged(object)
	later := judged(text)
	if parsed, ok := later.sources[0].logs.parse(line, later.before); !ok || parsed.RequestID != "abc" {
		t.Errorf("a line in the format of before is read as %+v, %t", parsed, ok)
	}
	if err := os.WriteFile(file, []byte("no list"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := later.Remember(file); err == nil {
		t.Error("a file that holds no formats is taken")
	}
}
