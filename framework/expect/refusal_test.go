package expect

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// judgeRefusals is judgeAll with two controls, which were served and have passed page.
func judgeRefusals(t *testing.T, matcher func() types.GomegaMatcher, cases map[string]verdictCase) {
	t.Helper()
	controls := answered(200, 200)
	for index := range controls {
		controls[index].Lines = []evidence.Line{at("gateway", cluster), at("page", taken)}
		controls[index].Records = served("page", "page-1")
	}
	judgeEvery(t, matcher, evidence.Flows{Controls: controls}, cases)
}

func TestBeRefused(t *testing.T) {
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	refused := func(seen traffic.Result) verdictCase {
		return verdictCase{flows: []evidence.Flow{{Result: seen}}, outcome: evidence.True}
	}
	contrary := func(cause pattern.Cause, seen traffic.Result, detail string) verdictCase {
		return verdictCase{flows: []evidence.Flow{{Result: seen}}, outcome: evidence.False, cause: cause, detail: detail}
	}
	for cause, cases := range map[pattern.Cause]map[string]verdictCase{
		pattern.RouteNotFound: {
			"404 without a body":       refused(traffic.Result{Status: 404}),
			"404 of an application":    contrary(pattern.OtherRefusal, traffic.Result{Status: 404, Body: "no such page"}, "was refused otherwise, with status 404: no such page"),
			"404 that was cut off":     contrary(pattern.OtherRefusal, traffic.Result{Status: 404, Err: "unexpected EOF"}, "status 404"),
			"another status":           contrary(pattern.OtherRefusal, traffic.Result{Status: 403, Body: "RBAC: access denied"}, "with status 403: RBAC: access denied"),
			"an answer":                contrary(pattern.NotRefused, traffic.Result{Status: 200, Body: "the page\nmore"}, "was answered with status 200: the page"),
			"a redirect is an answer":  contrary(pattern.NotRefused, traffic.Result{Status: 302}, "was answered with status 302"),
			"the connection was ended": contrary(pattern.OtherRefusal, traffic.Result{Err: "EOF"}, "got no answer, but for another reason: EOF"),
		},
		pattern.NoFilterChain: {
			"the connection was closed":       refused(traffic.Result{Err: `Get "http://page:9080/": EOF`}),
			"the connection was reset":        refused(traffic.Result{Err: "read tcp 10.0.0.9:5000->10.0.0.7:9080: read: connection reset by peer"}),
			"nobody listens":                  contrary(pattern.OtherRefusal, traffic.Result{Err: "dial tcp 10.0.0.7:9080: connect: connection refused"}, "connection refused"),
			"no answer in time":               contrary(pattern.OtherRefusal, traffic.Result{Err: "no whole answer within 5s"}, "no whole answer within 5s"),
			"an answer that was cut off":      contrary(pattern.NotRefused, traffic.Result{Status: 200, Err: "unexpected EOF"}, "was answered with status 200"),
			"a refusal by an answer":          contrary(pattern.OtherRefusal, traffic.Result{Status: 503}, "was refused otherwise, with status 503"),
			"a name that cannot be looked up": contrary(pattern.OtherRefusal, traffic.Result{Err: "lookup page: no such host"}, "no such host"),
		},
		pattern.NotPublished: {
			"503 of the router":       refused(traffic.Result{Status: 503, Body: "<html>"}),
			"503 of a proxy":          contrary(pattern.OtherRefusal, traffic.Result{Status: 503, Header: header("Server", "istio-envoy")}, "with status 503"),
			"503 of an application":   contrary(pattern.OtherRefusal, traffic.Result{Status: 503, Header: header("X-Envoy-Upstream-Service-Time", "3")}, "with status 503"),
			"503 that was cut off":    contrary(pattern.OtherRefusal, traffic.Result{Status: 503, Err: "unexpected EOF"}, "with status 503"),
			"the page":                contrary(pattern.NotRefused, traffic.Result{Status: 200}, "was answered with status 200"),
			"a redirect to the page":  contrary(pattern.NotRefused, traffic.Result{Status: 301}, "was answered with status 301"),
			"the router is not there": contrary(pattern.OtherRefusal, traffic.Result{Err: "connection refused"}, "got no answer"),
		},
	} {
		t.Run(string(cause), func(t *testing.T) {
			judgeRefusals(t, func() types.GomegaMatcher { return BeRefused(cause) }, cases)
		})
	}
}

