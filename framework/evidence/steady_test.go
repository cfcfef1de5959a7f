package evidence

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/meshproof/meshproof/framework/kube"
)

// pagePod is a running pod of the page, with the identity uid.
func pagePod(name, uid string, change ...func(*corev1.Pod)) corev1.Pod {
	pod := runningPod(name, "10.0.0.5")
	pod.UID, pod.Labels = types.UID(uid), map[string]string{"app": "page"}
	for _, c := range change {
		c(&pod)
	}
	return pod
}

func leaving(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{Time: time.Now()} }

func TestSteady(t *testing.T) {
	restarted := func(pod *corev1.Pod) { pod.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 1}} }
	sidecarRestarted := func(pod *corev1.Pod) { pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{RestartCount: 1}} }
	pending := func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodPending }
	other := func(pod *corev1.Pod) { pod.Labels = map[string]string{"app": "other"} }
	was := pagePod("page-1", "u1")
	for name, test := range map[string]struct {
		now  []corev1.Pod
		want string
	}{
		"the same":                        {[]corev1.Pod{was}, ""},
		"a pod of somebody else":          {[]corev1.Pod{was, pagePod("other-1", "u2", other)}, ""},
		"a pod that does not run yet":     {[]corev1.Pod{was, pagePod("page-2", "u2", pending)}, ""},
		"one that is leaving, not ours":   {[]corev1.Pod{was, pagePod("page-2", "u2", leaving)}, ""},
		"gone":                            {nil, "pod page-1 is gone"},
		"being deleted":                   {[]corev1.Pod{pagePod("page-1", "u1", leaving)}, "pod page-1 is being deleted"},
		"another of the same name":        {[]corev1.Pod{pagePod("page-1", "u2")}, "pod page-1 is gone, pod page-1 is new"},
		"one more":                        {[]corev1.Pod{was, pagePod("page-2", "u2")}, "pod page-2 is new"},
		"its container was restarted":     {[]corev1.Pod{pagePod("page-1", "u1", restarted)}, "pod page-1 was restarted"},
		"its native sidecar was, instead": {[]corev1.Pod{pagePod("page-1", "u1", sidecarRestarted)}, "pod page-1 was restarted"},
	} {
		t.Run(name, func(t *testing.T) {
			server := &logs{pods: []corev1.Pod{was}}
			o := observe(t, server)
			server.set(test.now...)
			err := o.Steady(t.Context())
			if want := "the pods of page changed: " + test.want; test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestRenewFollowsThePodThatTookOver: a pod that was deleted costs the claim that was being judged, not those after it.
func TestRenewFollowsThePodThatTookOver(t *testing.T) {
	readied := func(pod *corev1.Pod) {
		pod.Status.PodIP = "10.0.0.6"
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	server := &logs{pods: []corev1.Pod{pagePod("page-1", "u1")}}
	o := observe(t, server)
	o.hops[0].Proxy = false // there is none that could be asked for its log's format
	before := o.sources[0]
	if err := o.Renew(t.Context()); err != nil || o.sources[0] != before {
		t.Fatalf("error %v, or a steady pod is followed anew", err)
	}
	server.set(pagePod("page-1", "u1", leaving), pagePod("page-2", "u2"))
	go func() {
		<-time.After(2 * renewPeriod)
		server.set(pagePod("page-2", "u2", readied))
	}()
	if err := o.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"10.0.0.6"}, o.Addresses("page")); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if err := o.Steady(t.Context()); err != nil {
		t.Error(err)
	}
	results := sent(1)
	go func() { server.written["page-2/page"] <- recordText(t, "/productpage?meshproof="+results[0].Probe.ID) }()
	flows, err := o.Collect(t.Context(), results, o.Mark(), []Witness{{Hop: "page", Record: true}}, time.Minute)
	if err != nil || len(flows.Gaps) > 0 || len(flows.List[0].Records) != 1 || flows.List[0].Records[0].LogPod != "page-2" {
		t.Errorf("error %v, flows %+v", err, flows)
	}
}

// A pod that stays when its hop gets another is followed as before: a second log of it would tell everything twice.
func TestRenewKeepsThePodThatStays(t *testing.T) {
	readied := func(pod *corev1.Pod) {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	server := &logs{pods: []corev1.Pod{pagePod("page-1", "u1", readied)}}
	o := observe(t, server)
	o.hops[0].Proxy = false // there is none that could be asked for its log's format
	before := o.sources[0]
	before.proxy = nil
	server.set(pagePod("page-1", "u1", readied), pagePod("page-2", "u2", readied))
	if err := o.Renew(t.Context()); err != nil || len(o.sources) != 2 || o.sources[0] != before || len(o.retired) != 0 {
		t.Fatalf("error %v, %d pods, %d retired", err, len(o.sources), len(o.retired))
	}
	server.set(pagePod("page-1", "u1", readied))
	if err := o.Renew(t.Context()); err != nil || len(o.sources) != 1 || o.sources[0] != before || len(o.retired) != 1 {
		t.Fatalf("error %v, %d pods, %d retired", err, len(o.sources), len(o.retired))
	}
}

// A hop that is scaled to no pod is not waited for; it is observed again as soon as it has one.
func TestRenewOfAnAbsentHop(t *testing.T) {
	readied := func(pod *corev1.Pod) {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	server := &logs{pods: []corev1.Pod{pagePod("page-1", "u1")}}
	o := observe(t, server)
	o.hops[0].Proxy = false // there is none that could be asked for its log's format
	server.set()
	if err := o.Renew(t.Context(), "page"); err != nil {
		t.Fatal(err)
	}
	if gap := o.gapsNow()["page"]; len(o.sources) != 0 || !gap.Silent {
		t.Errorf("%d pods are observed, gap %+v", len(o.sources), gap)
	}
	if err := o.Steady(t.Context()); err != nil {
		t.Error(err)
	}
	server.set(pagePod("page-2", "u2", readied))
	if err := o.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, gap := o.gapsNow()["page"]; len(o.sources) != 1 || o.sources[0].pod.Name != "page-2" || gap {
		t.Errorf("%d pods are observed, a gap: %t", len(o.sources), gap)
	}
}

func TestSteadyTellsThatTheAPIServerWasAsked(t *testing.T) {
	o := observe(t, &logs{pods: []corev1.Pod{pagePod("page-1", "u1")}})
	api := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(api.Close)
	var err error
	if o.client, err = kube.New(&rest.Config{Host: api.URL}); err != nil {
		t.Fatal(err)
	}
	if err := o.Steady(t.Context()); err == nil || !strings.Contains(err.Error(), "ask the API server for the pods of namespace apps") {
		t.Errorf("error %v", err)
	}
}
