package envoy

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseServerInfo(t *testing.T) {
	got, err := ParseServerInfo(bytes.NewReader(testdata(t, "server_info.json")))
	if err != nil {
		t.Fatal(err)
	}
	want := ServerInfo{
		Version:           "9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL",
		State:             "LIVE",
		Uptime:            12 * time.Second,
		UptimeAllEpochs:   12 * time.Second,
		NodeID:            "sidecar~10.244.0.22~ratings-v2-5f8c.bookinfo~bookinfo.svc.cluster.local",
		NodeCluster:       "ratings.bookinfo",
		Concurrency:       2,
		FileFlushInterval: 100 * time.Millisecond,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ServerInfo (-want +got):\n%s", diff)
	}
	if got.Release() != "1.40.0" {
		t.Errorf("Release() = %q", got.Release())
	}
	if r := (ServerInfo{Version: "dev"}).Release(); r != "" {
		t.Errorf("Release() of %q = %q", "dev", r)
	}
}

func TestParseServerInfoErrors(t *testing.T) {
	for answer, want := range map[string]string{
		"":   "/server_info",
		`{}`: "no \"version\"",
		`{"version":"a/1/b","uptime_current_epoch":"soon"}`: "not a duration",
		`{"version":"a/1/b","uptime_current_epoch":7}`:      "not a duration",
	} {
		if _, err := ParseServerInfo(strings.NewReader(answer)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", answer, err, want)
		}
	}
}

func TestAProxyThatDoesNotSayWritesItsLogEveryTenSeconds(t *testing.T) {
	info, err := ParseServerInfo(strings.NewReader(`{"version":"a/1/b","command_line_options":{"concurrency":2}}`))
	if err != nil || info.FileFlushInterval != 10*time.Second {
		t.Errorf("every %s, error %v", info.FileFlushInterval, err)
	}
}
