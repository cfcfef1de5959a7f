package accesslog

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/dynamic_listeners.json is the answer of an Envoy 1.40.0 with a small
// configuration of its own.
func TestDiscover(t *testing.T) {
	dump, err := os.ReadFile("testdata/dynamic_listeners.json")
	if err != nil {
		t.Fatal(err)
	}
	sinks, err := Discover(dump)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sinks {
		got = append(got, s.String())
		if s.Readable != (s.Format != nil) || s.Readable != (s.Problem == "") {
			t.Errorf("%s: readable %t, format %t, problem %q", s, s.Readable, s.Format != nil, s.Problem)
		}
	}
	const interim = ", also when a request begins, every 5s"
	want := []string{
		"listener 0.0.0.0_9080: http log to file /dev/stdout" + interim,
		"listener 0.0.0.0_9080: http log to file /dev/stdout, only if response.code >= 500" + interim,
		"listener 0.0.0.0_9080: http log to file /etc/lab/json.log" + interim,
		"listener 0.0.0.0_9080: http log to grpc" + interim + "; not readable here: it goes to a service behind cluster inside",
		"listener 0.0.0.0_9080: http log to opentelemetry" + interim + "; not readable here: it goes to a service behind cluster inside",
		"listener 0.0.0.0_9080: http log to stderr" + interim,
		"listener 0.0.0.0_9080: upstream log to file /dev/stdout",
		"listener 0.0.0.0_9080: listener log to file /dev/stdout, only if response_flags has NR",
		"listener 0.0.0.0_28443, chain api.lab: tcp log to file /etc/lab/tcp.log, also when the upstream is connected",
		"listener 0.0.0.0_28443, chain fallback: tcp log to file /etc/lab/tcp.log",
		"listener 0.0.0.0_28443: listener log to file /dev/stdout, only if response_flags has NR",
		"listener 0.0.0.0_28018: tcp log to file /etc/lab/tcp.log",
		"listener pipe: tcp log to file /etc/lab/tcp.log",
		"listener connect_originate: tcp log to file /etc/lab/tcp.log",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("sinks (-want +got):\n%s", diff)
	}
	if sinks[0].Path != "/dev/stdout" || sinks[5].Path != "/dev/stderr" || sinks[0].Kind != HTTP || sinks[8].Kind != TCP {
		t.Errorf("sinks %+v", sinks)
	}
	if sinks[6].Chain != 0 || sinks[7].Chain != NoChain || sinks[8].Chain != 0 || sinks[9].Chain != 1 || sinks[10].Chain != NoChain {
		t.Errorf("the places of the filter chains: %+v", sinks)
	}
	if sinks[0].Format.String() != IstioDefault || sinks[0].Format != sinks[8].Format {
		t.Error("the format is not Istio's default, or not compiled once")
	}
	if got := sinks[5].Format.String(); got != "%START_TIME% %PROTOCOL%\n" {
		t.Errorf("inline_bytes give %q", got)
	}
	if l, ok := sinks[2].Format.Parse(`{"bytes":5,"cl":"a","flags":"-","host":null,"lit":"plain 100%","missing":null,"multi":"GET -","n":"1.5","nested":{"code":200,"list":[1,"x",3]},"port":28080,"rt":"default","start":"2026-08-01T15:16:51.060Z","ua":"x"}`); !ok || l.ResponseCode != 200 {
		t.Errorf("the JSON format does not read its line: %+v, %t", l, ok)
	}
	if !strings.Contains(string(sinks[1].Filter.Raw), "ExpressionFilter") {
		t.Errorf("raw filter %s", sinks[1].Filter.Raw)
	}
}

// dumpOf is a dump with one listener whose TCP proxy has one log.
func dumpOf(log string) []byte {
	return []byte(`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ListenersConfigDump.StaticListener","listener":{"name":"l",
		"filter_chains":[{"filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","access_log":[` +
		log + `]}}]}]}}]}`)
}

