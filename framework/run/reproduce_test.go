package run

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/reproduce"
	"github.com/meshproof/meshproof/framework/traffic"
)

// A reproducer promises what one probe shows, and there is none for what one does not: it would say that it has seen the failure when
// all is well.
func TestWhatAReproducerPromises(t *testing.T) {
	gateway := reproduce.Hop{Name: "gateway", Container: pattern.ProxyContainer}
	page := reproduce.Hop{Name: "page", Container: "page"}
	hops := []reproduce.Hop{gateway, page}
	database := traffic.Probe{Request: traffic.Request{Database: &wire.DatabaseRequest{}}}
	sent := []evidence.Line{{Hop: "gateway", Line: accesslog.Line{UpstreamCluster: "outbound|80||other"}}}
	known := []evidence.Record{{Hop: "page", Request: record.Request{Header: map[string]string{"X-Forwarded-Client-Cert": "By=x;URI=spiffe://lab/ns/edge/sa/other"}}}}
	judged := func(outcome evidence.Outcome, cause pattern.Cause) evidence.Judgement {
		return evidence.Judgement{Outcome: outcome, Cause: string(cause)}
	}
	for name, test := range map[string]struct {
		judgement evidence.Judgement
		flow      evidence.Flow
		gaps      map[string]evidence.Gap
		want      reproduce.Promise
		none      bool
	}{
		"no access log": {judgement: judged(evidence.Unknown, pattern.EvidenceMissing), gaps: map[string]evidence.Gap{"gateway": {Why: "none"}}, want: reproduce.Promise{Hop: 0, Absent: true}},
		"a hop without a pod": {judgement: judged(evidence.Unknown, pattern.EvidenceMissing), flow: evidence.Flow{Result: traffic.Result{Status: 200}},
			gaps: map[string]evidence.Gap{"gateway": {Silent: true}}, none: true},
		"another status":        {judgement: judged(evidence.False, pattern.WrongStatus), flow: evidence.Flow{Result: traffic.Result{Status: 404}}, want: reproduce.Promise{Status: 404}},
		"no answer":             {judgement: judged(evidence.False, pattern.NotAnswered), flow: evidence.Flow{Result: traffic.Result{Err: "closed"}}, want: reproduce.Promise{Status: 0}},
		"served all the same":   {judgement: judged(evidence.False, pattern.NotRefused), flow: evidence.Flow{Result: traffic.Result{Status: 200}}, want: reproduce.Promise{Status: 200}},
		"other content":         {judgement: judged(evidence.False, pattern.WrongContent), flow: evidence.Flow{Result: traffic.Result{Status: 200}}, none: true},
		"a limit":               {judgement: judged(evidence.False, pattern.OverLimit), flow: evidence.Flow{Result: traffic.Result{Status: 200}}, none: true},
		"another cluster":       {judgement: judged(evidence.False, pattern.WrongCluster), flow: evidence.Flow{Result: traffic.Result{Status: 200}, Lines: sent}, want: reproduce.Promise{Hop: 0, Text: "outbound|80||other"}},
		"another identity":      {judgement: judged(evidence.False, pattern.WrongIdentity), flow: evidence.Flow{Result: traffic.Result{Status: 200}, Records: known}, want: reproduce.Promise{Hop: 1, Text: "spiffe://lab/ns/edge/sa/other"}},
		"an unreached database": {judgement: judged(evidence.False, pattern.NotAnswered), flow: evidence.Flow{Result: traffic.Result{Probe: database, Database: &wire.DatabaseResponse{}, Err: "dial tcp 192.0.2.1:27017: connect: connection refused"}}, want: reproduce.Promise{Answer: "connection refused"}},
		"a database by an agent": {judgement: judged(evidence.False, pattern.NotRefused), flow: evidence.Flow{Result: traffic.Result{Probe: database, From: "pod shop/outside-1", Database: &wire.DatabaseResponse{}}},
			want: reproduce.Promise{Answer: `"replies"`}},
	} {
		got, promised := promiseOf(test.judgement, test.flow, hops, test.gaps)
		if diff := cmp.Diff(test.want, got); diff != "" || promised == test.none {
			t.Errorf("%s: promised %t (-want +got):\n%s", name, promised, diff)
		}
	}
}

func TestPlacesInObjectsAreWrittenAsKubectlHasThem(t *testing.T) {
	for want, path := range map[string][]string{
		"{.spec.host}": {"spec", "host"}, "{.status.loadBalancer.ingress[0].ip}": {"status", "loadBalancer", "ingress", "0", "ip"}, "{.status.ingress[*].ip}": {"status", "ingress", "*", "ip"},
	} {
		if got := jsonPath(path); got != want {
			t.Errorf("%v: %s, want %s", path, got, want)
		}
	}
}
