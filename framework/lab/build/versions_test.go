package build

import "testing"

// setVersions replaces the tables for one test.
func setVersions(t *testing.T) {
	t.Helper()
	kubernetes, istio, envoys := kubernetesVersions, istioVersions, envoyVersions
	t.Cleanup(func() { kubernetesVersions, istioVersions, envoyVersions = kubernetes, istio, envoys })
	kubernetesVersions = []KubernetesVersion{{Version: "v1.36.3", Module: "kubernetes"}, {Version: "v1.36.10"}, {Version: "v1.35.9"}}
	istioVersions = []IstioVersion{{Version: "1.31.0"}, {Version: "1.30.2"}}
	envoyVersions = []EnvoyVersion{{Version: "1.40.0"}, {Version: "1.4.1"}}
}

func TestResolve(t *testing.T) {
	setVersions(t)
	for name, row := range map[string]struct {
		versions Versions
		want     [3]string
	}{
		"defaults":           {Versions{}, [3]string{"v1.36.3", "1.31.0", "1.40.0"}},
		"whole versions":     {Versions{Kubernetes: "v1.36.10", Istio: "1.30.2", Envoy: "1.4.1"}, [3]string{"v1.36.10", "1.30.2", "1.4.1"}},
		"one letter more":    {Versions{Istio: "v1.30.2"}, [3]string{"v1.36.3", "1.30.2", "1.40.0"}},
		"one letter less":    {Versions{Kubernetes: "1.35.9"}, [3]string{"v1.35.9", "1.31.0", "1.40.0"}},
		"prefixes":           {Versions{Kubernetes: "1.35", Istio: "1.30", Envoy: "1.4"}, [3]string{"v1.35.9", "1.30.2", "1.4.1"}},
		"the first of them":  {Versions{Kubernetes: "1.36", Istio: "1", Envoy: "v1"}, [3]string{"v1.36.3", "1.31.0", "1.40.0"}},
		"each for its own":   {Versions{Envoy: "1.4.1"}, [3]string{"v1.36.3", "1.31.0", "1.4.1"}},
		"with its own table": {Versions{Kubernetes: "1.36.3"}, [3]string{"v1.36.3", "1.31.0", "1.40.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := row.versions.Resolve()
			if have := [3]string{got.Kubernetes.Version, got.Istio.Version, got.Envoy.Version}; err != nil || have != row.want {
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
		"Kubernetes":         {Versions{Kubernetes: "1.34"}, []string{"Kubernetes 1.34 ", "v1.35.9, v1.36.10, v1.36.3"}},
		"Istio":              {Versions{Istio: "1.29"}, []string{"Istio 1.29 ", "1.30.2, 1.31.0"}},
		"Envoy":              {Versions{Envoy: "2"}, []string{"Envoy 2 ", "1.4.1, 1.40.0"}},
		"half a number":      {Versions{Kubernetes: "1.36.1"}, []string{"Kubernetes 1.36.1 ", "v1.36.10"}},
		"more than there is": {Versions{Istio: "1.31.0.1"}, []string{"Istio 1.31.0.1 ", "1.31.0"}},
		"a word":             {Versions{Kubernetes: "latest"}, []string{"Kubernetes latest ", "v1.36.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := row.versions.Resolve()
			wantError(t, err, row.want...)
		})
	}
}

// The defaults are versions that can be chosen by their own names.
func TestEveryVersionCanBeChosen(t *testing.T) {
	for _, version := range kubernetesVersions {
		if got, err := (Versions{Kubernetes: version.Version}).Resolve(); err != nil || got.Kubernetes != version {
			t.Errorf("%s: %v, error %v", version.Version, got.Kubernetes, err)
		}
	}
	for _, version := range istioVersions {
		if got, err := (Versions{Istio: version.Version}).Resolve(); err != nil || got.Istio != version {
			t.Errorf("%s: %v, error %v", version.Version, got.Istio, err)
		}
	}
	for _, version := range envoyVersions {
		if got, err := (Versions{Envoy: version.Version}).Resolve(); err != nil || got.Envoy != version || len(version.SHA256) != 64 {
			t.Errorf("%s: %v, error %v", version.Version, got.Envoy, err)
		}
	}
}