func TestDiscoverFormats(t *testing.T) {
	const (
		file   = `"@type":"type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog","path":"/l"`
		stdout = `"@type":"type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"`
	)
	for config, want := range map[string]struct{ format, problem string }{
		file:                              {format: EnvoyDefault},
		stdout:                            {format: EnvoyDefault},
		file + `,"format":"%PROTOCOL%\n"`: {format: "%PROTOCOL%\n"},
		file + `,"format":""`:             {format: EnvoyDefault},
		file + `,"json_format":{"a":1}`:   {format: `{"a":1}`},
		file + `,"typed_json_format":{}`:  {format: `{}`},
		file + `,"log_format":{}`:         {problem: "states no format"},
		file + `,"log_format":{"text_format":"%PROTOCOL%\n","omit_empty_values":true}`:                 {format: "%PROTOCOL%\n"},
		file + `,"log_format":{"json_format":{"a":"%PROTOCOL%"}}`:                                      {format: `{"a":"%PROTOCOL%"}`},
		file + `,"log_format":{"text_format_source":{"filename":"/f"}}`:                                {problem: "in the proxy's file /f"},
		file + `,"log_format":{"text_format_source":{"environment_variable":"F"}}`:                     {problem: "in the proxy's environment variable F"},
		stdout + `,"log_format":{"text_format_source":{"inline_string":"%PROTOCOL%"}}`:                 {problem: "no line end"},
		stdout + `,"log_format":{"text_format":"%PROTOCOL%\n%DURATION%\n"}`:                            {problem: "several lines"},
		stdout + `,"log_format":{"text_format":"50%\n"}`:                                               {problem: "text format: byte 2"},
		`"@type":"type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig"`: {problem: "it goes to a service"},
		`"@type":"type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog"`:          {problem: "does not write a file"},
		`"x":1`: {problem: "has no type"},
	} {
		sinks, err := Discover(dumpOf(`{"name":"n","typed_config":{` + config + `}}`))
		if err != nil || len(sinks) != 1 {
			t.Errorf("%s: %d sinks, %v", config, len(sinks), err)
			continue
		}
		s := sinks[0]
		if s.Readable != (want.problem == "") || !strings.Contains(s.Problem, want.problem) {
			t.Errorf("%s: readable %t, problem %q, want %q", config, s.Readable, s.Problem, want.problem)
		}
		if s.Readable && s.Format.String() != want.format {
			t.Errorf("%s: format %q, want %q", config, s.Format, want.format)
		}
	}
}

