package expect

import (
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// database is the cluster of the connections in these tests.
const database = "outbound|27017||mongodb.data.svc.cluster.local"

// noon is when the probes of these tests began; they took a second each.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// carried is the line of a connection that a hop carried, with its two ends there; change, if given, makes it another one.
func carried(hop, from, on string, change ...func(*evidence.Line)) evidence.Line {
	line := evidence.Line{Hop: hop, Pod: hop + "-1", Line: accesslog.Line{
		Start: noon, UpstreamCluster: database, UpstreamHost: "10.0.0.7:27017", DownstreamRemote: from, UpstreamLocal: on, BytesReceived: 5, BytesSent: 5,
	}}
	for _, apply := range change {
		apply(&line)
	}
	return line
}

// over is the flow of a probe that was sent at noon, with these lines.
func over(lines ...evidence.Line) []evidence.Flow {
	return []evidence.Flow{{Result: traffic.Result{StartedAt: noon, Duration: time.Second}, Lines: lines}}
}

func TestBeServed(t *testing.T) {
	flow := func(result traffic.Result) []evidence.Flow { return []evidence.Flow{{Result: result}} }
	stars := traffic.Probe{Request: traffic.Request{Serves: "stars"}}
	replies := func(texts ...string) *wire.DatabaseResponse { return &wire.DatabaseResponse{Replies: texts} }
	judgeAll(t, BeServed, map[string]verdictCase{
		"a page":                            {flows: flow(traffic.Result{Status: 200}), outcome: evidence.True},
		"a page with what it must have":     {flows: flow(traffic.Result{Probe: stars, Status: 200, Body: "five stars"}), outcome: evidence.True},
		"a page without it":                 {flows: flow(traffic.Result{Probe: stars, Status: 200, Body: "none"}), outcome: evidence.False, cause: pattern.WrongContent, detail: `got status 200 without "stars"`},
		"another status":                    {flows: flow(traffic.Result{Status: 503, Body: "no healthy upstream"}), outcome: evidence.False, cause: pattern.WrongStatus, detail: "got status 503: no healthy upstream"},
		"another status with what it needs": {flows: flow(traffic.Result{Probe: stars, Status: 500, Body: "stars"}), outcome: evidence.False, cause: pattern.WrongStatus},
		"no answer":                         {flows: flow(traffic.Result{Err: "EOF"}), outcome: evidence.False, cause: pattern.NotAnswered, detail: "got no answer: EOF"},
		"half a page":                       {flows: flow(traffic.Result{Status: 200, Err: "unexpected EOF"}), outcome: evidence.False, cause: pattern.NotAnswered},
		"replies":                           {flows: flow(traffic.Result{Database: replies("{}")}), outcome: evidence.True},
		"replies with what they must have":  {flows: flow(traffic.Result{Probe: stars, Database: replies("{}", "stars")}), outcome: evidence.True},
		"replies without it":                {flows: flow(traffic.Result{Probe: stars, Database: replies("{}")}), outcome: evidence.False, cause: pattern.WrongContent, detail: `got 1 replies of the database without "stars"`},
		"an error after a reply":            {flows: flow(traffic.Result{Err: "(NotFound)", Database: replies("{}")}), outcome: evidence.False, cause: pattern.NotAnswered, detail: "(NotFound)"},
	})
}

func TestConnectOnce(t *testing.T) {
	made := func(entries ...string) []evidence.Flow {
		flow := evidence.Flow{}
		for _, entry := range entries {
			hop, purpose, _ := strings.Cut(entry, " ")
			flow.Connections = append(flow.Connections, evidence.Connection{Hop: hop, Connection: record.Connection{Purpose: purpose}})
		}
		return []evidence.Flow{flow}
	}
	judgeAll(t, func() types.GomegaMatcher { return ConnectOnce("ratings") }, map[string]verdictCase{
		"once":                       {flows: made("ratings query"), outcome: evidence.True},
		"once, and what watches":     {flows: made("ratings monitor", "ratings query", "ratings monitor"), outcome: evidence.True},
		"once, and another hop too":  {flows: made("ratings query", "other query"), outcome: evidence.True},
		"twice":                      {flows: made("ratings query", "ratings query"), outcome: evidence.False, cause: pattern.Repeated, detail: "has 2 connections of the application ratings"},
		"only what watches":          {flows: made("ratings monitor"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no record of a connection of the application ratings"},
		"only another hop":           {flows: made("other query"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"nothing, for a known cause": {flows: made(), gaps: noLog("ratings"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
	})
}

func TestCarryInTurn(t *testing.T) {
	sidecar, gateway := carried("ratings", "10.0.0.6:1", "10.0.0.6:2"), carried("gateway", "10.0.0.6:2", "10.0.0.5:3")
	inbound := carried("mongodb", "10.0.0.5:3", "127.0.0.6:4", func(l *evidence.Line) { l.UpstreamCluster = "inbound|27017||" })
	request := at("gateway", cluster)
	judgeAll(t, func() types.GomegaMatcher { return CarryInTurn("ratings", "gateway", "mongodb") }, map[string]verdictCase{
		"each from the one before":           {flows: over(sidecar, gateway, inbound), outcome: evidence.True},
		"in another order of the lines":      {flows: over(inbound, gateway, sidecar), outcome: evidence.True},
		"a request's line is no connection":  {flows: over(sidecar, gateway, inbound, request), outcome: evidence.True},
		"only a request's line":              {flows: over(sidecar, request, inbound), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no connection in the access log of gateway"},
		"not the first":                      {flows: over(gateway, inbound), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no connection in the access log of ratings"},
		"not the last":                       {flows: over(sidecar, gateway), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no connection in the access log of mongodb"},
		"one twice":                          {flows: over(sidecar, gateway, gateway, inbound), outcome: evidence.False, cause: pattern.Repeated, detail: "has 2 connections in the access log of gateway"},
		"one past the one before":            {flows: over(sidecar, carried("gateway", "10.0.0.6:1", "10.0.0.5:3"), inbound), outcome: evidence.False, cause: pattern.Bypassed, detail: "came to gateway from 10.0.0.6:1, and ratings had connected from 10.0.0.6:2"},
		"under a translated port":            {flows: over(sidecar, carried("gateway", "10.0.0.6:9", "10.0.0.5:3", func(l *evidence.Line) { l.Before = "10.0.0.6:2" }), inbound), outcome: evidence.True},
		"a gap at one of them":               {flows: over(sidecar, gateway, inbound), gaps: noLog("gateway"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap at the last":                  {flows: over(sidecar, gateway), gaps: noLog("mongodb"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap elsewhere":                    {flows: over(sidecar, gateway, inbound), gaps: noLog("page"), outcome: evidence.True},
		"out and in at one hop are two":      {flows: over(sidecar, gateway, carried("gateway", "10.0.0.6:2", "10.0.0.5:3", func(l *evidence.Line) { l.UpstreamCluster = taken }), inbound), outcome: evidence.False, cause: pattern.Repeated},
		"a break shows before what is later": {flows: over(sidecar, carried("gateway", "10.0.0.8:9", "10.0.0.5:3")), outcome: evidence.False, cause: pattern.Bypassed},
	})
}

func TestMissingConnectionTellsOfATranslation(t *testing.T) {
	translated := carried("gateway", "10.0.0.1:7", "10.0.0.5:3")
	late := carried("gateway", "10.0.0.1:7", "10.0.0.5:3", func(l *evidence.Line) { l.Start = noon.Add(2 * time.Second) })
	refused := carried("gateway", "10.0.0.1:7", "", func(l *evidence.Line) { l.UpstreamHost = "" })
	elsewhere := carried("page", "10.0.0.1:7", "10.0.0.5:3")
	for name, test := range map[string]struct {
		others []evidence.Line
		gaps   map[string]evidence.Gap
		detail string
		remedy string
	}{
		"a connection at that time":      {others: []evidence.Line{translated}, detail: "which at that time took one from 10.0.0.1:7 that is of no known probe", remedy: "externalTrafficPolicy: Local"},
		"one at another time":            {others: []evidence.Line{late}},
		"one that went nowhere":          {others: []evidence.Line{refused}, detail: "took one from 10.0.0.1:7", remedy: "externalTrafficPolicy: Local"},
		"one at another hop":             {others: []evidence.Line{elsewhere}},
		"none":                           {},
		"a gap explains it in its place": {others: []evidence.Line{translated}, gaps: noLog("gateway"), detail: "writes no access log", remedy: "switch it on"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, matcher := range []types.GomegaMatcher{PassThrough("gateway", database), BeRefusedBy("gateway", pattern.NoFilterChain), CarryInTurn("gateway"), ComeFrom("gateway", "ratings", nil), AskForName("gateway", "db.lab"), CarryNothing("gateway")} {
				got, _ := judgeOnce(t, matcher, evidence.Flows{List: over(), Others: test.others, Gaps: test.gaps, Controls: answered(200)})
				if got.Outcome != evidence.Unknown || got.Cause != string(pattern.EvidenceMissing) || !strings.Contains(got.Detail, test.detail) {
					t.Errorf("%q: %s, cause %s: %s\nwant unknown: %s", got.Statement, got.Outcome, got.Cause, got.Detail, test.detail)
				}
				if (got.Remedy != "") != (test.remedy != "") || !strings.Contains(got.Remedy, test.remedy) {
					t.Errorf("%q: remedy %q, want %q", got.Statement, got.Remedy, test.remedy)
				}
			}
		})
	}
}

func TestComeFrom(t *testing.T) {
	judgeAll(t, func() types.GomegaMatcher { return ComeFrom("gateway", "ratings", []string{"10.0.0.6", "10.0.0.16"}) }, map[string]verdictCase{
		"one of them":             {flows: over(carried("gateway", "10.0.0.16:1", "")), outcome: evidence.True},
		"one that only begins so": {flows: over(carried("gateway", "10.0.0.60:1", "")), outcome: evidence.False, cause: pattern.WrongPeer, detail: "came to gateway from 10.0.0.60, which is not ratings (10.0.0.6, 10.0.0.16)"},
		"the second from another": {flows: over(carried("gateway", "10.0.0.6:1", ""), carried("gateway", "10.0.0.9:1", "")), outcome: evidence.False, cause: pattern.WrongPeer, detail: "from 10.0.0.9"},
		"no address":              {flows: over(carried("gateway", "-", "")), outcome: evidence.False, cause: pattern.WrongPeer},
		"at another hop":          {flows: over(carried("page", "10.0.0.6:1", "")), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap":                   {flows: over(carried("gateway", "10.0.0.9:1", "")), gaps: noLog("gateway"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
	})
}

func TestAskForName(t *testing.T) {
	named := func(name string) []evidence.Flow {
		return over(carried("gateway", "10.0.0.6:1", "", func(l *evidence.Line) { l.SNI = name }))
	}
	judgeAll(t, func() types.GomegaMatcher { return AskForName("gateway", "db.lab") }, map[string]verdictCase{
		"this one":    {flows: named("db.lab"), outcome: evidence.True},
		"another":     {flows: named("other.db.lab"), outcome: evidence.False, cause: pattern.WrongServerName, detail: `asked gateway for the server name "other.db.lab"`},
		"none":        {flows: named(""), outcome: evidence.False, cause: pattern.PlainText, detail: `the server name ""`},
		"the second":  {flows: over(append(named("db.lab")[0].Lines, named("x")[0].Lines...)...), outcome: evidence.False, cause: pattern.WrongServerName},
		"no line":     {flows: over(), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap":       {flows: named("other"), gaps: noLog("gateway"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap, else": {flows: named("db.lab"), gaps: noLog("page"), outcome: evidence.True},
	})
	judgeAll(t, func() types.GomegaMatcher { return AskForName("gateway", "") }, map[string]verdictCase{
		"none":    {flows: named(""), outcome: evidence.True},
		"one":     {flows: named("db.lab"), outcome: evidence.False, cause: pattern.WrongServerName, detail: `asked gateway for the server name "db.lab"`},
		"no line": {flows: over(), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
	})
}

// A format that has no server name says nothing of it, also when none is what is claimed.
func TestAskForNameNeedsTheFormatToHaveIt(t *testing.T) {
	for format, remedy := range map[string]string{"%UPSTREAM_HOST%": "add %REQUESTED_SERVER_NAME% to the format", "%UPSTREAM_HOST% %REQUESTED_SERVER_NAME%": ""} {
		compiled, err := accesslog.CompileText(format)
		if err != nil {
			t.Fatal(err)
		}
		text := "10.0.0.7:27017"
		if remedy == "" {
			text += " -"
		}
		line, ok := compiled.Parse(text)
		if !ok {
			t.Fatalf("%s does not read %s", format, text)
		}
		got, _ := judgeOnce(t, AskForName("gateway", ""), evidence.Flows{List: over(evidence.Line{Hop: "gateway", Line: line})})
		if got.Remedy != remedy || (got.Outcome == evidence.Unknown) != (remedy != "") {
			t.Errorf("%s: %s: %s, remedy %q", format, got.Outcome, got.Detail, got.Remedy)
		}
	}
}

func TestBeAccepted(t *testing.T) {
	accepted := func(hops ...string) []evidence.Flow {
		flow := evidence.Flow{}
		for _, hop := range hops {
			flow.Accepted = append(flow.Accepted, evidence.Accepted{Hop: hop})
		}
		return []evidence.Flow{flow}
	}
	judgeAll(t, func() types.GomegaMatcher { return BeAccepted("mongodb") }, map[string]verdictCase{
		"once":           {flows: accepted("mongodb"), outcome: evidence.True},
		"twice":          {flows: accepted("mongodb", "mongodb"), outcome: evidence.False, cause: pattern.Repeated, detail: "has 2 connections in the log of the database mongodb"},
		"by another too": {flows: accepted("mongodb", "other"), outcome: evidence.True},
		"by another":     {flows: accepted("other"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no connection in the log of the database mongodb"},
		"a gap":          {flows: accepted(), gaps: noLog("mongodb"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a proxy's gap":  {flows: accepted("mongodb"), gaps: noLog("mongodb"), outcome: evidence.True},
	})
}

func TestSeeCertificate(t *testing.T) {
	seen := func(chain ...string) []evidence.Flow {
		state := &wire.TLS{}
		for _, fingerprint := range chain {
			state.Chain = append(state.Chain, wire.Certificate{Subject: "CN=" + fingerprint, DNSNames: []string{"a", "b"}, SHA256: fingerprint})
		}
		return []evidence.Flow{{Result: traffic.Result{TLS: state}}}
	}
	judgeAll(t, func() types.GomegaMatcher { return SeeCertificate("the gateway", "0f") }, map[string]verdictCase{
		"this one":                    {flows: seen("0f"), outcome: evidence.True},
		"this one, with who signed":   {flows: seen("0f", "aa"), outcome: evidence.True},
		"another":                     {flows: seen("aa"), outcome: evidence.False, cause: pattern.WrongIdentity, detail: "saw the certificate of CN=aa (a, b)"},
		"this one as that who signed": {flows: seen("aa", "0f"), outcome: evidence.False, cause: pattern.WrongIdentity},
		"no certificate":              {flows: seen(), outcome: evidence.False, cause: pattern.PlainText},
		"no handshake":                {flows: answered(200), outcome: evidence.False, cause: pattern.PlainText, detail: "made no TLS handshake: status 200"},
	})
}

func TestCarryNothing(t *testing.T) {
	bytes := func(received, sent int64) evidence.Line {
		return carried("gateway", "10.0.0.6:1", "10.0.0.5:3", func(l *evidence.Line) { l.BytesReceived, l.BytesSent = received, sent })
	}
	judgeAll(t, func() types.GomegaMatcher { return CarryNothing("gateway") }, map[string]verdictCase{
		"nothing, though it had connected": {flows: over(bytes(0, 0)), outcome: evidence.True},
		"something there":                  {flows: over(bytes(7, 0)), outcome: evidence.False, cause: pattern.Reached, detail: "had 7 bytes carried by gateway to 10.0.0.7:27017"},
		"something back":                   {flows: over(bytes(0, 7)), outcome: evidence.False, cause: pattern.Reached},
		"in the second connection":         {flows: over(bytes(0, 0), bytes(1, 1)), outcome: evidence.False, cause: pattern.Reached},
		"no line":                          {flows: over(), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap":                            {flows: over(bytes(7, 7)), gaps: noLog("gateway"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
	})
}

func TestNeverUse(t *testing.T) {
	const other = "outbound|27018||db.lab"
	own := carried("ratings", "10.0.0.6:1", "")
	foreign := func(hop, cluster string, after time.Duration) []evidence.Line {
		return []evidence.Line{carried(hop, "10.0.0.6:9", "", func(l *evidence.Line) { l.UpstreamCluster, l.Start = cluster, noon.Add(after) })}
	}
	for name, test := range map[string]struct {
		lines, others []evidence.Line
		outcome       evidence.Outcome
	}{
		"sent elsewhere":                    {[]evidence.Line{own}, nil, evidence.True},
		"sent there":                        {foreign("ratings", other, 0), nil, evidence.False},
		"sent there for somebody else":      {[]evidence.Line{own}, foreign("ratings", other, 0), evidence.False},
		"sent there later":                  {[]evidence.Line{own}, foreign("ratings", other, 2*time.Second), evidence.True},
		"sent there by another hop":         {[]evidence.Line{own}, foreign("page", other, 0), evidence.True},
		"sent elsewhere, for somebody else": {[]evidence.Line{own}, foreign("ratings", database, 0), evidence.True},
		"silent, though somebody used it":   {nil, foreign("ratings", other, 0), evidence.Unknown},
		"silent":                            {nil, nil, evidence.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := judgeOnce(t, NeverUse("ratings", other), evidence.Flows{List: over(test.lines...), Others: test.others})
			cause := map[evidence.Outcome]pattern.Cause{evidence.False: pattern.Bypassed, evidence.Unknown: pattern.EvidenceMissing}[test.outcome]
			if got.Outcome != test.outcome || got.Cause != string(cause) {
				t.Errorf("%s, cause %q: %s; want %s", got.Outcome, got.Cause, got.Detail, test.outcome)
			}
		})
	}
}

// A handshake that the proxy before gave up is known by its pod's address and by the time alone.
func TestBeGivenUpAt(t *testing.T) {
	start := time.Date(2026, 11, 22, 16, 4, 10, 0, time.UTC)
	flow := evidence.Flow{Result: traffic.Result{StartedAt: start, Duration: time.Second}}
	at := func(hop, from string, after time.Duration, bytes int64) evidence.Line {
		return evidence.Line{Hop: hop, Line: accesslog.Line{Start: start.Add(after), DownstreamRemote: from, BytesReceived: bytes}}
	}
	for name, test := range map[string]struct {
		others []evidence.Line
		gaps   map[string]evidence.Gap
		want   evidence.Outcome
	}{
		"taken, and nothing carried":   {[]evidence.Line{at("far", "10.0.0.5:41000", time.Millisecond, 0)}, nil, evidence.True},
		"taken, and something carried": {[]evidence.Line{at("far", "10.0.0.5:41000", time.Millisecond, 7)}, nil, evidence.False},
		"not taken":                    {nil, nil, evidence.Unknown},
		"taken from somebody else":     {[]evidence.Line{at("far", "10.0.0.6:41000", time.Millisecond, 0)}, nil, evidence.Unknown},
		"taken at another time":        {[]evidence.Line{at("far", "10.0.0.5:41000", 2*time.Second, 0)}, nil, evidence.Unknown},
		"taken by another hop":         {[]evidence.Line{at("near", "10.0.0.5:41000", time.Millisecond, 0)}, nil, evidence.Unknown},
		"taken, but the log has a gap": {[]evidence.Line{at("far", "10.0.0.5:41000", time.Millisecond, 0)}, map[string]evidence.Gap{"far": {Why: "no log"}}, evidence.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			var judged evidence.Judgement
			flows := evidence.Flows{List: []evidence.Flow{flow}, Others: test.others, Gaps: test.gaps, Judge: func(j evidence.Judgement) { judged = j }}
			_, _ = BeGivenUpAt("far", "the gateway", []string{"10.0.0.5"}).Match(flows)
			if judged.Outcome != test.want {
				t.Errorf("%s (%s), want %s", judged.Outcome, judged.Detail, test.want)
			}
		})
	}
}
