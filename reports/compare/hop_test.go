package compare

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// cluster is an entry that so many proxies of a hop have.
func cluster(t *testing.T, proxies int, digest, value string) v1.ConfigurationEntry {
	t.Helper()
	entry := v1.ConfigurationEntry{Name: "outbound|80||shop", Proxies: proxies, Digest: digest}
	if value != "" {
		entry.Value = object(t, value)
	}
	return entry
}

func TestSectionsOfAHop(t *testing.T) {
	one := func(digest, value string) entries {
		return entries{[]v1.ConfigurationEntry{cluster(t, 1, digest, value)}, 1}
	}
	for name, test := range map[string]struct {
		a, b entries
		want []string
	}{
		"the same":             {one("d", `{"v": 1}`), one("d", `{"v": 1}`), nil},
		"another value":        {one("d", `{"v": 1}`), one("e", `{"v": 2}`), []string{"clusters outbound|80||shop / v: 1 -> 2"}},
		"not there any more":   {one("d", `{"v": 1}`), entries{nil, 1}, []string{`clusters outbound|80||shop: {"v":1} -> absent`}},
		"there only now":       {entries{nil, 1}, one("d", `{"v": 1}`), []string{`clusters outbound|80||shop: absent -> {"v":1}`}},
		"more proxies":         {one("d", `{"v": 1}`), entries{[]v1.ConfigurationEntry{cluster(t, 3, "d", `{"v": 1}`)}, 3}, nil},
		"not on every proxy":   {one("d", `{"v": 1}`), entries{[]v1.ConfigurationEntry{cluster(t, 2, "d", `{"v": 1}`)}, 3}, []string{"clusters outbound|80||shop: on 1 of 1 proxies -> on 2 of 3 proxies"}},
		"too large, the same":  {one("d", ""), one("d", ""), nil},
		"too large, another":   {one("d", ""), one("e", ""), []string{"clusters outbound|80||shop: digest d -> digest e"}},
		"too large, only now":  {entries{nil, 1}, one("e", ""), []string{"clusters outbound|80||shop: absent -> digest e"}},
		"two kinds of proxies": {one("d", `{"v": 1}`), entries{[]v1.ConfigurationEntry{cluster(t, 1, "d", `{"v": 1}`), cluster(t, 1, "e", `{"v": 2}`)}, 2}, []string{"clusters outbound|80||shop / v: 1 -> 2"}},
		"two kinds of proxies, both changed": {
			entries{[]v1.ConfigurationEntry{cluster(t, 1, "a", `{"of": 1, "as": 1, "v": 1}`), cluster(t, 1, "b", `{"of": 2, "as": 2, "v": 1}`)}, 2},
			entries{[]v1.ConfigurationEntry{cluster(t, 1, "c", `{"of": 2, "as": 2, "v": 3}`), cluster(t, 1, "d", `{"of": 1, "as": 1, "v": 3}`)}, 2},
			[]string{"clusters outbound|80||shop / v: 1 -> 3", "clusters outbound|80||shop / v: 1 -> 3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, difference := range compareSection(Clusters, test.a, test.b) {
				got = append(got, difference.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

// configured writes the configuration of these hops into a run's folder.
func configured(t *testing.T, folder string, hops ...v1.Configuration) string {
	t.Helper()
	for index, hop := range hops {
		hop.Position, hop.Proxies = index+1, 1
		if err := v1.WriteConfiguration(filepath.Join(folder, "shop"), hop); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func hop(name string, clusters ...v1.ConfigurationEntry) v1.Configuration {
	return v1.Configuration{Hop: name, Clusters: clusters}
}

func TestTheFirstHopThatDiffers(t *testing.T) {
	good, bad := cluster(t, 1, "d", `{"v": 1}`), cluster(t, 1, "e", `{"v": 2}`)
	passed, failed := claim(v1.Passed), claim(v1.Failed, "wrong-cluster")
	as := func(hops ...v1.Configuration) string { return configured(t, result(t, nil, passed), hops...) }
	for name, test := range map[string]struct {
		before, after string
		first         string
		differing     int
		unknown       string
	}{
		"none":                   {as(hop("gateway", good), hop("sidecar", good)), configured(t, result(t, nil, failed), hop("gateway", good), hop("sidecar", good)), "", 0, ""},
		"the last":               {as(hop("gateway", good), hop("sidecar", good)), configured(t, result(t, nil, failed), hop("gateway", good), hop("sidecar", bad)), "sidecar", 1, ""},
		"both":                   {as(hop("sidecar", good), hop("gateway", good)), configured(t, result(t, nil, failed), hop("sidecar", bad), hop("gateway", bad)), "sidecar", 2, ""},
		"one without proxies":    {as(hop("gateway", good), hop("sidecar", good)), configured(t, result(t, nil, failed), hop("gateway", good)), "sidecar", 1, ""},
		"nothing kept before":    {result(t, nil, passed), configured(t, result(t, nil, failed), hop("gateway", good)), "", 0, "run 20261123-020000-aaaa has kept no configuration of its proxies"},
		"nothing kept of B":      {as(hop("gateway", good)), result(t, nil, failed), "", 0, "run 20261123-020000-aaaa has kept no configuration of its proxies"},
		"nothing of either side": {result(t, nil, passed), result(t, nil, failed), "", 0, "run 20261123-020000-aaaa has kept no configuration of its proxies"},
	} {
		t.Run(name, func(t *testing.T) {
			pattern := compared(t, test.before, test.after).Patterns[0]
			differing := 0
			for _, h := range pattern.Hops {
				if len(h.Differences) > 0 {
					differing++
				}
			}
			if got := pattern.Claims[0]; got.Class != Broken || got.FirstHop != test.first || differing != test.differing || pattern.Unknown != test.unknown {
				t.Errorf("%s, first %q, %d differ, unknown %q", got.Class, got.FirstHop, differing, pattern.Unknown)
			}
		})
	}
}

func TestOnlyWhatBrokeHasAFirstHop(t *testing.T) {
	good, bad := cluster(t, 1, "d", `{"v": 1}`), cluster(t, 1, "e", `{"v": 2}`)
	a := configured(t, result(t, nil, claim(v1.Passed)), hop("gateway", good))
	b := configured(t, result(t, nil, claim(v1.Passed)), hop("gateway", bad))
	if got := compared(t, a, b).Patterns[0]; got.Claims[0].FirstHop != "" || len(got.Hops[0].Differences) != 1 {
		t.Errorf("%+v", got)
	}
}

// Of several runs, the one is compared that shows what broke with one that does not.
func TestTheRunThatShowsWhatBroke(t *testing.T) {
	good, bad := cluster(t, 1, "d", `{"v": 1}`), cluster(t, 1, "e", `{"v": 2}`)
	a, b := several(t, claim(v1.Passed), claim(v1.Passed)), several(t, claim(v1.Failed), claim(v1.Passed))
	for _, name := range []string{"20261123-020000-aaaa", "20261123-020001-aaaa"} {
		configured(t, filepath.Join(a, name), hop("gateway", good))
	}
	configured(t, filepath.Join(b, "20261123-020000-aaaa"), hop("gateway", bad))
	configured(t, filepath.Join(b, "20261123-020001-aaaa"), hop("gateway", good))
	if got := compared(t, a, b).Patterns[0].Claims[0]; got.FirstHop != "gateway" {
		t.Errorf("broken: %+v", got)
	}
}

func TestAConfigurationThatCannotBeReadIsNoComparison(t *testing.T) {
	a := configured(t, result(t, nil, claim(v1.Passed)), hop("gateway"))
	write(t, filepath.Join(a, "shop", v1.ConfigurationFolder, "gateway.json"), "hello")
	side, err := Load(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Compare(side, side); err == nil || !strings.Contains(err.Error(), "it is no configuration of a hop") {
		t.Errorf("error %v", err)
	}
}
