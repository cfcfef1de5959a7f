package proxyconfig

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

func of(name string, value map[string]any) entry { return entry{name: name, value: value} }

func TestProxiesOfAHopAreBroughtTogether(t *testing.T) {
	same, other := map[string]any{"v": 1.0}, map[string]any{"v": 2.0}
	early, late := time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC), time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	merged := merge("reviews", 3, []sections{
		{2: {of("b", same), of("a", same)}, 3: {{name: "default", value: same, expires: late}}},
		{2: {of("a", same), of("b", other)}, 3: {{name: "default", value: same, expires: early}}},
		{2: {of("a", same)}, 3: {{name: "default", value: same, expires: late}}},
	})
	if merged.Hop != "reviews" || merged.Position != 3 || merged.Proxies != 3 {
		t.Errorf("%+v", merged)
	}
	var clusters []string
	for _, c := range merged.Clusters {
		clusters = append(clusters, c.Name+" "+text(c.Value)+" "+strings.Repeat("*", c.Proxies))
	}
	if diff := cmp.Diff(2, strings.Count(strings.Join(clusters, ";"), "b ")); diff != "" || len(clusters) != 3 || clusters[0] != `a {"v":1} ***` {
		t.Errorf("clusters %q", clusters)
	}
	if len(merged.Secrets) != 1 || merged.Secrets[0].Proxies != 3 || !merged.Secrets[0].Expires.Equal(early) {
		t.Errorf("secrets %+v", merged.Secrets)
	}
}

func TestTheDigestIsThatOfTheValue(t *testing.T) {
	digestOf := func(value map[string]any) string {
		return merge("a", 1, []sections{{0: {of("x", value)}}}).Listeners[0].Digest
	}
	if digestOf(map[string]any{"a": 1.0, "b": 2.0}) != digestOf(map[string]any{"b": 2.0, "a": 1.0}) {
		t.Error("the order of fields makes a difference")
	}
	if digestOf(map[string]any{"a": 1.0}) == digestOf(map[string]any{"a": 2.0}) {
		t.Error("another value makes none")
	}
}

func TestWhatIsTooLargeIsKnownByItsDigest(t *testing.T) {
	large := map[string]any{"v": strings.Repeat("x", mostOfEntry)}
	merged := merge("a", 1, []sections{{0: {of("large", large), of("small", map[string]any{"v": 1.0})}}})
	if merged.Listeners[0].Value != nil || merged.Listeners[0].Digest == "" || merged.Listeners[1].Value == nil {
		t.Errorf("listeners %v", merged.Listeners)
	}
	var many []entry
	for index := range 2 * mostOfHop / mostOfEntry {
		many = append(many, of(strings.Repeat("n", index+1), map[string]any{"v": strings.Repeat("x", mostOfEntry-100)}))
	}
	kept := 0
	for _, c := range merge("a", 1, []sections{{2: many}}).Clusters {
		kept += len(text(c.Value))
		if c.Digest == "" {
			t.Errorf("%s has no digest", c.Name)
		}
	}
	if kept > mostOfHop+len(many)*len("null") || kept < mostOfHop/2 {
		t.Errorf("%d bytes are kept of at most %d", kept, mostOfHop)
	}
}

func TestCertificatesAreReducedToWhatTheySay(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	names := NewNames([]Parameter{{Name: "shop_namespace", Value: "shop", Namespace: true}}, nil, nil, "cluster.local")
	described := describeSecrets([]envoy.Secret{
		{Name: "default", Kind: envoy.CertificateSecret, Certificates: []envoy.Certificate{
			{Subject: "", Issuer: "O=cluster.local", Serial: "17", URIs: []string{"spiffe://cluster.local/ns/shop/sa/page"}, NotAfter: now.Add(time.Hour)},
			{Subject: "O=cluster.local", Issuer: "O=cluster.local", CA: true, NotAfter: now.Add(-time.Hour)},
		}},
		{Name: "kubernetes://shop-credential", Problem: "the proxy waits for it", Rejected: "no"},
	}, names, now)
	if diff := cmp.Diff(map[string]any{"kind": "certificate", "certificates": []any{
		map[string]any{"subject": "", "issuer": "O=cluster.local", "names": "spiffe://${trust domain}/ns/${shop_namespace}/sa/page"},
		map[string]any{"subject": "O=cluster.local", "issuer": "O=cluster.local", "names": "", "authority": true, "expired": true},
	}}, described[0].value); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	if !described[0].expires.Equal(now.Add(-time.Hour)) {
		t.Errorf("expires %s", described[0].expires)
	}
	if diff := cmp.Diff(map[string]any{"kind": "", "problem": "the proxy waits for it", "rejected": "no"}, described[1].value); diff != "" || !described[1].expires.IsZero() {
		t.Errorf("one that is not there (-want +got):\n%s", diff)
	}
}
