package pattern

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// example is a pattern without mistakes; change makes it another one.
func example(change func(*Pattern)) Pattern {
	p := Pattern{
		Name: "shop", Title: "a shop behind a gateway", Manifests: fstest.MapFS{}, Specs: func(*Env) {},
		Parameters: []Parameter{
			{Name: "shop_namespace", Default: "shop", Namespace: true, Description: "namespace of the shop"},
			{Name: "ingress_namespace", Default: "shop-ingress", Namespace: true, Description: "namespace of the gateway"},
			{Name: "hostname", Default: "shop.lab", Description: "host name of the shop", Observed: &Observed{
				APIVersion: "route.openshift.io/v1", Kind: "Route", Namespace: "ingress_namespace", Name: "shop", Paths: [][]string{{"spec", "host"}},
			}},
			{Name: "shop_image", Fixture: "shop", Description: "image of the shop"},
		},
		Agents:       []Agent{{Name: "outside", Namespace: "ingress_namespace", Selector: "app=outside"}, {Name: "inside", Namespace: "shop_namespace", Selector: "app=inside"}},
		Requirements: []Requirement{{Name: "routes", APIVersion: "route.openshift.io/v1", Kind: "Route", Without: "nothing is published"}},
		Hops:         []Hop{{Name: "gateway", Kind: Gateway, Namespace: "ingress_namespace"}, {Name: "shop", Kind: Sidecar, Namespace: "shop_namespace"}},
		Claims: []Claim{
			{Alias: "SH1", Slug: "is-open", Text: "the shop answers", Ends: []string{"client", "gateway"}},
			{Alias: "SH2", Slug: "is-safe", Text: "the shop wants a certificate", Ends: []string{"client", "gateway"}},
		},
	}
	if change != nil {
		change(&p)
	}
	return p
}

func TestValidate(t *testing.T) {
	const incomplete = "it needs Name, Title, Manifests and Specs"
	for name, test := range map[string]struct {
		change func(*Pattern)
		want   string
	}{
		"no mistake":     {nil, ""},
		"no name":        {func(p *Pattern) { p.Name = "" }, incomplete},
		"no title":       {func(p *Pattern) { p.Title = "" }, incomplete},
		"no manifests":   {func(p *Pattern) { p.Manifests = nil }, incomplete},
		"no specs":       {func(p *Pattern) { p.Specs = nil }, incomplete},
		"no claims":      {func(p *Pattern) { p.Claims = nil }, "it has no claims"},
		"no slug":        {func(p *Pattern) { p.Claims[0].Slug = "" }, `claim "SH1" needs Alias, Slug and Text`},
		"no text":        {func(p *Pattern) { p.Claims[0].Text = "" }, `claim "SH1is-open" needs Alias, Slug and Text`},
		"one end":        {func(p *Pattern) { p.Claims[1].Ends = p.Claims[1].Ends[:1] }, "claim SH2 names 1 ends, and needs two independent ones"},
		"an alias twice": {func(p *Pattern) { p.Claims[1].Alias = "SH1" }, "claim SH1 (is-safe) is there twice"},
		"a slug twice":   {func(p *Pattern) { p.Claims[1].Slug = "is-open" }, "claim SH2 (is-open) is there twice"},
		"an alias that identities cannot carry": {func(p *Pattern) { p.Claims[0].Alias = "SH-1" },
			`claim "SH-1": its alias becomes part of the identity of probes: use letters and digits`},
		"an agent in an unknown namespace": {func(p *Pattern) { p.Agents[0].Namespace = "shop" }, `agent outside: "shop" is not a namespace parameter`},
		"an agent in a host name":          {func(p *Pattern) { p.Agents[0].Namespace = "hostname" }, `agent outside: "hostname" is not a namespace parameter`},
		"a requirement without its kind":   {func(p *Pattern) { p.Requirements[0].Kind = "" }, `requirement "routes" needs Name, APIVersion, Kind and Without`},
		"a requirement without its excuse": {func(p *Pattern) { p.Requirements[0].Without = "" }, `requirement "routes" needs Name, APIVersion, Kind and Without`},
		"a requirement twice":              {func(p *Pattern) { p.Requirements = append(p.Requirements, p.Requirements[0]) }, "requirement routes is there twice"},
		"a requirement that is not declared": {func(p *Pattern) { p.Claims[1].Requires = []string{"routes", "gateways"} },
			`claim SH2 requires "gateways", which the pattern does not declare`},
		"a value observed in an unknown namespace": {func(p *Pattern) { p.Parameters[2].Observed.Namespace = "shop" }, `parameter hostname: "shop" is not a namespace parameter`},
		"a value observed from nothing": {func(p *Pattern) { p.Parameters[2].Observed.Name = "" },
			"parameter hostname: what it is observed from needs APIVersion, Kind, Name and Paths"},
		"a value observed nowhere": {func(p *Pattern) { p.Parameters[2].Observed.Paths = nil },
			"parameter hostname: what it is observed from needs APIVersion, Kind, Name and Paths"},
		"a hop in an unknown namespace": {func(p *Pattern) { p.Hops[0].Namespace = "shop" }, `hop gateway: "shop" is not a namespace parameter`},
		"a hop in a host name":          {func(p *Pattern) { p.Hops[1].Namespace = "hostname" }, `hop shop: "hostname" is not a namespace parameter`},
	} {
		t.Run(name, func(t *testing.T) {
			p := example(test.change)
			got, want := "", test.want
			if err := p.Validate(); err != nil {
				got = err.Error()
			}
			if want != "" {
				want = `pattern "` + p.Name + `": ` + want
			}
			if got != want {
				t.Errorf("error %q\nwant  %q", got, want)
			}
		})
	}
}

