package evidence

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/traffic"
)

const (
	uuid1 = "96fde9b2-57a6-43d5-a22a-a88341826b3b"
	uuid2 = "0B7C1D5E-57a6-43d5-a22a-a88341826b3b"
	uuid3 = "11111111-2222-3333-4444-555555555555"
)

func TestRequestIDs(t *testing.T) {
	for line, want := range map[string]int{
		"":                                      0,
		uuid1:                                   1,
		`"` + uuid1 + `"`:                       1,
		uuid1 + uuid2:                           2,
		"GET /orders/" + uuid1 + " " + uuid3:    2,
		"2026-08-01T15:16:51.060Z - - -":        0,
		uuid1[:35]:                              0,
		strings.Replace(uuid1, "f", "g", 1):     0,
		strings.Replace(uuid1, "-57", "_57", 1): 0,
		"-------------------------------------": 0,
		"a-b-" + uuid2 + "-c":                   1,
	} {
		if got := requestIDs(line); len(got) != want {
			t.Errorf("%q holds %d, want %d", line, len(got), want)
		}
	}
	lower, _ := parseRequestID(strings.ToLower(uuid2))
	if upper, ok := parseRequestID(uuid2); !ok || upper != lower {
		t.Errorf("%s is read as %x, its lower case as %x", uuid2, upper, lower)
	}
}

func FuzzRequestIDs(f *testing.F) {
	f.Add(uuid1 + " " + uuid2)
	f.Add("--------")
	f.Fuzz(func(t *testing.T, line string) {
		if len(requestIDs(line)) > strings.Count(line, "-")/4 {
			t.Errorf("more UUIDs than hyphens allow in %q", line)
		}
	})
}

// written makes an observer of proxies that have written these lines in Istio's default format, and a gathering of it.
func gatheringOf(t *testing.T, logs map[string][]string) *gathering {
	t.Helper()
	o := &Observer{}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	for hop, lines := range logs {
		tail := kube.ReadTail(ctx, "apps", hop+"-1", proxyContainer, io.NopCloser(strings.NewReader(strings.Join(lines, "\n")+"\n")))
		for deadline := time.Now().Add(10 * time.Second); tail.End() < len(lines); {
			_, _, more := tail.Lines(tail.End())
			select {
			case <-more:
			case <-time.After(time.Until(deadline)):
				t.Fatal("the log is not read")
			}
		}
		o.sources = append(o.sources, &source{hop: Hop{Name: hop}, access: tail, logs: logsOf(t, accesslog.IstioDefault)})
	}
	// As they are read in: the inner hop before the one that knows the probe.
	slices.SortFunc(o.sources, func(a, b *source) int { return strings.Compare(a.hop.Name, b.hop.Name) })
	return newGathering(o, Mark{}, nil)
}

// identities of probes.
const mine, another = "/page?p=mp-BG1-00112233aabb-1", "/page?p=mp-BG1-00112233aabb-2"

func TestGatheringKeepsWhatIsOfProbes(t *testing.T) {
	gateway := []string{
		logged{path: "/foreign", id: uuid3}.text(),
		logged{path: mine, id: uuid1}.text(),
		logged{path: another, id: uuid2}.text(),
		`[2026-11-22T16:04:10.000Z] "- - -" 0 - - - "-" 374 9 0 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.0.50:44758 10.244.200.1:27018 10.244.0.50:2543 - -`,
	}
	inner := []string{
		logged{path: "/details", id: uuid1}.text(),
		logged{path: "/foreign-details", id: uuid3}.text(),
		logged{path: "/retried", id: uuid1}.text(),
		logged{path: "/orders/" + uuid1, id: uuid2}.text(), // with the IDs of two probes
		logged{path: "/health", id: ""}.text(),
	}
	const connection = ""
	for name, test := range map[string]struct {
		gateway, inner []string
		want           []string
	}{
		"whose lines come in any order": {gateway, inner, []string{mine, another, connection, "/details", "/retried", "/orders/" + uuid1, "/health"}},
		"whose request ID is no UUID": {append(slices.Clone(gateway), logged{path: mine, id: "custom"}.text()), append(slices.Clone(inner), logged{path: "/by-custom", id: "custom"}.text()),
			[]string{"/foreign", mine, another, connection, mine, "/details", "/foreign-details", "/retried", "/orders/" + uuid1, "/health", "/by-custom"}},
		"and of no probe": {gateway[:1], inner, []string{"/health"}},
	} {
		t.Run(name, func(t *testing.T) {
			// "a" is read first, and its lines are in waiting when "b" tells whose they are.
			for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
				g := gatheringOf(t, map[string][]string{names[0]: test.gateway, names[1]: test.inner})
				g.read()
				g.read() // what was read is not read again
				var got []string
				for _, line := range g.requests().lines {
					got = append(got, line.Path)
				}
				slices.Sort(got)
				want := slices.Sorted(slices.Values(test.want))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the gateway is %s: lines kept (-want +got):\n%s", names[0], diff)
				}
			}
		})
	}
}

// A probe of which an application passes on nothing but a number is told by it; other numbers are nobody's.
func TestGatheringKeepsWhatHasANumber(t *testing.T) {
	numbered := traffic.NewProbes(traffic.Request{URL: "http://x/product/" + traffic.NumberPlaceholder}, "TC1", 1)[0]
	number := strconv.FormatUint(numbered.Number, 10)
	if len(number) != numberLength {
		t.Fatalf("the number is %s", number)
	}
	logs := map[string][]string{
		"sidecar": {logged{path: "/rating/" + number, id: uuid1}.text(), logged{path: "/rating/7", id: uuid2}.text()},
	}
	for name, test := range map[string]struct {
		results []traffic.Result
		kept    int
	}{"numbered": {[]traffic.Result{{Probe: numbered}}, 1}, "not numbered": {nil, 0}} {
		g := gatheringOf(t, logs)
		g.numbered = newGathering(g.observer, Mark{}, test.results).numbered
		g.read()
		if got := g.requests().lines; len(got) != test.kept {
			t.Errorf("%s: %d lines are kept, want %d", name, len(got), test.kept)
		}
	}
}

// A log of more lines than a block of it holds is read whole.
func TestGatheringReadsLongLogs(t *testing.T) {
	var lines []string
	for number := range 20_000 {
		lines = append(lines, logged{path: fmt.Sprintf("/page?p=mp-BG1-00112233aabb-%d", number), id: ""}.text())
	}
	g := gatheringOf(t, map[string][]string{"gateway": lines})
	g.read()
	if got := g.requests().lines; len(got) != len(lines) || got[19_999].Path != "/page?p=mp-BG1-00112233aabb-19999" {
		t.Errorf("%d lines", len(got))
	}
}
