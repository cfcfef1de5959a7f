package accesslog

import "testing"

const (
	httpLine = `[2026-08-01T15:16:51.060Z] "GET /api/v1/products/0?probe=7f3a-0012 HTTP/1.1" 200 - via_upstream - "-" 0 1587 23 22 "10.244.0.1" "Mozilla/5.0 (X11; Linux x86_64) meshproof/7f3a" "96fde9b2-57a6-43d5-a22a-a88341826b3b" "bookinfo.apps.lab" "10.244.0.22:9080" outbound|9080||productpage.bookinfo.svc.cluster.local 10.244.0.13:47928 10.244.0.13:8080 10.244.0.1:56490 - default`
	tcpLine  = `[2026-08-01T00:38:16.510Z] "- - -" 0 - - - "-" 2576 3397 42 - "-" "-" "-" "-" "10.244.200.12:27018" outbound|27018||my-mongo.tcp.svc 10.244.0.13:47928 10.244.0.13:15666 10.244.0.22:56490 - -`
	ownLine  = `[2026-08-01 15:16:51.015][28733][warning][main] [source/server/server.cc:1059] There is no configured limit to the number of allowed active downstream connections.`
	jsonLine = `{"authority":"bookinfo.apps.lab","bytes_received":0,"bytes_sent":1587,"connection_termination_details":null,"downstream_local_address":"10.244.0.13:8080","downstream_remote_address":"10.244.0.1:56490","duration":23,"method":"GET","path":"/api/v1/products/0?probe=7f3a-0012","protocol":"HTTP/1.1","request_id":"96fde9b2-57a6-43d5-a22a-a88341826b3b","requested_server_name":null,"response_code":200,"response_code_details":"via_upstream","response_flags":"-","route_name":"default","start_time":"2026-08-01T15:16:51.060Z","upstream_cluster":"outbound|9080||productpage.bookinfo.svc.cluster.local","upstream_host":"10.244.0.22:9080","upstream_local_address":"10.244.0.13:47928","upstream_service_time":"22","upstream_transport_failure_reason":null,"user_agent":"Mozilla/5.0 (X11; Linux x86_64) meshproof/7f3a","x_forwarded_for":"10.244.0.1"}`
)

// istioJSON is Istio's default JSON format.
const istioJSON = `{"start_time":"%START_TIME%","route_name":"%ROUTE_NAME%","method":"%REQ(:METHOD)%","path":"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%","protocol":"%PROTOCOL%","response_code":"%RESPONSE_CODE%","response_flags":"%RESPONSE_FLAGS%","response_code_details":"%RESPONSE_CODE_DETAILS%","connection_termination_details":"%CONNECTION_TERMINATION_DETAILS%","bytes_received":"%BYTES_RECEIVED%","bytes_sent":"%BYTES_SENT%","duration":"%DURATION%","upstream_service_time":"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%","x_forwarded_for":"%REQ(X-FORWARDED-FOR)%","user_agent":"%REQ(USER-AGENT)%","request_id":"%REQ(X-REQUEST-ID)%","authority":"%REQ(:AUTHORITY)%","upstream_host":"%UPSTREAM_HOST%","upstream_cluster":"%UPSTREAM_CLUSTER_RAW%","upstream_local_address":"%UPSTREAM_LOCAL_ADDRESS%","downstream_local_address":"%DOWNSTREAM_LOCAL_ADDRESS%","downstream_remote_address":"%DOWNSTREAM_REMOTE_ADDRESS%","requested_server_name":"%REQUESTED_SERVER_NAME%","upstream_transport_failure_reason":"%UPSTREAM_TRANSPORT_FAILURE_REASON%"}`

func BenchmarkParse(b *testing.B) {
	text := compileText(b, IstioDefault)
	object, err := CompileJSON([]byte(istioJSON))
	if err != nil {
		b.Fatal(err)
	}
	for _, test := range []struct {
		name string
		f    *Format
		line string
		ok   bool
	}{
		{"http", text, httpLine, true},
		{"tcp", text, tcpLine, true},
		{"otherLine", text, ownLine, false},
		{"ambiguous", text, `[2026-08-01T15:16:11.703Z] "GET /amb HTTP/1.1" 404 NR route_not_found - "-" 0 0 0 - "-" "a" "b" "q" "r" "reviews.lab" "-" - - 127.0.0.1:28080 127.0.0.1:57722 - -`, true},
		{"json", object, jsonLine, true},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(test.line)))
			for b.Loop() {
				if _, ok := test.f.Parse(test.line); ok != test.ok {
					b.Fatalf("parsed %t", ok)
				}
			}
		})
	}
}
