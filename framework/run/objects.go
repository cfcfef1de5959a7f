package run

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
)

// Objects renders what a job installs: the pattern's manifests with the overlay, marked as the run's own. Objects outside
// the run's namespaces are refused.
func Objects(p pattern.Pattern, job Job) ([]*unstructured.Unstructured, error) {
	objects, err := mesh.Render(p.Manifests, job.Values)
	if err != nil {
		return nil, err
	}
	if job.Options.Overlay != "" {
		if objects, err = mesh.Overlay(objects, job.Options.Overlay, job.Values); err != nil {
			return nil, err
		}
	}
	if err := mesh.CheckNamespaces(objects, p.Namespaces(job.Values)); err != nil {
		return nil, err
	}
	mesh.Mark(objects, job.RunID, p.Name, job.Revision)
	return objects, nil
}
