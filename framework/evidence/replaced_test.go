package evidence

import (
	"testing"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
)

// A connection that was taken before its filter chain was replaced is logged as that chain had it.
func TestALineOfAReplacedChainIsReadInIstiosFormat(t *testing.T) {
	other := compile(t, "%UPSTREAM_HOST% | %START_TIME% | %REQ(USER-AGENT)% | %RESPONSE_CODE%\n")
	text := logged{hop: "page", path: "/productpage?meshproof=mp-BG1-00112233aabb-1", cluster: "inbound|9080||", id: "r1"}.text()
	line, ok := accessLogs{formats: []*accesslog.Format{other}}.parse(text, nil)
	if !ok || line.RequestID != "r1" || line.UpstreamCluster != "inbound|9080||" {
		t.Errorf("%t, %+v", ok, line)
	}
	if _, ok := (accessLogs{formats: []*accesslog.Format{other}}).parse("2026-11-22T16:04:05Z info the proxy's own words", nil); ok {
		t.Error("the proxy's own words are taken for a line")
	}
	if _, ok := (accessLogs{}).parse(text, nil); ok {
		t.Error("a proxy that is known to log nothing has a line")
	}
}
