package expect

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// What clients of the lab were told, word for word.
const (
	cutDatabase  = "connection(db.lab:27018[-5]) incomplete read of message header: EOF"
	resetByPeer  = "read tcp 10.244.0.8:51964->10.244.200.1:27018: read: connection reset by peer"
	unknownCA    = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
	otherName    = "tls: failed to verify certificate: x509: certificate is valid for mongo-ingressgateway.gateways.svc, not db.lab"
	noName       = "tls: failed to verify certificate: x509: certificate is not valid for any names, but wanted to match db.lab"
	wrongLogin   = "(AuthenticationFailed) Authentication failed."
	tooLate      = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-23T03:00:00Z is after 2026-11-23T02:00:00Z"
	anonymous    = "remote error: tls: certificate required"
	nobodyThere  = "dial tcp 10.244.200.1:27017: connect: connection refused"
	brokenInside = "{ Addr: db.lab:27018, Type: Unknown, Last error: connection() error occurred during connection handshake: EOF }"
)

// TestTheClientTellsRefusalsApart: each cause is recognised by its own words, and by no other's.
func TestTheClientTellsRefusalsApart(t *testing.T) {
	causes := map[pattern.Cause][]string{
		pattern.NoFilterChain:        {cutDatabase, resetByPeer, brokenInside},
		pattern.BlackHole:            {cutDatabase, resetByPeer, brokenInside},
		pattern.NoHealthyUpstream:    {cutDatabase, resetByPeer, brokenInside},
		pattern.UnknownAuthority:     {unknownCA},
		pattern.WrongCertificateName: {otherName, noName},
		pattern.ExpiredCertificate:   {tooLate},
		pattern.NoClientCertificate:  {anonymous, cutDatabase, resetByPeer, brokenInside},
		pattern.NotLoggedIn:          {wrongLogin},
		pattern.Unreachable:          {nobodyThere, "no whole answer within 5s", "dial tcp 10.0.0.1:1: connect: no route to host"},
	}
	all := []string{cutDatabase, resetByPeer, brokenInside, unknownCA, otherName, noName, tooLate, anonymous, wrongLogin, nobodyThere}
	for cause, own := range causes {
		cases := map[string]verdictCase{
			"an answer": {flows: []evidence.Flow{{Result: traffic.Result{Database: &wire.DatabaseResponse{Replies: []string{"{}"}}}}}, outcome: evidence.False, cause: pattern.NotRefused, detail: "was answered with 1 replies of the database"},
		}
		for _, text := range all {
			cases[text] = verdictCase{flows: []evidence.Flow{{Result: traffic.Result{Err: text}}}, outcome: evidence.False, cause: pattern.OtherRefusal, detail: "got no answer, but for another reason: " + text}
		}
		for _, text := range own {
			cases[text] = verdictCase{flows: []evidence.Flow{{Result: traffic.Result{Err: text}}}, outcome: evidence.True}
		}
		t.Run(string(cause), func(t *testing.T) {
			judgeRefusals(t, func() types.GomegaMatcher { return BeRefused(cause) }, cases)
		})
	}
}