func TestValidateFindsTheAliasThatIsMissing(t *testing.T) {
	err := example(func(p *Pattern) { p.Claims[0].Alias = "" }).Validate()
	if err == nil || !strings.Contains(err.Error(), `claim "is-open" needs Alias, Slug and Text`) {
		t.Errorf("error %v", err)
	}
}

func TestValidateTellsAllMistakesAtOnce(t *testing.T) {
	err := example(func(p *Pattern) { p.Title, p.Hops[0].Namespace, p.Claims[0].Ends = "", "nowhere", nil }).Validate()
	want := `pattern "shop": it needs Name, Title, Manifests and Specs; claim SH1 names 0 ends, and needs two independent ones; hop gateway: "nowhere" is not a namespace parameter`
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

func TestValues(t *testing.T) {
	image := func(fixture string) string { return "registry.lab/" + fixture + ":1" }
	type set = map[string]string
	for name, test := range map[string]struct {
		set    set
		suffix string
		want   Values
	}{
		"defaults": {nil, "", Values{"shop_namespace": "shop", "ingress_namespace": "shop-ingress", "hostname": "shop.lab", "shop_image": "registry.lab/shop:1"}},
		"set": {set{"hostname": "my.lab", "shop_image": "mine:2"}, "",
			Values{"shop_namespace": "shop", "ingress_namespace": "shop-ingress", "hostname": "my.lab", "shop_image": "mine:2"}},
		"a suffix, on namespaces only": {nil, "b", Values{"shop_namespace": "shop-b", "ingress_namespace": "shop-ingress-b", "hostname": "shop.lab", "shop_image": "registry.lab/shop:1"}},
		"a suffix, not on what is set": {set{"shop_namespace": "mine"}, "b",
			Values{"shop_namespace": "mine", "ingress_namespace": "shop-ingress-b", "hostname": "shop.lab", "shop_image": "registry.lab/shop:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := example(nil).Values(test.set, test.suffix, image)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValuesRefusesWhatItCannotResolve(t *testing.T) {
	withImage := func(string) string { return "image" }
	for name, test := range map[string]struct {
		p      Pattern
		set    map[string]string
		suffix string
		image  func(string) string
		want   string
	}{
		"no default": {p: example(func(p *Pattern) { p.Parameters[2].Default = "" }), image: withImage,
			want: "pattern shop: parameter hostname has no value: set it with --set hostname=VALUE (host name of the shop)"},
		"no default of a namespace, and a suffix": {p: example(func(p *Pattern) { p.Parameters[0].Default = "" }), image: withImage, suffix: "b",
			want: "pattern shop: parameter shop_namespace has no value: set it with --set shop_namespace=VALUE (namespace of the shop)"},
		"no image": {p: example(nil), image: func(string) string { return "" },
			want: "pattern shop: parameter shop_image has no value: set it with --set shop_image=VALUE (image of the shop)"},
		"set to nothing": {p: example(nil), image: withImage, set: map[string]string{"hostname": ""},
			want: "pattern shop: parameter hostname has no value: set it with --set hostname=VALUE (host name of the shop)"},
		"set, and not there": {p: example(nil), image: withImage, set: map[string]string{"host": "x"},
			want: `pattern shop has no parameter "host"`},
	} {
		t.Run(name, func(t *testing.T) {
			values, err := test.p.Values(test.set, test.suffix, test.image)
			if err == nil || err.Error() != test.want {
				t.Errorf("values %v, error %v\nwant %s", values, err, test.want)
			}
		})
	}
}

func TestClaimIsFoundByAliasSlugAndID(t *testing.T) {
	p := example(nil)
	for name, want := range map[string]string{
		"SH2": "SH2", "sh2": "SH2", "is-safe": "SH2", "shop/is-safe": "SH2", "SH1": "SH1",
		"": "", "SH": "", "SH12": "", "IS-SAFE": "", "bank/is-safe": "", "shop/SH2": "",
	} {
		claim, found := p.Claim(name)
		if claim.Alias != want || found != (want != "") {
			t.Errorf("%q finds %q, %t; want %q", name, claim.Alias, found, want)
		}
	}
	if got := p.ID(p.Claims[0]); got != "shop/is-open" {
		t.Errorf("ID %s", got)
	}
}

func TestHopIsFoundByName(t *testing.T) {
	p := example(nil)
	if hop, found := p.Hop("shop"); !found || hop.Kind != Sidecar {
		t.Errorf("hop %+v, %t", hop, found)
	}
	if hop, found := p.Hop("sho"); found {
		t.Errorf("found %+v", hop)
	}
}

func TestAgentAndRequirementAreFoundByName(t *testing.T) {
	p := example(nil)
	if agent, found := p.Agent("inside"); !found || agent.Selector != "app=inside" {
		t.Errorf("agent %+v, %t", agent, found)
	}
	if requirement, found := p.Requirement("routes"); !found || requirement.Kind != "Route" {
		t.Errorf("requirement %+v, %t", requirement, found)
	}
	if agent, found := p.Agent(""); found {
		t.Errorf("found %+v", agent)
	}
	if requirement, found := p.Requirement("Routes"); found {
		t.Errorf("found %+v", requirement)
	}
}

func TestNamespaces(t *testing.T) {
	p := example(nil)
	for name, test := range map[string]struct {
		values Values
		want   []string
	}{
		"in the order of the parameters": {Values{"ingress_namespace": "a", "shop_namespace": "b", "hostname": "c"}, []string{"b", "a"}},
		"one for both":                   {Values{"ingress_namespace": "a", "shop_namespace": "a"}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, p.Namespaces(test.values)); diff != "" {
				t.Errorf("namespaces (-want +got):\n%s", diff)
			}
		})
	}
}

// generating is a pattern with a password and what is computed of it.
func generating(count *int) Pattern {
	return example(func(p *Pattern) {
		p.Parameters = append(p.Parameters,
			Parameter{Name: "password", Secret: true, Description: "of the shop", Generate: func() (string, error) {
				*count++
				return strings.Repeat("pass", *count), nil
			}},
			Parameter{Name: "url", Description: "with the password", Compute: func(v Values) (string, error) {
				return "shop://" + v["password"] + "@" + v["hostname"], nil
			}},
			Parameter{Name: "link", Description: "of the URL", Compute: func(v Values) (string, error) { return "<" + v["url"] + ">", nil }},
		)
	})
}

func TestValuesAreGeneratedForEachRunAndComputedOfTheOthers(t *testing.T) {
	count := 0
	p := generating(&count)
	image := func(string) string { return "image" }
	for _, want := range []string{"<shop://pass@shop.lab>", "<shop://passpass@shop.lab>"} {
		values, err := p.Values(nil, "", image)
		if err != nil {
			t.Fatal(err)
		}
		if _, early := values["url"]; early {
			t.Error("computed before all others are known")
		}
		computed, err := p.Computed(values, nil)
		if err != nil || computed["link"] != want {
			t.Errorf("link %q, want %q (error %v)", computed["link"], want, err)
		}
		if _, changed := values["link"]; changed {
			t.Error("the given values were changed")
		}
	}
}

func TestWhatIsSetIsNeitherGeneratedNorComputed(t *testing.T) {
	count := 0
	p, set := generating(&count), map[string]string{"password": "mine", "url": "u"}
	values, err := p.Values(set, "", func(string) string { return "image" })
	if err != nil {
		t.Fatal(err)
	}
	computed, err := p.Computed(values, set)
	if err != nil || count != 0 || computed["password"] != "mine" || computed["link"] != "<u>" {
		t.Errorf("values %v, generated %d times, error %v", computed, count, err)
	}
}

func TestShownHoldsNoSecretAndNothingComputed(t *testing.T) {
	count := 0
	p := generating(&count)
	values, err := p.Values(nil, "", func(string) string { return "image" })
	if err != nil {
		t.Fatal(err)
	}
	if values, err = p.Computed(values, nil); err != nil {
		t.Fatal(err)
	}
	want := Values{"shop_namespace": "shop", "ingress_namespace": "shop-ingress", "hostname": "shop.lab", "shop_image": "image"}
	if diff := cmp.Diff(want, p.Shown(values)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
