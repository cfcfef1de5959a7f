package build

import (
	"strings"
	"testing"
)

// setVersions replaces the tables for one test.
func setVersions(t *testing.T) {
	t.Helper()
	kubernetes, istio, envoys := kubernetesVersions, istioVersions, envoyVersions
	t.Cleanup(func() { kubernetesVersions, istioVersions, envoyVersions = kubernetes, istio, envoys })
	kubernetesVersions = []KubernetesVersion{{Version: "v1.36.3", Module: "kubernetes"}, {Version: "v1.36.10"}, {Version: "v1.35.9"}}
	istioVersions = []IstioVersion{{Version: "1.31.0", Envoy: "1.40.0"}, {Version: "1.30.2", Envoy: "1.39.3"}, {Version: "1.30.1", Envoy: "1.39.3"}, {Version: "1.27.9", Envoy: "1.36.4"}}
	envoyVersions = []EnvoyVersion{{Version: "1.40.0"}, {Version: "1.39.3"}, {Version: "1.36.4"}, {Version: "1.4.1"}}
}

// describe is, for example, "v1.36.3 default=1.31.0/1.40.0 1-27=1.27.9/1.36.4": Istio and Envoy by revision.
func describe(selection Selection) string {
	words := []string{selection.Kubernetes.Version}
	for _, revision := range selection.Revisions {
		word := revision.Name + "=" + revision.Istio.Version + "/" + revision.Envoy.Version
		if revision.CNI {
			word += WithCNI
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestResolve(t *testing.T) {
	setVersions(t)
	istio := func(versions ...string) []string { return versions }
	for name, row := range map[string]struct {
		versions Versions
		want     string
	}{
		"defaults":                    {Versions{}, "v1.36.3 default=1.31.0/1.40.0"},
		"whole versions":              {Versions{Kubernetes: "v1.36.10", Istio: istio("1.30.2"), Envoy: "1.4.1"}, "v1.36.10 default=1.30.2/1.4.1"},
		"one letter more":             {Versions{Istio: istio("v1.30.2")}, "v1.36.3 default=1.30.2/1.39.3"},
		"one letter less":             {Versions{Kubernetes: "1.35.9"}, "v1.35.9 default=1.31.0/1.40.0"},
		"prefixes":                    {Versions{Kubernetes: "1.35", Istio: istio("1.30"), Envoy: "1.4"}, "v1.35.9 default=1.30.2/1.4.1"},
		"the first of them":           {Versions{Kubernetes: "1.36", Istio: istio("1"), Envoy: "v1"}, "v1.36.3 default=1.31.0/1.40.0"},
		"each for its own":            {Versions{Envoy: "1.4.1"}, "v1.36.3 default=1.31.0/1.4.1"},
		"with its own table":          {Versions{Kubernetes: "1.36.3"}, "v1.36.3 default=1.31.0/1.40.0"},
		"no Istio named":              {Versions{Istio: istio("")}, "v1.36.3 default=1.31.0/1.40.0"},
		"Envoy follows Istio":         {Versions{Istio: istio("1.27")}, "v1.36.3 default=1.27.9/1.36.4"},
		"a revision beside":           {Versions{Istio: istio("1.31", "1.27")}, "v1.36.3 default=1.31.0/1.40.0 1-27=1.27.9/1.36.4"},
		"a newer one beside":          {Versions{Istio: istio("1.27.9", "1.31")}, "v1.36.3 default=1.27.9/1.36.4 1-31=1.31.0/1.40.0"},
		"two revisions beside":        {Versions{Istio: istio("1.31", "1.27", "1.30.1")}, "v1.36.3 default=1.31.0/1.40.0 1-27=1.27.9/1.36.4 1-30=1.30.1/1.39.3"},
		"istio-cni beside":            {Versions{Istio: istio("1.31", "1.31+cni")}, "v1.36.3 default=1.31.0/1.40.0 1-31-cni=1.31.0/1.40.0+cni"},
		"istio-cni alone":             {Versions{Istio: istio("+cni")}, "v1.36.3 default=1.31.0/1.40.0+cni"},
		"one Envoy for all revisions": {Versions{Istio: istio("1.31", "1.27"), Envoy: "1.39"}, "v1.36.3 default=1.31.0/1.39.3 1-27=1.27.9/1.39.3"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := row.versions.Resolve()
			if have := describe(got); err != nil || have != row.want {
				t.Errorf("%s, error %v; want %s", have, err, row.want)
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	setVersions(t)
	for name, row := range map[string]struct {
		versions Versions
		want     []string
	}{
		"Kubernetes":           {Versions{Kubernetes: "1.34"}, []string{"Kubernetes 1.34 ", "v1.35.9, v1.36.10, v1.36.3"}},
		"Istio":                {Versions{Istio: []string{"1.29"}}, []string{"Istio 1.29 ", "1.27.9, 1.30.1, 1.30.2, 1.31.0"}},
		"Istio beside another": {Versions{Istio: []string{"1.31", "1.29"}}, []string{"Istio 1.29 ", "1.27.9"}},
		"Istio beside itself":  {Versions{Istio: []string{"1.27", "1.27.9"}}, []string{"1.27.9 and 1.27.9", "one minor version"}},
		"two of one name":      {Versions{Istio: []string{"1.31", "1.30.2", "1.30.1"}}, []string{"1.30.2 and 1.30.1", "one minor version"}},
		"two with istio-cni":   {Versions{Istio: []string{"1.31+cni", "1.27+cni"}}, []string{"1.31.0 and 1.27.9", "istio-cni"}},
		"istio-cni twice":      {Versions{Istio: []string{"1.31+cni", "1.31+cni"}}, []string{"one minor version"}},
		"Envoy":                {Versions{Envoy: "2"}, []string{"Envoy 2 ", "1.4.1, 1.40.0"}},
		"half a number":        {Versions{Kubernetes: "1.36.1"}, []string{"Kubernetes 1.36.1 ", "v1.36.10"}},
		"more than there is":   {Versions{Istio: []string{"1.31.0.1"}}, []string{"Istio 1.31.0.1 ", "1.31.0"}},
		"a word":               {Versions{Kubernetes: "latest"}, []string{"Kubernetes latest ", "v1.36.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := row.versions.Resolve()
			wantError(t, err, row.want...)
		})
	}
}

// The versions can be chosen by their own names, and each Istio has an Envoy that can be chosen too.
func TestEveryVersionCanBeChosen(t *testing.T) {
	for _, version := range kubernetesVersions {
		if got, err := (Versions{Kubernetes: version.Version}).Resolve(); err != nil || got.Kubernetes != version {
			t.Errorf("%s: %v, error %v", version.Version, got.Kubernetes, err)
		}
	}
	for _, version := range istioVersions {
		got, err := (Versions{Istio: []string{version.Version}}).Resolve()
		if err != nil || got.Revisions[0].Istio != version || got.Revisions[0].Envoy.Version != version.Envoy {
			t.Errorf("%s: %v, error %v", version.Version, got.Revisions, err)
		}
	}
	for _, version := range envoyVersions {
		if got, err := (Versions{Envoy: version.Version}).Resolve(); err != nil || got.Revisions[0].Envoy != version || len(version.SHA256) != 64 {
			t.Errorf("%s: %v, error %v", version.Version, got.Revisions, err)
		}
	}
}
