package evidence

import (
	"strconv"
	"testing"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/traffic"
)

// An application that passes on a number only is followed by it; the same number of a probe that was sent without is nothing.
func TestJoinByNumber(t *testing.T) {
	for name, test := range map[string]struct {
		url   string
		found int
	}{
		"with a place for it": {"http://x/product/" + traffic.NumberPlaceholder, 1},
		"without one":         {"http://x/product/7", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var results []traffic.Result
			for _, probe := range traffic.NewProbes(traffic.Request{URL: test.url}, "TC1", 2) {
				results = append(results, traffic.Result{Probe: probe})
			}
			path := "/rating/" + strconv.FormatUint(results[1].Probe.Number, 10)
			flows := join(results, gathered{
				lines:   []*Line{{Hop: "product", Line: accesslog.Line{Method: "GET", Path: path}}},
				records: []Record{{Hop: "rating", Request: record.Request{Path: path}}, {Hop: "rating", Request: record.Request{Path: path + "0"}}},
			}).flows
			if got := len(flows[1].At("product", false)); got != test.found {
				t.Errorf("%d lines, want %d", got, test.found)
			}
			if got := len(flows[1].RecordsAt("rating")); got != test.found {
				t.Errorf("%d records, want %d", got, test.found)
			}
			if len(flows[0].Lines) != 0 || len(flows[0].Records) != 0 {
				t.Errorf("the other probe has %d lines", len(flows[0].Lines))
			}
		})
	}
}
