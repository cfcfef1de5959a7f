package expect

import (
	"strconv"
	"testing"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

func TestEach(t *testing.T) {
	odd := func(flow evidence.Flow) string {
		if flow.Result.Status%2 == 0 {
			return ""
		}
		return "has the odd status 50% of " + strconv.Itoa(flow.Result.Status)
	}
	judgeAll(t, func() types.GomegaMatcher { return Each("statuses are even", "client", pattern.WrongStatus, odd) }, map[string]verdictCase{
		"no problem": {flows: answered(200, 404), outcome: evidence.True, detail: "2 of 2 probes"},
		"a problem completes the sentence": {flows: answered(200, 501, 503), outcome: evidence.False, cause: pattern.WrongStatus,
			detail: "probe 2 of 3 has the odd status 50% of 501 (and 1 more probes)"},
	})
}

func TestSpreadOver(t *testing.T) {
	status := func(flow evidence.Flow) string { return strconv.Itoa(flow.Result.Status) }
	judgeAll(t, func() types.GomegaMatcher {
		return SpreadOver("all kinds occur", "client", status, "200", "201", "202")
	}, map[string]verdictCase{
		"every kind":                            {flows: answered(202, 200, 201, 200), outcome: evidence.True, detail: "4 of 4 probes; 2 200, 1 201, 1 202"},
		"a kind is missing":                     {flows: answered(200, 202, 200), outcome: evidence.False, cause: pattern.NotSpread, detail: "none of 3 probes is 201"},
		"one is of none":                        {flows: answered(200, 201, 202, 20), outcome: evidence.False, cause: pattern.NotSpread, detail: "probe 4 of 4 is 20, which is none of 200, 201, 202"},
		"one is of none, and a kind is missing": {flows: answered(503, 200), outcome: evidence.False, cause: pattern.NotSpread, detail: "probe 1 of 2 is 503"},
	})
}

func TestComeUnidentified(t *testing.T) {
	come := func(headers ...map[string]string) []evidence.Flow {
		flow := evidence.Flow{Records: served("gateway", "gateway-1")}
		flow.Records[0].Header = map[string]string{"X-Forwarded-Client-Cert": "URI=" + gatewayID}
		for _, header := range headers {
			flow.Records = append(flow.Records, evidence.Record{Hop: "page", Request: record.Request{Header: header}})
		}
		return []evidence.Flow{flow}
	}
	identified := map[string]string{"X-Forwarded-Client-Cert": "By=spiffe://a;URI=" + gatewayID}
	judgeAll(t, func() types.GomegaMatcher { return ComeUnidentified("page") }, map[string]verdictCase{
		"without a certificate": {flows: come(nil), outcome: evidence.True},
		"with one":              {flows: come(identified), outcome: evidence.False, cause: pattern.WrongIdentity, detail: "came to page from " + gatewayID},
		"with one without a name": {flows: come(map[string]string{"X-Forwarded-Client-Cert": "Hash=0f"}), outcome: evidence.False, cause: pattern.WrongIdentity,
			detail: "from a certificate without a URI name"},
		"once without, and once with one": {flows: come(nil, identified), outcome: evidence.False, cause: pattern.WrongIdentity},
		"no record":                       {flows: come(), outcome: evidence.Unknown, cause: pattern.EvidenceMissing, detail: "has no record of the application page"},
		"a gap":                           {flows: come(), gaps: noLog("page"), outcome: evidence.Unknown, cause: pattern.EvidenceMissing},
	})
}
