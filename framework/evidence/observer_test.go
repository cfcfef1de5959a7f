package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/meshproof/meshproof/fixtures/record"
	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/wait"
)

func TestComplete(t *testing.T) {
	whole := Flow{
		Lines:   parse(t, logged{hop: "gateway", cluster: "outbound|9080||page.lab"}, logged{hop: "page", cluster: "inbound|9080||"}),
		Records: []Record{{Hop: "page"}},
	}
	gateway, inbound, served := Witness{Hop: "gateway"}, Witness{Hop: "page", Inbound: true}, Witness{Hop: "page", Record: true}
	for name, test := range map[string]struct {
		flows     []Flow
		witnesses []Witness
		want      bool
	}{
		"all":                                  {[]Flow{whole, whole}, []Witness{gateway, inbound, served}, true},
		"no witness is asked for":              {[]Flow{{}}, nil, true},
		"one flow lacks a line":                {[]Flow{whole, {Records: whole.Records}}, []Witness{gateway}, false},
		"one flow lacks a record":              {[]Flow{whole, {Lines: whole.Lines}}, []Witness{served}, false},
		"an inbound line is no outbound one":   {[]Flow{whole}, []Witness{{Hop: "page"}}, false},
		"an outbound line is no inbound one":   {[]Flow{whole}, []Witness{{Hop: "gateway", Inbound: true}}, false},
		"a line of the hop is no record of it": {[]Flow{whole}, []Witness{{Hop: "gateway", Record: true}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := complete(test.flows, test.witnesses); got != test.want {
				t.Errorf("complete is %t, want %t", got, test.want)
			}
		})
	}
}

// logs is an API server with pods whose logs a test writes.
type logs struct {
	pods []corev1.Pod
	// written are what the logs of each container still have to say, or those of one pod's, as pod/container; a closed
	// channel ends the log.
	written map[string]chan string
	// asked, when set, is called for a log that is not followed, before it is answered.
	asked func(ctx context.Context)
	mu    sync.Mutex
}

// set changes which pods there are.
func (l *logs) set(pods ...corev1.Pod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pods = pods
}

func (l *logs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/log") {
		w.Header().Set("Content-Type", "application/json")
		l.mu.Lock()
		defer l.mu.Unlock()
		_ = json.NewEncoder(w).Encode(corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: l.pods})
		return
	}
	w.WriteHeader(http.StatusOK)
	if r.URL.Query().Get("follow") == "" {
		if l.asked != nil {
			l.asked(r.Context())
		}
		return
	}
	w.(http.Flusher).Flush()
	container := r.URL.Query().Get("container")
	written := l.written[path.Base(path.Dir(r.URL.Path))+"/"+container]
	if written == nil {
		written = l.written[container]
	}
	for {
		select {
		case line, more := <-written:
			if !more {
				return
			}
			fmt.Fprintln(w, line)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func runningPod(name, address string) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: name}, Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address}}
}