// TestTheProxyTellsRefusalsApart reads lines as proxies write them of connections: those of the lab, but for the words of an older
// proxy, and of a certificate whose time is over.
func TestTheProxyTellsRefusalsApart(t *testing.T) {
	format, err := accesslog.CompileText(accesslog.IstioDefault)
	if err != nil {
		t.Fatal(err)
	}
	flow := func(texts ...string) []evidence.Flow {
		flow := evidence.Flow{}
		for _, text := range texts {
			line, ok := format.Parse(text)
			if !ok {
				t.Fatalf("the format does not read %s", text)
			}
			flow.Lines = append(flow.Lines, evidence.Line{Line: line, Hop: "proxy"})
		}
		return []evidence.Flow{flow}
	}
	const (
		noChain   = `[2026-11-22T23:37:03.046Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 10.244.0.13:27018 10.244.0.8:51964 - -`
		blackHole = `[2026-11-22T23:37:03.046Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - 10.244.200.1:27018 10.244.0.16:51964 - -`
		noHost    = `[2026-11-22T23:37:03.046Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" outbound|27017||mongodb.data.svc.cluster.local - 10.244.0.13:27018 10.244.0.8:51964 db.lab -`
		distrusts = `[2026-11-23T00:01:08.090Z] "- - -" 0 UF,URX - - "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate:TLS_error_end" 0 0 3 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||db.lab - 10.244.200.1:27018 10.244.0.76:54036 - -`
		misnamed  = `[2026-11-23T00:00:28.542Z] "- - -" 0 UF,URX - - "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher,_certificate_SANs_are_[db.lab]:TLS_error_end" 0 0 3 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||db.lab - 10.244.200.1:27018 10.244.0.76:56734 - -`
		older     = `[2026-11-23T00:00:28.542Z] "- - -" 0 UF,URX - - "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: verify SAN list:TLS_error_end" 0 0 3 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||db.lab - 10.244.200.1:27018 10.244.0.76:56734 - -`
		over      = `[2026-11-23T00:00:28.542Z] "- - -" 0 UF,URX - - "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end" 0 0 3 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||db.lab - 10.244.200.1:27018 10.244.0.76:56734 - -`
		nobody    = `[2026-11-22T23:37:03.046Z] "- - -" 0 UF,URX - - "delayed_connect_error:_Connection_refused" 0 0 5 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||db.lab - 10.244.0.5:27018 10.244.0.8:51964 - -`
		sentOn    = `[2026-11-22T23:36:42.476Z] "- - -" 0 - - - "-" 1162 1020 12 - "-" "-" "-" "-" "10.244.0.4:27017" outbound|27017||mongodb.data.svc.cluster.local 10.244.0.13:57574 10.244.0.13:27018 10.244.0.8:45108 db.lab -`
	)
	all := []string{noChain, blackHole, noHost, distrusts, misnamed, older, over, nobody, sentOn}
	for cause, own := range map[pattern.Cause][]string{
		pattern.NoFilterChain: {noChain}, pattern.BlackHole: {blackHole}, pattern.NoHealthyUpstream: {noHost}, pattern.ExpiredCertificate: {over},
		pattern.UnknownAuthority: {distrusts}, pattern.WrongCertificateName: {misnamed, older}, pattern.Unreachable: {nobody},
	} {
		t.Run(string(cause), func(t *testing.T) {
			for _, text := range all {
				got, _ := judgeOnce(t, BeRefusedBy("proxy", cause), evidence.Flows{List: flow(text), Controls: answered(200)})
				wanted := slices.Contains(own, text)
				if (got.Outcome == evidence.True) != wanted || got.Outcome == evidence.Unknown {
					t.Errorf("%s: %s: %s; want it recognised: %t", text, got.Outcome, got.Detail, wanted)
				}
				if text == sentOn && got.Cause != string(pattern.NotRefused) {
					t.Errorf("what was sent on is %q", got.Cause)
				}
			}
			if got, _ := judgeOnce(t, BeRefusedBy("proxy", cause), evidence.Flows{List: flow(own[0], own[0]), Controls: answered(200)}); got.Cause != string(pattern.Repeated) {
				t.Errorf("twice: %q: %s", got.Cause, got.Detail)
			}
		})
	}
}

// A refused request's line is none of a refused connection.
func TestARefusedConnectionIsNotLookedForAmongRequests(t *testing.T) {
	request := at("gateway", "", func(l *evidence.Line) { l.UpstreamHost, l.Flags = "", []string{"NR"} })
	got, _ := judgeOnce(t, BeRefusedBy("gateway", pattern.NoFilterChain), evidence.Flows{List: lines(request), Controls: answered(200)})
	if got.Outcome != evidence.Unknown || got.Cause != string(pattern.EvidenceMissing) {
		t.Errorf("%s, cause %s: %s", got.Outcome, got.Cause, got.Detail)
	}
}

