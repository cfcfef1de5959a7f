package expect

import (
	"fmt"
	"testing"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/pattern"
)

const (
	cluster = "outbound|9080||page.apps.svc.cluster.local"
	taken   = "inbound|9080||"
)

// at is a line of a hop with this cluster; change, if given, makes it another one.
func at(hop, cluster string, change ...func(*evidence.Line)) evidence.Line {
	line := evidence.Line{Hop: hop, Pod: hop + "-1", Line: accesslog.Line{
		UpstreamCluster: cluster, RequestID: "r1", UpstreamHost: "10.0.0.7:9080", DownstreamLocal: "10.0.0.7:9080", DownstreamRemote: "10.0.0.9:50000",
	}}
	for _, apply := range change {
		apply(&line)
	}
	return line
}

func lines(lines ...evidence.Line) []evidence.Flow { return []evidence.Flow{{Lines: lines}} }

func TestPassThrough(t *testing.T) {
	judgeAll(t, func() types.GomegaMatcher { return PassThrough("gateway", cluster) }, map[string]verdictCase{
		"once": {flows: lines(at("gateway", cluster)), outcome: evidence.True},
		"once, beside its inbound side and other hops": {flows: lines(at("gateway", cluster), at("gateway", taken), at("page", cluster)), outcome: evidence.True},
		"twice": {flows: lines(at("gateway", cluster), at("gateway", cluster)), outcome: evidence.False, cause: pattern.Repeated,
			detail: "has 2 lines in the access log of gateway"},
		"to another cluster": {flows: lines(at("gateway", cluster+".")), outcome: evidence.False, cause: pattern.WrongCluster,
			detail: "was sent by gateway to " + cluster + "."},
		"to no cluster":                         {flows: lines(at("gateway", "")), outcome: evidence.False, cause: pattern.WrongCluster, detail: "was sent by gateway to no cluster"},
		"no line":                               {flows: lines(at("page", cluster)), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no line in the access log of gateway"},
		"a gap":                                 {flows: lines(), gaps: noLog("gateway"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap, and a line that would pass":     {flows: lines(at("gateway", cluster)), gaps: noLog("gateway"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap, and a line without its cluster": {flows: lines(at("gateway", "")), gaps: noLog("gateway"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap elsewhere":                       {flows: lines(at("gateway", cluster)), gaps: noLog("page"), outcome: evidence.True},
	})
}

func TestArriveAt(t *testing.T) {
	gateway, page := at("gateway", cluster), at("page", taken)
	otherID := at("page", taken, func(l *evidence.Line) { l.RequestID = "r2" })
	otherPod := at("page", taken, func(l *evidence.Line) { l.DownstreamLocal = "10.0.0.8:9080" })
	judgeAll(t, func() types.GomegaMatcher { return ArriveAt("page", "gateway") }, map[string]verdictCase{
		"as it was sent": {flows: lines(gateway, page), outcome: evidence.True},
		"twice":          {flows: lines(gateway, page, page), outcome: evidence.False, cause: pattern.Repeated, detail: "has 2 inbound lines in the access log of page"},
		"under another request ID": {flows: lines(gateway, otherID), outcome: evidence.False, cause: pattern.Bypassed,
			detail: "arrived at page with the request ID r2, and gateway had given it r1"},
		"at another pod than it was sent to": {flows: lines(gateway, otherPod), outcome: evidence.False, cause: pattern.WrongPeer,
			detail: "was sent by gateway to 10.0.0.7:9080 and taken at 10.0.0.8:9080"},
		"nothing was sent":  {flows: lines(page), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no line in the access log of gateway"},
		"nothing was taken": {flows: lines(gateway, at("page", cluster)), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no inbound line in the access log of page"},
		"a gap before":      {flows: lines(gateway, page), gaps: noLog("gateway"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap here":        {flows: lines(gateway, otherID), gaps: noLog("page"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a gap elsewhere":   {flows: lines(gateway, page), gaps: noLog("details"), outcome: evidence.True},
	})
}

// served are the records of an application, one per pod.
func served(hop string, pods ...string) []evidence.Record {
	var records []evidence.Record
	for _, pod := range pods {
		records = append(records, evidence.Record{Hop: hop, LogPod: pod})
	}
	return records
}

func TestServe(t *testing.T) {
	flow := func(lines []evidence.Line, records []evidence.Record) []evidence.Flow {
		return []evidence.Flow{{Lines: lines, Records: records}}
	}
	inbound := []evidence.Line{at("page", taken)}
	judgeAll(t, func() types.GomegaMatcher { return Serve("page") }, map[string]verdictCase{
		"once, where its sidecar took it": {flows: flow(inbound, served("page", "page-1")), outcome: evidence.True},
		"once, without a sidecar":         {flows: flow(nil, served("page", "page-1")), outcome: evidence.True},
		"twice":                           {flows: flow(inbound, served("page", "page-1", "page-1")), outcome: evidence.False, cause: pattern.Repeated, detail: "was served 2 times by page"},
		"in another pod than its sidecar's": {flows: flow(inbound, served("page", "page-2")), outcome: evidence.False, cause: pattern.Bypassed,
			detail: "was served in pod page-2, and taken by the sidecar of page-1"},
		"no record":       {flows: flow(inbound, served("details", "details-1")), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no record of the application page"},
		"a gap":           {flows: flow(nil, nil), gaps: noLog("page"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
		"a log elsewhere": {flows: flow(nil, served("page", "page-1")), gaps: noLog("gateway"), outcome: evidence.True},
	})
}

const gatewayID = "spiffe://cluster.local/ns/ingress/sa/gateway"

func TestComeAs(t *testing.T) {
	element := func(subject, uri string) string {
		return fmt.Sprintf(`By=spiffe://cluster.local/ns/apps/sa/page;Hash=0f;Subject="%s";URI=%s`, subject, uri)
	}
	right := element("", gatewayID)
	come := func(headers ...string) []evidence.Flow {
		flow := evidence.Flow{}
		for _, header := range headers {
			r := evidence.Record{Hop: "page", Request: record.Request{Header: map[string]string{}}}
			if header != "" {
				r.Header["X-Forwarded-Client-Cert"] = header
			}
			flow.Records = append(flow.Records, r)
		}
		return []evidence.Flow{flow}
	}
	wrong := func(flows []evidence.Flow, detail string) verdictCase {
		return verdictCase{flows: flows, outcome: evidence.False, cause: pattern.WrongIdentity, detail: detail}
	}
	is := func(header string) verdictCase { return verdictCase{flows: come(header), outcome: evidence.True} }
	judgeAll(t, func() types.GomegaMatcher { return ComeAs("page", gatewayID) }, map[string]verdictCase{
		"right":                                   is(right),
		"quoted":                                  is(element("", `"`+gatewayID+`"`)),
		"a comma in the subject":                  is(element("O=Lab,CN=gateway", gatewayID)),
		"a semicolon in the subject":              is(element("O=Lab;CN=gateway", gatewayID)),
		"a quote in the subject":                  is(element(`CN=a\",b\";c`, gatewayID)),
		"another identity in the subject":         is(element("CN=x;URI=spiffe://evil", gatewayID)),
		"another element in the subject":          is(element("CN=x,URI=spiffe://evil", gatewayID)),
		"by another":                              wrong(come(element("", "spiffe://evil")), "came to page from spiffe://evil"),
		"by one whose name begins the same":       wrong(come(element("", gatewayID+"2")), "came to page from "+gatewayID+"2"),
		"by another with the name in its subject": wrong(come(element("CN=x;URI="+gatewayID+";O=y", "spiffe://evil")), "came to page from spiffe://evil"),
		"by nobody":                               wrong(come(""), "came to page without a client certificate"),
		"by a certificate without a name":         wrong(come(`By=spiffe://a;Hash=0f;Subject="CN=x"`), "came to page from a certificate without a URI name"),
		"through another proxy":                   wrong(come(element("", "spiffe://evil")+","+right), "came to page from "+gatewayID+", spiffe://evil"),
		"twice through the right one":             wrong(come(right+","+right), "came to page from "+gatewayID),
		"through a proxy without a name":          wrong(come(`Hash=0f,`+right), "a certificate without a URI name, "+gatewayID),
		"with two names":                          wrong(come(right+";URI=spiffe://evil"), "came to page from "+gatewayID+", spiffe://evil"),
		"once rightly and once as nobody":         wrong(come(right, ""), "came to page without a client certificate"),
		"no record":                               {flows: come(), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no record of the application page"},
		"a gap":                                   {flows: come(), gaps: noLog("page"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
	})
}