// refusing is a line of a hop's log, in this format, that is made of the flags, the details, the cluster and the host.
func refusing(t *testing.T, hop, format, flags, details, cluster, host string) []evidence.Flow {
	t.Helper()
	compiled, err := accesslog.CompileText(format)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s %s %s", flags, cluster, host)
	if compiled.Has("RESPONSE_CODE_DETAILS") {
		text += " " + details
	}
	line, ok := compiled.Parse(text)
	if !ok {
		t.Fatalf("the format does not read %q", text)
	}
	return lines(evidence.Line{Hop: hop, Line: line})
}

func TestBeRefusedBy(t *testing.T) {
	const without = "%RESPONSE_FLAGS% %UPSTREAM_CLUSTER% %UPSTREAM_HOST%"
	line := func(format, flags, details, cluster, host string) []evidence.Flow {
		return refusing(t, "gateway", format, flags, details, cluster, host)
	}
	with := func(flags, details, cluster, host string) []evidence.Flow {
		return line(without+" %RESPONSE_CODE_DETAILS%", flags, details, cluster, host)
	}
	refused := with("NR", "route_not_found", "-", "-")
	inbound := with("NR", "route_not_found", taken, "-")
	other := func(flows []evidence.Flow, detail string) verdictCase {
		return verdictCase{flows: flows, outcome: evidence.False, cause: pattern.OtherRefusal, detail: detail}
	}
	sent := func(flows []evidence.Flow, detail string) verdictCase {
		return verdictCase{flows: flows, outcome: evidence.False, cause: pattern.NotRefused, detail: detail}
	}
	judgeRefusals(t, func() types.GomegaMatcher { return BeRefusedBy("gateway", pattern.RouteNotFound) }, map[string]verdictCase{
		"for this cause":                       {flows: refused, outcome: evidence.True},
		"for this cause, on its inbound side":  {flows: inbound, outcome: evidence.True},
		"with a second flag":                   {flows: with("DC,NR", "route_not_found", "-", "-"), outcome: evidence.True},
		"in a format without details":          {flows: line(without, "NR", "", "-", "-"), outcome: evidence.True},
		"with the details of another cause":    other(with("NR", "filter_chain_not_found", "-", "-"), `was refused by gateway with the flags "NR" (filter_chain_not_found)`),
		"without the details that it has":      other(with("NR", "-", "-", "-"), `was refused by gateway with the flags "NR" ()`),
		"with another flag":                    other(with("UAEX", "ext_authz_denied", "-", "-"), `with the flags "UAEX" (ext_authz_denied)`),
		"without a flag":                       other(with("-", "route_not_found", "-", "-"), `with the flags "" (route_not_found)`),
		"it was sent on":                       sent(with("-", "via_upstream", cluster, "10.0.0.7:9080"), "was sent on by gateway to "+cluster),
		"it was sent on, and then refused":     sent(with("NR", "route_not_found", cluster, "10.0.0.7:9080"), "was sent on by gateway to "+cluster),
		"it was sent on, and nobody was there": sent(with("UH", "no_healthy_upstream", cluster, "-"), "was sent on by gateway to "+cluster),
		"it was sent to no cluster":            sent(with("-", "via_upstream", "-", "10.0.0.7:9080"), "was sent on by gateway to no cluster"),
		"twice": {flows: lines(append(refused[0].Lines, inbound[0].Lines...)...), outcome: evidence.False, cause: pattern.Repeated,
			detail: "has 2 lines in the access log of gateway"},
		"no line": {flows: lines(at("page", taken)), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no line in the access log of gateway"},
		"a gap":   {flows: refused, gaps: noLog("gateway"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
	})
}

func TestARefusalThatNoMatcherRecognisesIsAMistakeOfTheAuthor(t *testing.T) {
	for name, test := range map[string]struct {
		make func() types.GomegaMatcher
		want string
	}{
		"no refusal":                    {func() types.GomegaMatcher { return BeRefused(pattern.Bypassed) }, `"bypassed" is no cause of a refusal that matchers can recognise`},
		"a router keeps no log":         {func() types.GomegaMatcher { return BeRefusedBy("router", pattern.NotPublished) }, `"not-published" leaves no line in the access log of router`},
		"no refusal, in the access log": {func() types.GomegaMatcher { return BeRefusedBy("gateway", "") }, `"" is no cause of a refusal that matchers can recognise`},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != test.want {
					t.Errorf("panic %v, want %q", got, test.want)
				}
			}()
			test.make()
		})
	}
}