// TestNeverReachMindsForeignConnections: what a hop carried at that time, and nobody knows whose it was, may be the probe's.
func TestNeverReachMindsForeignConnections(t *testing.T) {
	controls := over(carried("mongodb", "10.0.0.5:3", "127.0.0.6:4"))
	controls[0].Result.Status = 200
	foreign := func(hop string, change ...func(*evidence.Line)) []evidence.Line {
		return []evidence.Line{carried(hop, "10.0.0.9:9", "127.0.0.6:9", change...)}
	}
	late := func(l *evidence.Line) { l.Start = noon.Add(3 * time.Second) }
	early := func(l *evidence.Line) { l.Start = noon.Add(-time.Millisecond) }
	nowhere := func(l *evidence.Line) { l.UpstreamHost = "" }
	for name, test := range map[string]struct {
		lines, others []evidence.Line
		outcome       evidence.Outcome
		cause         pattern.Cause
	}{
		"none":                         {nil, nil, evidence.True, ""},
		"one at that time":             {nil, foreign("mongodb"), evidence.Unknown, pattern.EvidenceMissing},
		"one after it":                 {nil, foreign("mongodb", late), evidence.True, ""},
		"one before it":                {nil, foreign("mongodb", early), evidence.True, ""},
		"one that went nowhere":        {nil, foreign("mongodb", nowhere), evidence.True, ""},
		"one at another hop":           {nil, foreign("gateway"), evidence.True, ""},
		"one, and the probe's own too": {foreign("mongodb"), foreign("mongodb"), evidence.False, pattern.Reached},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := judgeOnce(t, NeverReach("mongodb"), evidence.Flows{List: over(test.lines...), Controls: controls, Others: test.others})
			if got.Outcome != test.outcome || got.Cause != string(test.cause) {
				t.Errorf("%s, cause %q: %s; want %s, cause %q", got.Outcome, got.Cause, got.Detail, test.outcome, test.cause)
			}
		})
	}
	accepted := over()
	accepted[0].Accepted = []evidence.Accepted{{Hop: "mongodb"}}
	if got, _ := judgeOnce(t, NeverReach("mongodb"), evidence.Flows{List: accepted, Controls: controls}); got.Cause != string(pattern.Reached) {
		t.Errorf("what the database itself has accepted: %s, cause %q", got.Outcome, got.Cause)
	}
	unseen := over()
	unseen[0].Result.Status = 200
	got, _ := judgeOnce(t, NeverReach("gateway"), evidence.Flows{List: answered(404), Controls: unseen, Others: foreign("gateway")})
	if got.Outcome != evidence.Unknown || !strings.Contains(got.Remedy, "externalTrafficPolicy") {
		t.Errorf("a control behind a translation: %s: %s, remedy %q", got.Outcome, got.Detail, got.Remedy)
	}
}

// TestTheProxyTellsRefusedRequestsApart reads lines as the lab's proxies write them of requests that they had taken, and could not
// send on.
func TestTheProxyTellsRefusedRequestsApart(t *testing.T) {
	format, err := accesslog.CompileText(accesslog.IstioDefault)
	if err != nil {
		t.Fatal(err)
	}
	const (
		late   = `[2026-11-23T03:18:07.249Z] "GET /?meshproof=mp-EH6-020fdec16b87-1 HTTP/1.1" 503 URX,UF upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end} - "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end" 0 121 65 - "10.244.0.11" "meshproof/mp-EH6-020fdec16b87-1" "4a973cd7-d293-4acd-9f20-f2714fd96adc" "expired.db.lab" "10.244.200.2:443" outbound|443|nginx-https|expired.db.lab - 10.244.0.10:8080 10.244.0.11:45962 db.lab -`
		absent = `[2026-11-23T03:18:20.249Z] "GET /?meshproof=mp-EH10-020fdec16b87-1 HTTP/1.1" 503 UH no_healthy_upstream - "-" 0 19 0 - "-" "meshproof/mp-EH10-020fdec16b87-1" "5a973cd7-d293-4acd-9f20-f2714fd96adc" "db.lab" "-" outbound|80|nginx|egress.svc.cluster.local - 10.244.200.2:80 10.244.0.11:45962 - -`
	)
	causes := map[pattern.Cause]string{pattern.ExpiredCertificate: late, pattern.NoHealthyUpstream: absent, pattern.UnknownAuthority: "", pattern.WrongCertificateName: ""}
	for _, text := range []string{late, absent} {
		line, ok := format.Parse(text)
		if !ok {
			t.Fatalf("the format does not read %s", text)
		}
		flows := evidence.Flows{List: lines(evidence.Line{Line: line, Hop: "proxy"}), Controls: answered(200)}
		for cause, own := range causes {
			if got, _ := judgeOnce(t, BeRefusedBy("proxy", cause), flows); (got.Outcome == evidence.True) != (own == text) || got.Outcome == evidence.Unknown {
				t.Errorf("%s: as %s it is %s: %s", text, cause, got.Outcome, got.Detail)
			}
		}
		// What refuses connections only has no line of it.
		if got, _ := judgeOnce(t, BeRefusedBy("proxy", pattern.NoFilterChain), flows); got.Outcome != evidence.Unknown {
			t.Errorf("%s: as %s it is %s: %s", text, pattern.NoFilterChain, got.Outcome, got.Detail)
		}
	}
}
