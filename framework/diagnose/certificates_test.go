package diagnose

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestACertificateTellsHowLongItIsGood(t *testing.T) {
	for name, test := range map[string]struct {
		until   time.Time
		days    int
		expired bool
	}{
		"a week":       {noon.Add(7*24*time.Hour + time.Minute), 7, false},
		"an hour":      {noon.Add(time.Hour), 0, false},
		"an hour ago":  {noon.Add(-time.Hour), -1, true},
		"two days ago": {noon.Add(-47 * time.Hour), -2, true},
	} {
		got := described(envoy.Certificate{
			Subject: "CN=shop", Issuer: "CN=authority", DNS: []string{"shop.lab"}, URIs: []string{"spiffe://lab/ns/shop/sa/page"}, IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7")},
			NotBefore: noon.Add(-time.Hour), NotAfter: test.until,
		}, noon)
		want := certificate{
			Subject: "CN=shop", Issuer: "CN=authority", Names: []string{"shop.lab", "spiffe://lab/ns/shop/sa/page", "192.0.2.7"},
			NotBefore: "2026-11-27T11:00:00Z", NotAfter: test.until.Format(time.RFC3339), DaysLeft: test.days, Expired: test.expired,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What a server presented is told once, however many probes saw it.
func TestWhatServersPresentedIsToldOnce(t *testing.T) {
	seen := func(probe, name, fingerprint string) evidence.Flow {
		var flow evidence.Flow
		flow.Result.Probe.ID = probe
		flow.Result.TLS = &wire.TLS{Version: "TLS 1.3", ServerName: name, Chain: []wire.Certificate{{Subject: "CN=" + name, Issuer: "CN=authority", DNSNames: []string{name}, SHA256: fingerprint, NotAfter: noon.Add(48 * time.Hour)}}}
		return flow
	}
	got := presentedTo([]evidence.Flow{seen("mp-1", "shop.lab", "aa"), seen("mp-2", "shop.lab", "aa"), {}, seen("mp-3", "shop.lab", "bb")}, noon)
	chain := []certificate{{Subject: "CN=shop.lab", Issuer: "CN=authority", Names: []string{"shop.lab"}, NotAfter: "2026-11-29T12:00:00Z", DaysLeft: 2}}
	want := []presented{{Probe: "mp-1", Asked: "shop.lab", Version: "TLS 1.3", Chain: chain}, {Probe: "mp-3", Asked: "shop.lab", Version: "TLS 1.3", Chain: chain}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("presented (-want +got):\n%s", diff)
	}
}
