package accesslog

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Lines that the lab's HAProxy has written.
const (
	plainLine  = `{"time":1795377954.232,"client":"10.244.0.1:40790","frontend":"public","handshakeMilliseconds":0,"idleMilliseconds":1002,"sni":"-","method":"GET","host":"echo-default.apps.mesh.lab","url":"\/n1?q=1","userAgent":"-","status":200,"responseMilliseconds":1,"milliseconds":3,"backend":"be_edge_http:default:echo","server":"ept:echo:web:10.244.0.1:19001","serverAddress":"10.244.0.1:19001","source":"10.244.0.3:33346","connectMilliseconds":0,"retries":"0","termination":"--","bytesSent":388,"bytesReceived":88}`
	nobodyLine = `{"time":1795377953.451,"client":"10.244.0.1:40780","frontend":"fe_sni","handshakeMilliseconds":4,"idleMilliseconds":0,"sni":"shop.apps.mesh.lab","method":"GET","host":"10.244.200.254","url":"\/","userAgent":"x\"y\\z","status":503,"responseMilliseconds":-1,"milliseconds":0,"backend":"openshift_default","server":"<NOSRV>","serverAddress":"-:-","source":"-:-","connectMilliseconds":-1,"retries":"0","termination":"SC","bytesSent":302,"bytesReceived":98}`
	passedLine = `{"time":1795377957.298,"client":"10.244.0.1:55640","frontend":"public_ssl","sni":"pass-default.apps.mesh.lab","milliseconds":4,"backend":"be_tcp:default:pass","server":"ept:echo:web:10.244.0.1:19001","serverAddress":"10.244.0.1:19001","source":"10.244.0.3:33358","connectMilliseconds":0,"retries":"+1","termination":"CD","bytesSent":465,"bytesReceived":517}`
	failedLine = `{"time":1795377957.316,"client":"10.244.0.1:55646","frontend":"fe_sni","sni":"echo-default.apps.mesh.lab","error":"SSL handshake failure","tlsError":"error:0A000418:SSL routines::tlsv1 alert unknown ca"}`
)

func TestParse(t *testing.T) {
	at := func(clock string) time.Time {
		parsed, err := time.Parse("15:04:05.000", clock)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.AddDate(2026, 10, 21)
	}
	for line, want := range map[string]Entry{
		plainLine: {
			Time: at("20:05:55.234"), Client: "10.244.0.1:40790", Frontend: "public", Backend: "be_edge_http:default:echo", Server: "ept:echo:web:10.244.0.1:19001", ServerAddress: "10.244.0.1:19001",
			Source: "10.244.0.3:33346", Method: "GET", Host: "echo-default.apps.mesh.lab", URL: "/n1?q=1", Status: 200, ResponseMilliseconds: 1, Milliseconds: 3, Retries: "0", BytesSent: 388, BytesReceived: 88,
		},
		nobodyLine: {
			Time: at("20:05:53.455"), Client: "10.244.0.1:40780", Frontend: "fe_sni", Backend: "openshift_default", ServerName: "shop.apps.mesh.lab", Method: "GET", Host: "10.244.200.254", URL: "/", UserAgent: `x"y\z`,
			Status: 503, ResponseMilliseconds: -1, ConnectMilliseconds: -1, Retries: "0", Termination: "SC", BytesSent: 302, BytesReceived: 98,
		},
		passedLine: {
			Time: at("20:05:57.298"), Client: "10.244.0.1:55640", Frontend: "public_ssl", Backend: "be_tcp:default:pass", Server: "ept:echo:web:10.244.0.1:19001", ServerAddress: "10.244.0.1:19001",
			Source: "10.244.0.3:33358", ServerName: "pass-default.apps.mesh.lab", Milliseconds: 4, Retries: "+1", Termination: "CD", BytesSent: 465, BytesReceived: 517,
		},
		failedLine: {
			Time: at("20:05:57.316"), Client: "10.244.0.1:55646", Frontend: "fe_sni", ServerName: "echo-default.apps.mesh.lab", Error: "SSL handshake failure", TLSError: "error:0A000418:SSL routines::tlsv1 alert unknown ca",
		},
	} {
		got, err := Parse(line)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s\nerror %v (-want +got):\n%s", line, err, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{"", "Proxy public stopped (cumulated conns: FE: 1, BE: 0).", plainLine[:len(plainLine)-9], "[]"} {
		if entry, err := Parse(line); err == nil || entry != (Entry{}) {
			t.Errorf("%q is %+v", line, entry)
		}
	}
}

func TestRoute(t *testing.T) {
	for backend, want := range map[string]string{"be_edge_http:shop:web": "shop/web true", "be_tcp:a:b": "a/b true", "openshift_default": "/ false", "be_sni": "/ false", "": "/ false"} {
		namespace, name, ok := Entry{Backend: backend}.Route()
		got := namespace + "/" + name + " false"
		if ok {
			got = namespace + "/" + name + " true"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", backend, got, want)
		}
	}
}

// Every field of the formats is one of Entry, or of its time.
func TestFormatsAreParsed(t *testing.T) {
	known := map[string]bool{"time": true, "handshakeMilliseconds": true, "idleMilliseconds": true}
	for _, line := range []string{plainLine, passedLine, failedLine} {
		for part := range strings.SplitSeq(line[1:], `,"`) {
			name, _, _ := strings.Cut(strings.TrimPrefix(part, `"`), `"`)
			known[name] = true
		}
	}
	for _, format := range []string{HTTPFormat, TCPFormat, ErrorFormat} {
		for part := range strings.SplitSeq(format[1:], `,"`) {
			if name, _, _ := strings.Cut(strings.TrimPrefix(part, `"`), `"`); !known[name] {
				t.Errorf("%q is in a format and in no line of this test", name)
			}
		}
	}
}
