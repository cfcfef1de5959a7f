package evidence

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/traffic"
)

// hops of the benchmark: each has one pod, whose proxy writes one line for each request that passes it.
var scaleHops = []string{"gateway", "productpage", "details", "reviews", "ratings"}

// BenchmarkJoinAtScale joins the evidence of one probe for every hundred lines: each passes five hops, and the rest of the
// lines is of other people's requests and, one in a hundred, connections. It reads the logs as a run does, from streams,
// and finds every line of every probe, or fails. `make bench` runs it, each size in a process of its own.
func BenchmarkJoinAtScale(b *testing.B) {
	for _, lines := range []int{250_000, 500_000, 1_000_000} {
		b.Run(strconv.Itoa(lines), func(b *testing.B) {
			for b.Loop() {
				joinAtScale(b, lines)
			}
			b.ReportMetric(peak(b), "peak-MB")
			b.ReportMetric(float64(lines), "lines")
		})
	}
}

func joinAtScale(b *testing.B, lines int) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	LimitMemory()
	started := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	probes := traffic.NewProbes(traffic.Request{URL: "http://page.lab/productpage"}, "BG1", lines/100)
	results := make([]traffic.Result, len(probes))
	for index, probe := range probes {
		results[index] = traffic.Result{Probe: probe, Status: 200, StartedAt: started, Duration: time.Hour}
	}
	format, err := accesslog.CompileText(accesslog.IstioDefault)
	if err != nil {
		b.Fatal(err)
	}
	o := &Observer{gaps: map[string]Gap{}}
	var witnesses []Witness
	for number, name := range scaleHops {
		o.hops = append(o.hops, Hop{Name: name})
		s := &source{hop: Hop{Name: name}, pod: corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name + "-1"}, Status: corev1.PodStatus{PodIP: fmt.Sprintf("10.244.0.%d", number+5)}}}
		s.logs, _ = takeLogs("apps/"+name, []accesslog.Sink{{Kind: accesslog.HTTP, Provider: "file", Path: "/dev/stdout", Readable: true, Format: format}})
		s.access = kube.ReadTail(ctx, "apps", name+"-1", proxyContainer, io.NopCloser(&proxyLog{hop: number, lines: lines / len(scaleHops), probes: probes}))
		o.sources = append(o.sources, s)
		witnesses = append(witnesses, Witness{Hop: name})
	}
	flows, whole, err := o.collect(ctx, newGathering(o, Mark{}, nil), results, witnesses, time.Minute)
	if err != nil || !whole {
		b.Fatalf("whole %t: %v", whole, err)
	}
	for _, flow := range flows.List {
		if len(flow.Lines) != len(scaleHops) {
			b.Fatalf("probe %s has %d lines", flow.ID(), len(flow.Lines))
		}
	}
}

// proxyLog is what a proxy writes: of every hundred lines five are of probes' requests, one of a connection, the rest of
// others' requests.
type proxyLog struct {
	hop, lines, at int
	probes         []traffic.Probe
	rest           []byte
}

func (p *proxyLog) Read(buffer []byte) (int, error) {
	for len(p.rest) < len(buffer) && p.at < p.lines {
		p.rest = p.line(p.rest, p.at)
		p.at++
	}
	if len(p.rest) == 0 {
		<-make(chan struct{}) // the proxy goes on, and writes no more
	}
	n := copy(buffer, p.rest)
	p.rest = p.rest[:copy(p.rest, p.rest[n:])]
	return n, nil
}

func (p *proxyLog) line(text []byte, at int) []byte {
	const head = "[2026-11-22T16:30:00.000Z] "
	if at%100 == 1 {
		return fmt.Appendf(text, head+`"- - -" 0 - - - "-" 374 9 0 - "-" "-" "-" "-" "10.244.200.1:27018" outbound|27018||mongo.lab 10.244.1.50:%d 10.244.200.1:27018 10.244.1.51:%d - -`+"\n", at%60000, at%59999)
	}
	path, request := "/orders/latest", fmt.Sprintf("%08x-57a6-43d5-a22a-a88341%06x", at, p.hop)
	if at%20 == 0 {
		probe := at / 20
		request = fmt.Sprintf("%08x-57a6-43d5-b33b-a88341826b3b", probe)
		path = "/details/0"
		if p.hop == 0 { // only the first hop sees who it is
			path = "/productpage?meshproof=" + p.probes[probe].ID
		}
	}
	return fmt.Appendf(text, head+`"GET %s HTTP/1.1" 200 - via_upstream - "-" 0 1587 23 22 "10.244.0.1" "Mozilla/5.0 (X11; Linux x86_64)" "%s" "bookinfo.apps.lab" "10.244.0.22:9080" outbound|9080||productpage.bookinfo.svc.cluster.local 10.244.0.13:47928 10.244.0.13:8080 10.244.0.1:56490 - default`+"\n", path, request)
}

// peak is the most memory that this process has had resident, in megabytes.
func peak(b *testing.B) float64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("there is no /proc to read the peak from")
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib * 1024 / 1e6
		}
	}
	b.Fatal("no VmHWM in /proc/self/status")
	return 0
}