func TestDiscoverElsewhere(t *testing.T) {
	const stdout = `{"name":"n","typed_config":{"@type":"x/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"}}`
	for name, test := range map[string]struct {
		filter string
		want   string
	}{
		"another network filter": {
			`"@type":"type.googleapis.com/envoy.extensions.filters.network.thrift_proxy.v3.ThriftProxy","access_log":[` + stdout + `]`,
			"listener l: ThriftProxy log to stdout",
		},
		"a filter that means a path": {`"@type":"type.googleapis.com/envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy","access_log":"/dev/stdout"`, ""},
		"a typed struct": {
			`"@type":"type.googleapis.com/xds.type.v3.TypedStruct","type_url":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","value":{"access_log":[` + stdout + `],"access_log_flush_interval":"60s"}`,
			"listener l: tcp log to stdout, also every 60s",
		},
		"no log": {`"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"`, ""},
	} {
		dump := `{"configs":[{"@type":"t/envoy.admin.v3.ListenersConfigDump.StaticListener","listener":{"name":"l","filter_chains":[{"filters":[{"name":"f","typed_config":{` +
			test.filter + `}}]}]}}]}`
		sinks, err := Discover([]byte(dump))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		for _, s := range sinks {
			got += s.String()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	const states = `{"configs":[{"@type":"t/envoy.admin.v3.ListenersConfigDump.DynamicListener","name":"l","warming_state":{"listener":{"name":"l","access_log":[` +
		stdout + `]}},"draining_state":{"listener":{"name":"l","access_log":[` + stdout + `]}}}]}`
	if sinks, err := Discover([]byte(states)); err != nil || len(sinks) != 0 {
		t.Errorf("warming and draining: %v, %v", sinks, err)
	}
}

func TestDiscoverErrors(t *testing.T) {
	for dump, want := range map[string]string{
		`no JSON`: "accesslog: envoy: configuration dump",
		string(dumpOf(`{"name":"n","typed_config":[]}`)):                                   `listener "l": filter chain 0 (""), filter "tcp": access log "n"`,
		string(dumpOf(`{"name":"n","typed_config":{"@type":"x/FileAccessLog","path":1}}`)): `access log "n", a FileAccessLog`,
		string(dumpOf(`1`)): `filter "tcp"`,
		`{"configs":[{"@type":"t/envoy.admin.v3.ListenersConfigDump.StaticListener","listener":{"name":"l","access_log":1}}]}`: `listener "l"`,
	} {
		if _, err := Discover([]byte(dump)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: error %v, want one with %s", dump, err, want)
		}
	}
}

func TestFilters(t *testing.T) {
	deep := `{"traceable_filter":{}}`
	for range 20 {
		deep = `{"and_filter":{"filters":[` + deep + `]}}`
	}
	for filter, want := range map[string]string{
		`{"status_code_filter":{"comparison":{"op":"GE","value":{"default_value":500,"runtime_key":"k"}}}}`:                                                      "response_code >= 500",
		`{"status_code_filter":{"comparison":{"value":{"runtime_key":"k"}}}}`:                                                                                    "response_code == 0",
		`{"duration_filter":{"comparison":{"op":"LE","value":{"default_value":1000}}}}`:                                                                          "duration <= 1000 ms",
		`{"duration_filter":{"comparison":{"op":"NEW","value":{"default_value":1}}}}`:                                                                            "duration NEW 1 ms",
		`{"or_filter":{"filters":[{"not_health_check_filter":{}},{"and_filter":{"filters":[{"traceable_filter":{}},{"runtime_filter":{"runtime_key":"k"}}]}}]}}`: "(not a health check or (traced and in the fraction of runtime key k))",
		`{"header_filter":{"header":{"name":"x-a","string_match":{"exact":"b"}}}}`:                                                                               `request header x-a, string_match {"exact":"b"}`,
		`{"response_flag_filter":{"flags":["UF","NR"]}}`:                                                                                                         "response_flags has UF or NR",
		`{"response_flag_filter":{}}`:                                                "any response flag",
		`{"grpc_status_filter":{"statuses":["OK"],"exclude":true}}`:                  "grpc_status is none of OK",
		`{"log_type_filter":{"types":["TcpConnectionEnd"]}}`:                         "access_log_type is TcpConnectionEnd",
		`{"extension_filter":{"name":"cel","typed_config":{"expression":"a == 1"}}}`: "a == 1",
		`{"extension_filter":{"name":"process_ratelimit","typed_config":{}}}`:        "extension process_ratelimit",
		`{"metadata_filter":{}}`:                                                     "metadata_filter",
		`{}`:                                                                         "an unknown filter",
		`7`:                                                                          "an unknown filter",
		deep:                                                                         strings.Repeat("(", 16) + "and_filter" + strings.Repeat(")", 16),
	} {
		sinks, err := Discover(dumpOf(`{"name":"n","filter":` + filter + `,"typed_config":{"@type":"x/StdoutAccessLog"}}`))
		if err != nil || len(sinks) != 1 || sinks[0].Filter == nil {
			t.Errorf("%s: %v, %v", filter, sinks, err)
			continue
		}
		if got := sinks[0].Filter.Text; got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", filter, got, want)
		}
	}
	sinks, err := Discover(dumpOf(`{"name":"n","filter":null,"typed_config":{"@type":"x/StdoutAccessLog"}}`))
	if err != nil || sinks[0].Filter != nil {
		t.Errorf("null: %v, %v", sinks, err)
	}
}
