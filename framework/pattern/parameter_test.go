package pattern

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A value that a user gave is parsed, and only such a value: the pattern's own are right.
func TestAGivenValueIsParsed(t *testing.T) {
	p := example(func(p *Pattern) {
		p.Parameters[2].Parse = func(given string) (string, error) {
			if !strings.HasSuffix(given, ".org") {
				return "", errors.New("it must end in .org")
			}
			return "www." + given, nil
		}
	})
	image := func(string) string { return "image" }
	for name, test := range map[string]struct {
		set  map[string]string
		want string
	}{
		"a right one":   {map[string]string{"hostname": "shop.org"}, ""},
		"a wrong one":   {map[string]string{"hostname": "shop.com"}, "pattern shop: parameter hostname (host name of the shop): it must end in .org"},
		"none":          {nil, ""},
		"a wrong other": {map[string]string{"shop_image": "shop.com"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			values, err := p.Values(test.set, "", image)
			if got := text(err); got != test.want {
				t.Errorf("values %v, error %q, want %q", values, got, test.want)
			}
			if _, given := test.set["hostname"]; err == nil && (values["hostname"] == "www.shop.org") != given {
				t.Errorf("host name %s", values["hostname"])
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestUnrendered(t *testing.T) {
	p := example(func(p *Pattern) {
		p.Parameters = append(p.Parameters, Parameter{Name: "key", Unrendered: true}, Parameter{Name: "port"}, Parameter{Name: "since", Unrendered: true})
	})
	if diff := cmp.Diff([]string{"key", "since"}, p.Unrendered()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := example(nil).Unrendered(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// A value that cannot be made ends the run before anything is touched.
func TestWhatCannotBeMadeIsTold(t *testing.T) {
	broken := errors.New("no randomness")
	p := example(func(p *Pattern) {
		p.Parameters = append(p.Parameters,
			Parameter{Name: "password", Generate: func() (string, error) { return "", broken }},
			Parameter{Name: "url", Compute: func(Values) (string, error) { return "", broken }},
		)
	})
	image := func(string) string { return "image" }
	if _, err := p.Values(nil, "", image); text(err) != "pattern shop: make a value for parameter password: no randomness" {
		t.Errorf("error %v", err)
	}
	values, err := p.Values(map[string]string{"password": "mine"}, "", image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Computed(values, nil); text(err) != "pattern shop: compute parameter url: no randomness" {
		t.Errorf("error %v", err)
	}
}
