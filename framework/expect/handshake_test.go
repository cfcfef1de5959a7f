package expect

import (
	"testing"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
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
