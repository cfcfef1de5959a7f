package lab

import (
	"strings"
	"testing"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// What a running lab lacks is added; what it has in another version is refused, and what nobody asked for stays as it is.
func TestMissing(t *testing.T) {
	newer := &Lab{Name: "mine", Kubernetes: "v1.36.3", Revisions: []Revision{{Name: "default", Istio: "1.31.0", Envoy: "1.40.0"}}}
	older := &Lab{Name: "mine", Kubernetes: "v1.34.4", Revisions: []Revision{{Name: "default", Istio: "1.27.9", Envoy: "1.36.4"}}}
	both := &Lab{Name: "mine", Kubernetes: "v1.36.3", Revisions: append(newer.Revisions, Revision{Name: "1-27", Istio: "1.27.9", Envoy: "1.36.4"})}
	istio := func(versions ...string) build.Versions { return build.Versions{Istio: versions} }
	for name, row := range map[string]struct {
		lab     *Lab
		asked   build.Versions
		missing string // revisions
		refused string
	}{
		"nothing asked":               {newer, build.Versions{}, "", ""},
		"nothing asked of another":    {older, build.Versions{}, "", ""},
		"what it has":                 {newer, build.Versions{Kubernetes: "1.36", Istio: []string{"1.31"}, Envoy: "1.40"}, "", ""},
		"another revision":            {newer, istio("1.31", "1.27"), "1-27", ""},
		"a newer revision":            {older, istio("1.27", "1.31"), "1-31", ""},
		"both, as they are":           {both, istio("1.31", "1.27"), "", ""},
		"fewer than it has":           {both, istio("1.31"), "", ""},
		"another default":             {newer, istio("1.27"), "", `lab "mine" runs as its revision default Istio 1.31.0, not 1.27.9`},
		"the default as a revision":   {older, istio("1.31", "1.27"), "", "Istio 1.27.9, not 1.31.0"},
		"another Kubernetes":          {newer, build.Versions{Kubernetes: "1.34"}, "", "Kubernetes v1.36.3, not v1.34.4"},
		"another Envoy":               {newer, build.Versions{Envoy: "1.39"}, "", "in its revision default Envoy 1.40.0, not 1.39.3"},
		"a lab that wrote down none":  {&Lab{Name: "mine", Kubernetes: "v1.36.3"}, build.Versions{}, "", "another version of meshproof"},
		"istio-cni beside":            {newer, istio("1.31", "1.31+cni"), "1-31-cni", ""},
		"istio-cni of the default":    {newer, istio("1.31+cni"), "", "its revision default without istio-cni, not with istio-cni"},
		"another Envoy of a revision": {both, build.Versions{Istio: []string{"1.31", "1.27"}, Envoy: "1.40"}, "", "in its revision 1-27 Envoy 1.36.4, not 1.40.0"},
	} {
		t.Run(name, func(t *testing.T) {
			selection, err := row.asked.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			missing, err := row.lab.missing(row.asked, selection)
			if row.refused != "" {
				if err == nil || !strings.Contains(err.Error(), row.refused) {
					t.Errorf("error = %v\nwant one with %q", err, row.refused)
				}
				return
			}
			var names []string
			for _, revision := range missing {
				names = append(names, revision.Name)
			}
			if got := strings.Join(names, " "); err != nil || got != row.missing {
				t.Errorf("missing %q, error %v; want %q", got, err, row.missing)
			}
		})
	}
}
