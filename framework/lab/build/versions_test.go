package build

import (
	"testing"
)

func TestResolve(t *testing.T) {
	for name, row := range map[string]struct {
		versions                   Versions
		kubernetes, istio, anEnvoy string
	}{
		"defaults": {Versions{}, kubernetesVersions[0].Version, istioVersions[0].Version, envoyVersions[0].Version},
		"whole":    {Versions{Kubernetes: "v1.36.3", Istio: "1.31.0", Envoy: "1.40.0"}, "v1.36.3", "1.31.0", "1.40.0"},
		"prefixes": {Versions{Kubernetes: "1.36", Istio: "1", Envoy: "v1.40"}, "v1.36.3", "1.31.0", "1.40.0"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := row.versions.Resolve()
			if err != nil || got.Kubernetes.Version != row.kubernetes || got.Istio.Version != row.istio || got.Envoy.Version != row.anEnvoy {
				t.Errorf("%+v, error %v; want %s, %s, %s", got, err, row.kubernetes, row.istio, row.anEnvoy)
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		versions Versions
		want     []string
	}{
		"Kubernetes":         {Versions{Kubernetes: "1.35"}, []string{"Kubernetes 1.35", "v1.36.3"}},
		"Istio":              {Versions{Istio: "1.30.2"}, []string{"Istio 1.30.2", "1.31.0"}},
		"Envoy":              {Versions{Envoy: "1.4"}, []string{"Envoy 1.4", "1.40.0"}},
		"half a number":      {Versions{Istio: "1.3"}, []string{"Istio 1.3 ", "1.31.0"}},
		"more than there is": {Versions{Istio: "1.31.0.1"}, []string{"Istio 1.31.0.1", "1.31.0"}},
		"a word":             {Versions{Kubernetes: "latest"}, []string{"Kubernetes latest", "v1.36.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := row.versions.Resolve()
			wantError(t, err, row.want...)
		})
	}
}

func TestChooseFromSeveral(t *testing.T) {
	table := []string{"v1.36.3", "v1.36.10", "v1.35.9"}
	same := func(version string) string { return version }
	for wanted, want := range map[string]string{"": "v1.36.3", "1.36": "v1.36.3", "1.36.1": "", "1.36.10": "v1.36.10", "v1.35": "v1.35.9", "1": "v1.36.3"} {
		got, err := choose("Kubernetes", wanted, table, same)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, error %v; want %q", wanted, got, err, want)
		}
	}
	_, err := choose("Kubernetes", "2", table, same)
	wantError(t, err, "v1.35.9, v1.36.10, v1.36.3")
}