// observe follows a page whose proxy writes Istio's default format.
func observe(t *testing.T, server *logs) *Observer {
	t.Helper()
	server.written = map[string]chan string{"istio-proxy": make(chan string), "page": make(chan string), "page-2/page": make(chan string)}
	api := httptest.NewServer(server)
	t.Cleanup(api.Close)
	client, err := kube.New(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel) // before the server closes, which waits for the logs
	o, err := Observe(ctx, client, []Hop{{Name: "page", Namespace: "apps", Selector: "app=page", Proxy: true, Container: "page"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range o.sources {
		s.logs = logsOf(t, accesslog.IstioDefault)
	}
	return o
}

func recordText(t *testing.T, path string) string {
	t.Helper()
	text, err := json.Marshal(record.Request{Kind: record.Kind, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCollectWaitsForEvidenceThatComesLate(t *testing.T) {
	server := &logs{pods: []corev1.Pod{runningPod("page-1", "10.0.0.5")}}
	o := observe(t, server)
	results := sent(2)
	mark := o.Mark()
	go func() {
		for _, result := range results {
			path := "/productpage?meshproof=" + result.Probe.ID
			server.written["istio-proxy"] <- "2026-11-22T16:04:05Z info the proxy's own words"
			server.written["istio-proxy"] <- logged{hop: "page", path: path, cluster: "inbound|9080||"}.text()
			server.written["page"] <- "starting"
			server.written["page"] <- recordText(t, path)
		}
	}()
	flows, err := o.Collect(t.Context(), results, mark, []Witness{{Hop: "page", Inbound: true}, {Hop: "page", Record: true}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int]string{1: "page, page record", 2: "page, page record"}, hopsOf(flows.List)); diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
	if len(flows.Gaps) > 0 {
		t.Errorf("gaps %v", flows.Gaps)
	}
	line, r := flows.List[0].Lines[0], flows.List[0].Records[0]
	if line.Pod != "page-1" || line.Address != "10.0.0.5" || !strings.Contains(line.Raw, results[0].Probe.ID) || r.LogPod != "page-1" {
		t.Errorf("line of pod %q at %q, raw %q; record of pod %q", line.Pod, line.Address, line.Raw, r.LogPod)
	}
}

func TestCollectReturnsWhatThereIsWhenTheTimeIsUp(t *testing.T) {
	o := observe(t, &logs{pods: []corev1.Pod{runningPod("page-1", "10.0.0.5")}})
	flows, err := o.Collect(t.Context(), sent(2), o.Mark(), []Witness{{Hop: "page", Inbound: true}}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(flows.List) != 2 || len(hopsOf(flows.List)) != 0 {
		t.Errorf("%d flows with %v", len(flows.List), hopsOf(flows.List))
	}
}

// TestCollectOutlastsAnAPIServerThatIsStopped: what it keeps back is not missing.
func TestCollectOutlastsAnAPIServerThatIsStopped(t *testing.T) {
	server := &logs{pods: []corev1.Pod{runningPod("page-1", "10.0.0.5")}}
	o := observe(t, server)
	results := sent(1)
	server.asked = func(context.Context) {
		<-time.After(slowAnswer + 100*time.Millisecond)
		server.asked = nil
		go func() {
			server.written["istio-proxy"] <- logged{hop: "page", path: "/productpage?meshproof=" + results[0].Probe.ID, cluster: "inbound|9080||"}.text()
		}()
	}
	flows, err := o.Collect(t.Context(), results, o.Mark(), []Witness{{Hop: "page", Inbound: true}}, 200*time.Millisecond)
	if err != nil || len(flows.Gaps) > 0 {
		t.Fatalf("error %v, gaps %v", err, flows.Gaps)
	}
	if diff := cmp.Diff(map[int]string{1: "page"}, hopsOf(flows.List)); diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
}

func TestCollectTellsOfAnAPIServerThatDoesNotAnswer(t *testing.T) {
	server := &logs{pods: []corev1.Pod{runningPod("page-1", "10.0.0.5")}, asked: func(ctx context.Context) { <-ctx.Done() }}
	o := observe(t, server)
	o.silence = 100 * time.Millisecond
	flows, err := o.Collect(t.Context(), sent(1), o.Mark(), []Witness{{Hop: "page", Inbound: true}}, time.Millisecond)
	if gap := flows.Gaps["page"]; err != nil || !gap.Silent || !strings.Contains(gap.Why, "the API server, through which the logs come, has not answered for 100ms") {
		t.Errorf("error %v, gaps %v", err, flows.Gaps)
	}
}

func TestCollectEndsWithItsContext(t *testing.T) {
	o := observe(t, &logs{pods: []corev1.Pod{runningPod("page-1", "10.0.0.5")}})
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	if _, err := o.Collect(ctx, sent(1), o.Mark(), []Witness{{Hop: "page"}}, time.Minute); !errors.Is(err, interrupted) {
		t.Errorf("error %v, want what ended the context", err)
	}
}

func TestCollectLooksOnlyAtWhatComesAfterTheMark(t *testing.T) {
	server := &logs{pods: []corev1.Pod{runningPod("page-1", "10.0.0.5")}}
	o := observe(t, server)
	results := sent(1)
	at := func(second int) string {
		return logged{hop: "page", path: "/productpage?meshproof=" + results[0].Probe.ID, cluster: "inbound|9080||", second: second}.text()
	}
	access := o.sources[0].access
	_, _, more := access.Lines(0)
	server.written["istio-proxy"] <- at(1)
	<-more
	mark := o.Mark()
	server.written["istio-proxy"] <- at(2)
	flows, err := o.Collect(t.Context(), results, mark, []Witness{{Hop: "page", Inbound: true}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := flows.List[0].Lines; len(got) != 1 || got[0].Start.Second() != 2 {
		t.Errorf("lines %+v, want the one of second 2", got)
	}
}

func TestALogThatBreaksOffIsAGap(t *testing.T) {
	server := &logs{pods: []corev1.Pod{runningPod("page-1", "10.0.0.5")}}
	o := observe(t, server)
	close(server.written["page"])
	for more := range moreOf(o.sources[0].app) {
		<-more
	}
	flows, err := o.Collect(t.Context(), sent(1), o.Mark(), nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	gap := flows.Gaps["page"]
	if !strings.Contains(gap.Why, "the log of apps/page-1 (page) ended") || gap.Remedy == "" {
		t.Errorf("gaps %v, want one of the page's log", flows.Gaps)
	}
}

// moreOf yields what to wait for until the log has broken off.
func moreOf(tail *kube.Tail) func(func(<-chan struct{}) bool) {
	return func(yield func(<-chan struct{}) bool) {
		for {
			_, _, more := tail.Lines(0)
			if tail.Err() != nil || !yield(more) {
				return
			}
		}
	}
}

func TestObserveFollowsRunningPodsOnly(t *testing.T) {
	pending, leaving := runningPod("page-2", ""), runningPod("page-3", "10.0.0.7")
	pending.Status.Phase, leaving.DeletionTimestamp = corev1.PodPending, &metav1.Time{Time: time.Now()}
	o := observe(t, &logs{pods: []corev1.Pod{pending, runningPod("page-1", "10.0.0.5"), leaving}})
	if diff := cmp.Diff([]string{"10.0.0.5"}, o.Addresses("page")); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if got := o.Proxies("page"); len(got) != 1 || got[0].String() != "apps/page-1" {
		t.Errorf("proxies of the page: %v", got)
	}
	if got := o.Proxies("gateway"); len(got) != 0 {
		t.Errorf("proxies of another hop: %v", got)
	}
}

func TestObserveRefusesAHopWithoutARunningPod(t *testing.T) {
	api := httptest.NewServer(&logs{})
	defer api.Close()
	client, err := kube.New(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Observe(t.Context(), client, []Hop{{Name: "page", Namespace: "apps", Selector: "app=page"}}, time.Now())
	if err == nil || !strings.Contains(err.Error(), "no running pod has the labels app=page in namespace apps (hop page)") {
		t.Errorf("error %v", err)
	}
}

func TestPatienceIsOfTheSlowestProxy(t *testing.T) {
	for name, test := range map[string]struct {
		flushes []time.Duration
		want    time.Duration
	}{
		"no proxy":                        {nil, 2 * time.Second},
		"one":                             {[]time.Duration{time.Second}, 4 * time.Second},
		"the slowest, wherever it stands": {[]time.Duration{time.Second, 10 * time.Second, 100 * time.Millisecond}, 22 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Observer{}
			for _, flush := range test.flushes {
				o.sources = append(o.sources, &source{flush: flush})
			}
			if got := o.Patience(); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestScaleWaits(t *testing.T) {
	o := &Observer{sources: []*source{{flush: time.Second}, {flush: 10 * time.Second}}}
	for scale, want := range map[wait.Scale]time.Duration{0: 22 * time.Second, 2: 44 * time.Second} {
		o.ScaleWaits(scale)
		if got := o.Patience(); got != want || o.silence != scale.Of(SilenceTimeout) || o.renewal != scale.Of(RenewTimeout) {
			t.Errorf("scale %v: patience %s, want %s; silence %s, renewal %s", scale, got, want, o.silence, o.renewal)
		}
	}
}
