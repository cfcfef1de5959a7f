package compare

import (
	"path/filepath"
	"slices"
	"testing"
)

// The runs under testdata were recorded on one lab: basic-gateway on Istio 1.27.9 and 1.31.0, and on 1.31.0 with the overlays that
// its mutants other-destination and plain-text-to-ratings are. Their evidence is cut out, and the configuration is that of the
// hops gateway, productpage, reviews and ratings; what all of them have is known by its digest only.
const (
	istio127         = "istio-1.27"
	istio131         = "istio-1.31"
	otherDestination = "other-destination"
	plainTextRatings = "plain-text-to-ratings"
)

func recorded(t *testing.T, a, b string) Pattern {
	t.Helper()
	return compared(t, filepath.Join("testdata", a), filepath.Join("testdata", b)).Patterns[0]
}

// Two versions of Istio configure the proxies of unchanged fixtures to do the same, in whichever direction they are compared; it is
// known differences that make it so, and they hide nothing between runs of one version.
func TestTwoVersionsOfIstioDoTheSame(t *testing.T) {
	for _, sides := range [][2]string{{istio127, istio131}, {istio131, istio127}} {
		pattern := recorded(t, sides[0], sides[1])
		explained := 0
		for _, hop := range pattern.Hops {
			for _, difference := range hop.Differences {
				t.Errorf("%s to %s, %s: %s", sides[0], sides[1], hop.Name, difference)
			}
			for _, known := range hop.Known {
				explained += known.Differences
			}
		}
		if len(pattern.Hops) != 4 || explained == 0 {
			t.Errorf("%d hops, %d differences are explained", len(pattern.Hops), explained)
		}
		for _, claim := range pattern.Claims {
			if claim.Class == Broken || claim.Class == Fixed || claim.Class == New || claim.Class == Gone {
				t.Errorf("%s is %s", claim.Alias, claim.Class)
			}
		}
	}
}

// What a mutant breaks is found at the hop that it changes, also when the version of Istio has changed at the same time.
func TestWhatBrokeIsFoundAtItsHop(t *testing.T) {
	for _, before := range []string{istio127, istio131} {
		for after, want := range map[string]struct{ alias, hop, kind string }{
			otherDestination: {"BG1", "gateway", Routes},
			plainTextRatings: {"BG3", "reviews", TLS},
		} {
			t.Run(before+" "+after, func(t *testing.T) {
				pattern := recorded(t, before, after)
				index := slices.IndexFunc(pattern.Claims, func(c Claim) bool { return c.Alias == want.alias })
				if got := pattern.Claims[index]; got.Class != Broken || got.FirstHop != want.hop {
					t.Errorf("%s is %s, first hop %q", got.Alias, got.Class, got.FirstHop)
				}
				index = slices.IndexFunc(pattern.Hops, func(h Hop) bool { return h.Name == want.hop })
				if index < 0 || !slices.ContainsFunc(pattern.Hops[index].Differences, func(d Difference) bool { return d.Kind == want.kind }) {
					t.Errorf("no difference of %s: %v", want.kind, pattern.Hops)
				}
				back := recorded(t, after, before)
				index = slices.IndexFunc(back.Claims, func(c Claim) bool { return c.Alias == want.alias })
				if got := back.Claims[index]; got.Class != Fixed || got.FirstHop != "" {
					t.Errorf("back: %s is %s, first hop %q", got.Alias, got.Class, got.FirstHop)
				}
			})
		}
	}
}
