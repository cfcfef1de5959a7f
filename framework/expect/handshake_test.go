package expect

import (
	"testing"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/pattern"
)

// recorded is a flow with one record of the server.
func recorded(change func(*record.Request)) []evidence.Flow {
	r := evidence.Record{Hop: "server", Request: record.Request{Peer: "10.0.0.7:4000", TLS: &record.TLS{Version: "TLS 1.3", ServerName: "db.lab"}}}
	change(&r.Request)
	return []evidence.Flow{{Records: []evidence.Record{r}}}
}

func TestTakeTLS(t *testing.T) {
	judgeAll(t, func() types.GomegaMatcher { return TakeTLS("server", "db.lab") }, map[string]verdictCase{
		"as wanted":    {flows: recorded(func(*record.Request) {}), outcome: evidence.True},
		"plain text":   {flows: recorded(func(r *record.Request) { r.TLS = nil }), outcome: evidence.False, cause: pattern.PlainText, detail: "came to server in plain text"},
		"another name": {flows: recorded(func(r *record.Request) { r.TLS.ServerName = "" }), outcome: evidence.False, cause: pattern.WrongServerName, detail: `asked server for the server name ""`},
		"no record":    {flows: []evidence.Flow{{}}, outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no record of the application server"},
	})
}

func TestBeFrom(t *testing.T) {
	judgeAll(t, func() types.GomegaMatcher { return BeFrom("server", "the gateway", []string{"10.0.0.7", "10.0.0.8"}) }, map[string]verdictCase{
		"its peer": {flows: recorded(func(*record.Request) {}), outcome: evidence.True},
		"behind a router": {flows: recorded(func(r *record.Request) {
			r.TLS, r.Peer, r.Header = nil, "10.0.0.3:1", map[string]string{"X-Forwarded-For": "10.0.0.1,10.0.0.8"}
		}), outcome: evidence.True},
		"another peer": {flows: recorded(func(r *record.Request) { r.Peer = "10.0.0.9:1" }), outcome: evidence.False, cause: pattern.WrongPeer, detail: "came to server from 10.0.0.9, which is not the gateway ([10.0.0.7 10.0.0.8])"},
		"no record":    {flows: []evidence.Flow{{}}, outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no record of the application server"},
	})
}

func TestEndHandshake(t *testing.T) {
	handshake := func(change func(*evidence.Handshake)) evidence.Handshake {
		h := evidence.Handshake{Hop: "server", Handshake: record.Handshake{
			Time: noon.Add(time.Second), Peer: "10.0.0.7:4000", TLS: record.TLS{ServerName: "db.lab"}, Error: "remote error: tls: unknown certificate authority",
		}}
		change(&h)
		return h
	}
	given := handshake(func(*evidence.Handshake) {})
	for name, test := range map[string]struct {
		handshakes []evidence.Handshake
		controls   []evidence.Flow
		outcome    evidence.Outcome
		cause      pattern.Cause
	}{
		"given up":              {[]evidence.Handshake{given, given}, answered(200), evidence.True, ""},
		"completed once":        {[]evidence.Handshake{given, handshake(func(h *evidence.Handshake) { h.Error = "" })}, answered(200), evidence.False, pattern.NotRefused},
		"none":                  {nil, answered(200), evidence.Unknown, pattern.EvidenceMissing},
		"of another peer":       {[]evidence.Handshake{handshake(func(h *evidence.Handshake) { h.Peer = "10.0.0.9:1" })}, answered(200), evidence.Unknown, pattern.EvidenceMissing},
		"for another name":      {[]evidence.Handshake{handshake(func(h *evidence.Handshake) { h.TLS.ServerName = "x" })}, answered(200), evidence.Unknown, pattern.EvidenceMissing},
		"at another hop":        {[]evidence.Handshake{handshake(func(h *evidence.Handshake) { h.Hop = "x" })}, answered(200), evidence.Unknown, pattern.EvidenceMissing},
		"at another time":       {[]evidence.Handshake{handshake(func(h *evidence.Handshake) { h.Time = noon.Add(time.Hour) })}, answered(200), evidence.Unknown, pattern.EvidenceMissing},
		"while a control fails": {[]evidence.Handshake{given}, answered(503), evidence.Unknown, pattern.ControlFailed},
	} {
		t.Run(name, func(t *testing.T) {
			flows := evidence.Flows{List: over(), Controls: test.controls, Handshakes: test.handshakes}
			got, _ := judgeOnce(t, EndHandshake(Handshakes{Hop: "server", Name: "db.lab", Who: "the gateway", Addresses: []string{"10.0.0.7"}}), flows)
			if got.Outcome != test.outcome || got.Cause != string(test.cause) {
				t.Errorf("%s, cause %q: %s; want %s, %q", got.Outcome, got.Cause, got.Detail, test.outcome, test.cause)
			}
		})
	}
}

// TestRefuseCertificate reads the lines of Envoy 1.36, which tell no reason, and of Envoy 1.40, which do.
func TestRefuseCertificate(t *testing.T) {
	format, err := accesslog.CompileText(accesslog.IstioDefault)
	if err != nil {
		t.Fatal(err)
	}
	const (
		untold = `TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end`
		told   = `TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end`
	)
	line := func(reason string) evidence.Line {
		text := `[2026-11-27T13:09:31.843Z] "GET /?meshproof=mp-EH6-fd766f3abac9-1 HTTP/1.1" 503 URX,UF upstream_reset_before_response_started{remote_connection_failure|` + reason + `} - "` + reason + `" 0 239 93 - "10.244.0.7" "meshproof/mp-EH6-fd766f3abac9-1" "db57d496-aadd-4cc8-9309-81f26ea4ce85" "db.lab" "10.244.200.1:443" outbound|443|nginx-https|db.lab - 10.244.0.5:8080 10.244.0.7:43446 db.lab -`
		parsed, ok := format.Parse(text)
		if !ok {
			t.Fatalf("the format does not read %s", text)
		}
		return evidence.Line{Line: parsed, Hop: "gateway"}
	}
	alert := func(text string) []evidence.Handshake {
		return []evidence.Handshake{{Hop: "server", Handshake: record.Handshake{
			Time: noon.Add(time.Second), Peer: "10.0.0.7:4000", TLS: record.TLS{ServerName: "db.lab"}, Error: text,
		}}}
	}
	const expiry, authority, name = "remote error: tls: expired certificate", "remote error: tls: unknown certificate authority", "remote error: tls: unknown certificate"
	for title, test := range map[string]struct {
		reason     string
		handshakes []evidence.Handshake
		claimed    pattern.Cause
		outcome    evidence.Outcome
		cause      pattern.Cause
	}{
		"the log tells it":                       {told, nil, pattern.ExpiredCertificate, evidence.True, ""},
		"the log tells another":                  {told, nil, pattern.WrongCertificateName, evidence.False, pattern.OtherRefusal},
		"the alert tells that it has expired":    {untold, alert(expiry), pattern.ExpiredCertificate, evidence.True, ""},
		"the alert tells of the authority":       {untold, alert(authority), pattern.UnknownAuthority, evidence.True, ""},
		"the alert tells of the name":            {untold, alert(name), pattern.WrongCertificateName, evidence.True, ""},
		"expired, and the authority was claimed": {untold, alert(expiry), pattern.UnknownAuthority, evidence.False, pattern.OtherRefusal},
		"the authority, and expiry was claimed":  {untold, alert(authority), pattern.ExpiredCertificate, evidence.False, pattern.OtherRefusal},
		"no alert":                               {untold, alert("EOF"), pattern.ExpiredCertificate, evidence.Unknown, pattern.EvidenceMissing},
		"no handshake":                           {untold, nil, pattern.ExpiredCertificate, evidence.Unknown, pattern.EvidenceMissing},
	} {
		t.Run(title, func(t *testing.T) {
			flows := evidence.Flows{List: lines(line(test.reason)), Controls: answered(200), Handshakes: test.handshakes}
			flows.List[0].Result.StartedAt, flows.List[0].Result.Duration = noon, time.Minute
			matcher := RefuseCertificate("gateway", test.claimed, Handshakes{Hop: "server", Name: "db.lab", Who: "the gateway", Addresses: []string{"10.0.0.7"}})
			got, _ := judgeOnce(t, matcher, flows)
			if got.Outcome != test.outcome || got.Cause != string(test.cause) {
				t.Errorf("%s, cause %q: %s; want %s, %q", got.Outcome, got.Cause, got.Detail, test.outcome, test.cause)
			}
		})
	}
	// Without the server's record only what an unknown authority looks like is left.
	bare := evidence.Flows{List: lines(line(untold)), Controls: answered(200)}
	if got, _ := judgeOnce(t, BeRefusedBy("gateway", pattern.UnknownAuthority), bare); got.Outcome != evidence.True {
		t.Errorf("an unknown authority: %s: %s", got.Outcome, got.Detail)
	}
	if got, _ := judgeOnce(t, BeRefusedBy("gateway", pattern.ExpiredCertificate), bare); got.Outcome != evidence.Unknown || got.Remedy == "" {
		t.Errorf("an expired certificate: %s: %s, remedy %q", got.Outcome, got.Detail, got.Remedy)
	}
}
