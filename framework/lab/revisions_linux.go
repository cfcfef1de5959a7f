package lab

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/lab/node"
)

// complete adds the revisions that are missing to a running lab, of which nothing else changes. What fails half-way is
// finished by the next `up`: everything in it can be done again.
func (l *Lab) complete(ctx context.Context, options Options, selection build.Selection) error {
	missing, err := l.missing(options.Versions, selection)
	if err != nil || len(missing) == 0 {
		return err
	}
	meshes, err := build.Meshes(ctx, build.Cache{Dir: options.CacheDir}, missing, options.Progress)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := kube.New(config)
	if err != nil {
		return err
	}
	for _, mesh := range meshes {
		if err := l.add(ctx, client, mesh, options.Progress); err != nil {
			return fmt.Errorf("add revision %s, without which lab %q goes on: %w", mesh.Revision.Name, l.Name, err)
		}
	}
	return nil
}

// add imports the images of a revision, installs it, and writes down that it is there.
func (l *Lab) add(ctx context.Context, client *kube.Client, mesh build.Mesh, progress build.Progress) error {
	err := build.Timed(progress, "import the images of Istio "+mesh.Revision.Istio.Version, func(build.Step) (string, error) {
		_, err := l.ask(ctx, http.MethodPost, "/images", url.Values{"archive": {mesh.Images}})
		return "", err
	})
	if err != nil {
		return err
	}
	var beside []string
	for _, revision := range l.Revisions {
		beside = append(beside, revision.Istio)
	}
	err = build.Timed(progress, "istiod "+mesh.Revision.Name, func(build.Step) (string, error) {
		return "ready", node.InstallMesh(ctx, client, mesh, beside)
	})
	if err != nil {
		return err
	}
	l.Revisions = append(l.Revisions, revisionsOf([]build.Mesh{mesh})...)
	l.Artifacts.Meshes = append(l.Artifacts.Meshes, mesh)
	return l.save()
}
