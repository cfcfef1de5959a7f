package evidence

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/traffic"
)

// logged is one request as a proxy logs it in Istio's default format; what is empty is logged as "-".
type logged struct {
	hop, path, agent, id, cluster string
	// second is when the request began.
	second int
}

func (l logged) text() string {
	dash := func(text string) string {
		if text == "" {
			return "-"
		}
		return text
	}
	return fmt.Sprintf(`[2026-11-22T16:04:%02d.000Z] "GET %s HTTP/1.1" 200 - via_upstream - "-" 0 5 1 0 "-" "%s" "%s" "page.lab" "10.0.0.7:9080" %s 10.0.0.5:41000 10.0.0.5:80 10.0.0.9:50000 - default`,
		l.second, dash(l.path), dash(l.agent), dash(l.id), dash(l.cluster))
}

func compile(t *testing.T, format string) *accesslog.Format {
	t.Helper()
	compiled, err := accesslog.CompileText(format)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func parse(t *testing.T, entries ...logged) []Line {
	t.Helper()
	format := compile(t, accesslog.IstioDefault)
	var lines []Line
	for _, entry := range entries {
		line, ok := format.Parse(entry.text())
		if !ok || line.Ambiguous {
			t.Fatalf("the format does not read %s", entry.text())
		}
		lines = append(lines, Line{Line: line, Hop: entry.hop, Pod: entry.hop + "-1", Raw: entry.text()})
	}
	return lines
}

// refer are the same lines as a gathering has them.
func refer(lines []Line) (all []*Line) {
	for index := range lines {
		all = append(all, &lines[index])
	}
	return all
}

// sent are the results of count probes that were all answered.
func sent(count int) []traffic.Result {
	var results []traffic.Result
	for _, probe := range traffic.NewProbes(traffic.Request{URL: "http://page.lab/productpage"}, "BG1", count) {
		results = append(results, traffic.Result{Probe: probe, Status: 200})
	}
	return results
}

// hopsOf lists, for each probe by its number, the hops of its lines and records.
func hopsOf(flows []Flow) map[int]string {
	found := map[int]string{}
	for index, flow := range flows {
		var hops []string
		for _, line := range flow.Lines {
			hops = append(hops, line.Hop)
		}
		for _, r := range flow.Records {
			hops = append(hops, r.Hop+" record")
		}
		if len(hops) > 0 {
			found[index+1] = strings.Join(hops, ", ")
		}
	}
	return found
}

func TestJoin(t *testing.T) {
	results := sent(12)
	id := func(number int) string { return results[number-1].Probe.ID }
	path := func(number int) string { return "/productpage?" + traffic.IDParameter + "=" + id(number) }
	agent := func(number int) string { return traffic.UserAgentPrefix + id(number) }
	earlier := sent(1)[0].Probe.ID
	recorded := func(path string, header map[string]string) Record {
		return Record{Request: record.Request{Path: path, Header: header}, Hop: "page"}
	}
	for name, test := range map[string]struct {
		lines   []logged
		records []Record
		want    map[int]string
	}{
		"by the identity in the path": {
			lines: []logged{{hop: "gateway", path: path(2)}},
			want:  map[int]string{2: "gateway"},
		},
		"by the identity in the User-Agent": {
			lines: []logged{{hop: "gateway", path: "/productpage", agent: agent(3)}},
			want:  map[int]string{3: "gateway"},
		},
		"by the request ID where a later hop has no identity": {
			lines: []logged{{hop: "gateway", path: path(2), id: "r2"}, {hop: "details", path: "/details/0", id: "r2"}},
			want:  map[int]string{2: "gateway, details"},
		},
		"by the request ID also when the later hop's log is read first": {
			lines: []logged{{hop: "details", path: "/details/0", id: "r2", second: 1}, {hop: "gateway", path: path(2), id: "r2"}},
			want:  map[int]string{2: "gateway, details"},
		},
		"probe 1 is not probe 12": {
			lines: []logged{{hop: "first", path: path(1)}, {hop: "twelfth", path: path(12)}, {hop: "twelfth", agent: agent(12)}},
			want:  map[int]string{1: "first", 12: "twelfth, twelfth"},
		},
		"a foreign line with the right host and path is nothing": {
			lines: []logged{{hop: "gateway", path: "/productpage", agent: "curl/8", id: "f"}},
			want:  map[int]string{},
		},
		"foreign lines without a request ID are nothing, though a probe has none either": {
			lines: []logged{{hop: "gateway", path: path(1)}, {hop: "gateway", path: "/productpage"}},
			want:  map[int]string{1: "gateway"},
		},
		"a line of an earlier batch is nothing, and its request ID neither": {
			lines: []logged{{hop: "gateway", path: "/productpage?meshproof=" + earlier, id: "e"}, {hop: "details", id: "e"}},
			want:  map[int]string{},
		},
		"a text that holds the identity of an earlier batch beside the probe's own": {
			lines: []logged{{hop: "gateway", path: "/productpage?from=" + earlier + "&meshproof=" + id(4)}},
			want:  map[int]string{4: "gateway"},
		},
		"records by path, by User-Agent and by request ID": {
			lines: []logged{{hop: "gateway", path: path(3), id: "r3"}},
			records: []Record{
				recorded(path(1), nil), recorded("/productpage", map[string]string{"User-Agent": agent(2)}),
				recorded("/details/0", map[string]string{"X-Request-Id": "r3"}),
			},
			want: map[int]string{1: "page record", 2: "page record", 3: "gateway, page record"},
		},
		"a record without identity, or of another request, is nothing": {
			lines:   []logged{{hop: "gateway", path: path(3), id: "r3"}},
			records: []Record{recorded("/productpage", nil), recorded("/productpage", map[string]string{"X-Request-Id": "other"})},
			want:    map[int]string{3: "gateway"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, hopsOf(join(results, gathered{lines: refer(parse(t, test.lines...)), records: test.records}).flows)); diff != "" {
				t.Errorf("joined hops by probe (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJoinKeepsOneFlowPerResultInTheOrderOfSending(t *testing.T) {
	results := sent(3)
	for index, flow := range join(results, gathered{}).flows {
		if flow.ID() != results[index].Probe.ID || flow.Result.Status != 200 {
			t.Errorf("flow %d is that of %s with status %d", index, flow.ID(), flow.Result.Status)
		}
	}
}

func TestJoinSortsLinesByTimeAndKeepsTheFirstRequestID(t *testing.T) {
	results := sent(1)
	path := "/productpage?meshproof=" + results[0].Probe.ID
	flow := join(results, gathered{lines: refer(parse(t,
		logged{hop: "first", path: path, id: "r1", second: 3},
		logged{hop: "second", path: path, id: "r2", second: 2},
		logged{hop: "third", id: "r1", second: 1},
	))}).flows[0]
	if diff := cmp.Diff(map[int]string{1: "third, second, first"}, hopsOf([]Flow{flow})); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if flow.RequestID != "r1" {
		t.Errorf("request ID %q, want that of the first line with the identity, r1", flow.RequestID)
	}
}

// The identities are made in traffic and recognised here.
func TestIdentityIsFoundWhereverTrafficPutsIt(t *testing.T) {
	for _, label := range []string{"BG1", "me12", "control"} {
		for _, probe := range traffic.NewProbes(traffic.Request{URL: "http://page.lab/p?a=1"}, label, 11) {
			target, err := probe.Target()
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{target, probe.Headers()["User-Agent"], target + "&next=1"} {
				if got := identity.FindString(text); got != probe.ID {
					t.Errorf("in %q is found %q, want %q", text, got, probe.ID)
				}
			}
		}
	}
}

func TestFlowAt(t *testing.T) {
	inbound, outbound := logged{hop: "page", cluster: "inbound|9080||"}, logged{hop: "page", cluster: "outbound|9080||details.lab"}
	flow := Flow{Lines: parse(t, inbound, outbound, logged{hop: "gateway", cluster: "outbound|9080||page.lab"}, logged{hop: "page"})}
	for name, test := range map[string]struct {
		hop     string
		inbound bool
		want    []string
	}{
		"inbound":                        {"page", true, []string{"inbound|9080||"}},
		"outbound, and without cluster":  {"page", false, []string{"outbound|9080||details.lab", ""}},
		"another hop":                    {"gateway", false, []string{"outbound|9080||page.lab"}},
		"no inbound line at the gateway": {"gateway", true, nil},
		"an unknown hop":                 {"pag", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, line := range flow.At(test.hop, test.inbound) {
				got = append(got, line.UpstreamCluster)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("clusters (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFlowRecordsAt(t *testing.T) {
	flow := Flow{Records: []Record{{Hop: "page", LogPod: "a"}, {Hop: "details", LogPod: "b"}, {Hop: "page", LogPod: "c"}}}
	var pods []string
	for _, r := range flow.RecordsAt("page") {
		pods = append(pods, r.LogPod)
	}
	if diff := cmp.Diff([]string{"a", "c"}, pods); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	if got := flow.RecordsAt("gateway"); len(got) != 0 {
		t.Errorf("records at a hop without any: %v", got)
	}
}

func TestFlowsWhere(t *testing.T) {
	all := Flows{List: join(sent(4), gathered{}).flows, Controls: join(sent(1), gathered{}).flows, Gaps: map[string]Gap{"page": {Why: "no log"}}}
	all.List[1].Result.Status, all.List[3].Result.Status = 503, 503
	chosen := all.Where(func(flow Flow) bool { return flow.Result.Status == 503 })
	if len(chosen.List) != 2 || chosen.List[0].ID() != all.List[1].ID() || chosen.List[1].ID() != all.List[3].ID() {
		t.Errorf("%d flows were chosen, want the second and the fourth", len(chosen.List))
	}
	if len(chosen.Controls) != 1 || chosen.Gaps["page"].Why != "no log" || len(all.List) != 4 {
		t.Errorf("%d controls, gaps %v; %d flows are left of 4", len(chosen.Controls), chosen.Gaps, len(all.List))
	}
	if none := all.Where(func(Flow) bool { return false }); len(none.List) != 0 {
		t.Errorf("%d flows, want none", len(none.List))
	}
}

func TestFlowsOfControls(t *testing.T) {
	told := 0
	flows := Flows{List: join(sent(2), gathered{}).flows, Controls: join(sent(1), gathered{}).flows, Judge: func(Judgement) { told++ }}
	controls := flows.OfControls()
	if len(controls.List) != 1 || controls.List[0].ID() != flows.Controls[0].ID() || len(controls.Controls) != 0 || len(flows.List) != 2 {
		t.Errorf("%d flows with %d controls, want the one control without any; %d flows are left of 2", len(controls.List), len(controls.Controls), len(flows.List))
	}
	if controls.Judge(Judgement{}); told != 1 {
		t.Error("judgements of the controls are not told")
	}
}
