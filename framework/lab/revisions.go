package lab

import (
	"fmt"
	"slices"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// Revision is a control plane of Istio in a lab.
type Revision struct {
	// Name is the value of the label istio.io/rev that chooses it.
	Name string `json:"name"`
	// Istio is its version, Envoy that of the proxies which it injects.
	Istio string `json:"istio"`
	Envoy string `json:"envoy"`
	// CNI says that istio-cni redirects the traffic of its pods.
	CNI bool `json:"cni,omitempty"`
}

func revisionsOf(meshes []build.Mesh) []Revision {
	var revisions []Revision
	for _, mesh := range meshes {
		revisions = append(revisions, Revision{Name: mesh.Revision.Name, Istio: mesh.Revision.Istio.Version, Envoy: mesh.Revision.Envoy.Version, CNI: mesh.Revision.CNI})
	}
	return revisions
}

// missing returns the revisions of selection that the lab does not have. Where it has another version than asked for, that
// is an error; a version that asked leaves open is whatever the lab has.
func (l *Lab) missing(asked build.Versions, selection build.Selection) ([]build.Revision, error) {
	conflict := func(what, have, wanted string) error {
		return fmt.Errorf("%w: lab %q runs %s %s, not %s; end it first with `meshproof lab down --name %s`", ErrVersions, l.Name, what, have, wanted, l.Name)
	}
	if wanted := selection.Kubernetes.Version; asked.Kubernetes != "" && wanted != l.Kubernetes {
		return nil, conflict("Kubernetes", l.Kubernetes, wanted)
	}
	var missing []build.Revision
	for _, wanted := range selection.Revisions {
		index := slices.IndexFunc(l.Revisions, func(have Revision) bool { return have.Name == wanted.Name })
		if index < 0 && wanted.Name == build.DefaultRevision {
			return nil, fmt.Errorf("lab %q was started by another version of meshproof, which wrote down no revisions; end it first with `meshproof lab down --name %s`", l.Name, l.Name)
		}
		if index < 0 {
			missing = append(missing, wanted)
			continue
		}
		have := l.Revisions[index]
		if len(asked.Istio) > 0 && have.Istio != wanted.Istio.Version {
			return nil, conflict("as its revision "+have.Name+" Istio", have.Istio, wanted.Istio.Version)
		}
		if len(asked.Istio) > 0 && have.CNI != wanted.CNI {
			with := map[bool]string{true: "with istio-cni", false: "without istio-cni"}
			return nil, conflict("its revision "+have.Name, with[have.CNI], with[wanted.CNI])
		}
		if asked.Envoy != "" && have.Envoy != wanted.Envoy.Version {
			return nil, conflict("in its revision "+have.Name+" Envoy", have.Envoy, wanted.Envoy.Version)
		}
	}
	return missing, nil
}
