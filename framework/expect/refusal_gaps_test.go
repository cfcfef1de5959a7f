package expect

import (
	"strings"
	"testing"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

// TestAnUnloggedConnectionTellsTheRemedy: a proxy without a listener's log is silent about the connections that it refuses,
// and only about those.
func TestAnUnloggedConnectionTellsTheRemedy(t *testing.T) {
	flows := evidence.Flows{
		List:        []evidence.Flow{{Result: traffic.Result{Err: "EOF"}}},
		Controls:    []evidence.Flow{{Result: traffic.Result{Status: 200}}},
		RefusalGaps: map[string]evidence.Gap{"page": {Why: "proxy apps/page-1 writes no line", Remedy: "switch it on"}},
	}
	for cause, told := range map[pattern.Cause]bool{pattern.NoFilterChain: true, pattern.RouteNotFound: false} {
		got, _ := judgeOnce(t, BeRefusedBy("page", cause), flows)
		if got.Outcome != evidence.Unknown || strings.Contains(got.Detail, "apps/page-1 writes no line") != told || (got.Remedy == "switch it on") != told {
			t.Errorf("%s: %s, detail %q, remedy %q; the gap is to be told: %t", cause, got.Outcome, got.Detail, got.Remedy, told)
		}
	}
}
