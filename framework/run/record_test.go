package run

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/meshproof/meshproof/framework/pattern"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// recording is an installation whose proxy can be asked, and what it writes to its journal.
func recording(t *testing.T, beside *proxy) (*installation, *bytes.Buffer) {
	t.Helper()
	c, _ := configured(t, beside)
	var written bytes.Buffer
	c.install.child.journal = v1.NewJournal(&written, v1.JournalOptions{})
	c.install.child.job.Results = filepath.Join(t.TempDir(), "shop")
	return c.install, &written
}

func TestTheConfigurationOfEveryHopIsKept(t *testing.T) {
	beside := &proxy{}
	ours := "page.shop.svc.cluster.local"
	beside.route.Store(&ours)
	i, written := recording(t, beside)
	i.record(t.Context(), i.child.env.Observer.Proxies())
	kept, err := v1.LoadConfigurations(i.child.job.Results)
	if err != nil || len(kept) != 1 || written.Len() > 0 {
		t.Fatalf("%d hops, error %v, events %s", len(kept), err, written)
	}
	page := kept[0]
	if page.Hop != "page" || page.Position != 1 || page.Proxies != 1 || len(page.Listeners) != 1 || page.Listeners[0].Name != "virtualInbound" {
		t.Errorf("kept %+v", page)
	}
	if len(page.Routes) != 1 || page.Routes[0].Name != "page.${shop_namespace}.svc.cluster.local" {
		t.Errorf("routes %+v", page.Routes)
	}
}

func TestWhatCannotBeKeptIsANoteAndNoVerdict(t *testing.T) {
	beside := &proxy{}
	i, written := recording(t, beside)
	beside.silent.Store(true)
	i.record(t.Context(), i.child.env.Observer.Proxies())
	if kept, err := v1.LoadConfigurations(i.child.job.Results); len(kept) > 0 || err != nil {
		t.Errorf("kept %v, error %v", kept, err)
	}
	events := eventsOf(t, written)
	if len(events) != 1 || events[0].Type != v1.Note || !strings.Contains(events[0].Message, "the configuration of the proxies could not be kept") || !strings.Contains(events[0].Message, "ask proxy shop/page-1") {
		t.Errorf("events %+v", events)
	}
}

func TestHostsOf(t *testing.T) {
	objects := decode(t, `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec: {hosts: [a.lab, b.lab]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [b.lab, page]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec: {host: "*.c.lab"}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: a}
spec: {servers: [{hosts: ["./d.lab", shop/e.lab]}, {}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {host: no.lab}
`)
	if diff := cmp.Diff([]string{"a.lab", "b.lab", "page", "*.c.lab", "d.lab", "e.lab"}, hostsOf(objects)); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func TestMedianLatency(t *testing.T) {
	sample := func(count int) []time.Duration {
		var latencies []time.Duration
		for number := range count { // in no order
			latencies = append(latencies, time.Duration((number*7)%count+1)*time.Second)
		}
		return latencies
	}
	for name, test := range map[string]struct {
		sample []time.Duration
		want   *v1.MedianLatency
	}{
		"none":                             {nil, nil},
		"one":                              {sample(1), &v1.MedianLatency{Probes: 1, Seconds: 1, Low: 1, High: 1}},
		"too few for an interval":          {sample(4), &v1.MedianLatency{Probes: 4, Seconds: 2.5, Low: 1, High: 4}},
		"enough":                           {sample(20), &v1.MedianLatency{Probes: 20, Seconds: 10.5, Low: 4, High: 17}},
		"more, so that it is known better": {sample(100), &v1.MedianLatency{Probes: 100, Seconds: 50.5, Low: 37, High: 64}},
	} {
		if diff := cmp.Diff(test.want, medianLatency(test.sample)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A run's judging notes how long what was served took, and nothing of what was not.
func TestJudgeTellsTheMedianLatency(t *testing.T) {
	claim := judge(v1.Claim{}, specReport(types.SpecStatePassed, ""), pattern.Outcome{Latencies: []time.Duration{time.Second, 3 * time.Second, 2 * time.Second}})
	if claim.MedianLatency == nil || claim.MedianLatency.Seconds != 2 || claim.MedianLatency.Probes != 3 {
		t.Errorf("%+v", claim.MedianLatency)
	}
	if claim = judge(v1.Claim{}, specReport(types.SpecStatePassed, ""), pattern.Outcome{}); claim.MedianLatency != nil {
		t.Errorf("of no probe: %+v", claim.MedianLatency)
	}
}