func TestNeverReach(t *testing.T) {
	refused := at("page", taken, func(l *evidence.Line) { l.UpstreamHost = "" })
	judgeRefusals(t, func() types.GomegaMatcher { return NeverReach("page") }, map[string]verdictCase{
		"nothing":                          {flows: lines(), outcome: evidence.True},
		"nothing but at another hop":       {flows: []evidence.Flow{{Lines: []evidence.Line{at("gateway", cluster)}, Records: served("details", "details-1")}}, outcome: evidence.True},
		"a line by which it refused it":    {flows: lines(refused), outcome: evidence.True},
		"its sidecar has sent it on":       {flows: lines(at("page", taken)), outcome: evidence.False, cause: pattern.Reached, detail: "reached page"},
		"its application has served it":    {flows: []evidence.Flow{{Records: served("page", "page-1")}}, outcome: evidence.False, cause: pattern.Reached, detail: "reached page"},
		"a gap":                            {flows: lines(), gaps: noLog("page"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "cannot be judged by the silence of page"},
		"a gap, and a record nevertheless": {flows: []evidence.Flow{{Records: served("page", "page-1")}}, gaps: noLog("page"), outcome: evidence.False, cause: pattern.Reached},
		"a gap elsewhere":                  {flows: lines(), gaps: noLog("gateway"), outcome: evidence.True},
	})
}

// A hop that is silent about what it served is silent about everything.
func TestNeverReachNeedsEveryControlToBeSeen(t *testing.T) {
	controls := answered(200, 200)
	controls[0].Records = served("page", "page-1")
	got, _ := judgeOnce(t, NeverReach("page"), evidence.Flows{List: answered(404), Controls: controls})
	want := "probe 1 of 1 proves nothing: page recorded nothing of control mp-BG1-0123456789ab-2 either"
	if got.Outcome != evidence.Unknown || got.Cause != string(pattern.EvidenceMissing) || got.Detail != want {
		t.Errorf("%s, cause %s: %s\nwant unknown: %s", got.Outcome, got.Cause, got.Detail, want)
	}
}

func TestARefusalWithoutAServedControlProvesNothing(t *testing.T) {
	cutOff := answered(200, 200)
	cutOff[1].Result.Err = "unexpected EOF"
	for name, test := range map[string]struct {
		controls []evidence.Flow
		detail   string
	}{
		"there is none":            {nil, "there is no control: a dead server would look the same"},
		"one was not served":       {answered(200, 503), "the control on the same path was not served either (1 of 2: status 503)"},
		"one was not served whole": {cutOff, "the control on the same path was not served either (1 of 2: status 200, and no whole answer: unexpected EOF)"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, matcher := range []types.GomegaMatcher{BeRefused(pattern.RouteNotFound), BeRefusedBy("gateway", pattern.RouteNotFound), NeverReach("page")} {
				got, _ := judgeOnce(t, matcher, evidence.Flows{List: answered(404, 404), Controls: test.controls})
				if got.Outcome != evidence.Unknown || got.Cause != string(pattern.ControlFailed) || got.Detail != test.detail {
					t.Errorf("%q: %s, cause %s: %s\nwant unknown: %s", got.Statement, got.Outcome, got.Cause, got.Detail, test.detail)
				}
				if failed := min(len(test.controls), 1); len(got.Contrary) != failed || failed == 1 && got.Contrary[0].Result.Served() {
					t.Errorf("%q shows %d controls, want the one that was not served", got.Statement, len(got.Contrary))
				}
			}
		})
	}
}

func TestOtherMatchersAskForNoControl(t *testing.T) {
	if got, _ := judgeOnce(t, Answer(200), evidence.Flows{List: answered(200), Controls: answered(503)}); got.Outcome != evidence.True {
		t.Errorf("%s: %s", got.Outcome, got.Detail)
	}
}
