package build

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Mesh is what one revision of Istio is installed from.
type Mesh struct {
	Revision Revision
	// Istio and Envoy are folders of programs; CNI is that of istio-cni, and empty for a revision without it.
	Istio, Envoy, CNI string
	// Images is the archive of istiod's and the proxy's image, Manifests the file that installs istiod.
	Images, Manifests string
}

// Meshes builds revisions of Istio for a lab that has everything else. The Debian packages, of which the proxies take their
// libraries, are in the cache already.
func Meshes(ctx context.Context, cache Cache, revisions []Revision, progress Progress) ([]Mesh, error) {
	b, err := newBuilder(ctx, cache, progress)
	if err != nil {
		return nil, err
	}
	meshes := newMeshes(revisions)
	var root string
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		root, err = debianRoot(groupCtx, b.cache, b.progress)
		return err
	})
	group.Go(func() error { return b.envoys(groupCtx, meshes) })
	group.Go(func() error { return b.compile(groupCtx, istioCompilations(meshes)) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return meshes, b.pack(ctx, meshes, root)
}

func newMeshes(revisions []Revision) []Mesh {
	meshes := make([]Mesh, len(revisions))
	for index, revision := range revisions {
		meshes[index].Revision = revision
	}
	return meshes
}

func istioCompilations(meshes []Mesh) []compilation {
	var steps []compilation
	for index := range meshes {
		mesh := &meshes[index]
		steps = append(steps, compilation{istioPart(mesh.Revision.Istio), &mesh.Istio})
		if mesh.Revision.CNI {
			steps = append(steps, compilation{istioCNIPart(mesh.Revision.Istio), &mesh.CNI})
		}
	}
	return steps
}

func (b builder) envoys(ctx context.Context, meshes []Mesh) (err error) {
	for index := range meshes {
		if meshes[index].Envoy, err = envoy(ctx, b.cache, meshes[index].Revision.Envoy, b.progress); err != nil {
			return err
		}
	}
	return nil
}

// pack makes the images and the manifests of revisions whose programs are there.
func (b builder) pack(ctx context.Context, meshes []Mesh, root string) (err error) {
	for index := range meshes {
		mesh := &meshes[index]
		version := mesh.Revision.Istio.Version
		made := []string{mesh.Istio, mesh.Envoy, root}
		if mesh.Revision.CNI {
			made = append(made, mesh.CNI)
		}
		tag := version + "-" + Key(made...)
		mesh.Images, err = imageArchive(ctx, b.cache, Key("istio", tag), "images of Istio "+version, b.progress, func() ([]image, error) {
			proxy, err := proxyImage(tag, mesh.Istio, mesh.Envoy, root)
			list := []image{pilotImage(tag, mesh.Istio), proxy}
			if mesh.Revision.CNI {
				list = append(list, cniImage(tag, mesh.CNI))
			}
			return list, err
		})
		if err != nil {
			return err
		}
		if mesh.Manifests, err = b.manifests(ctx, *mesh, tag); err != nil {
			return err
		}
	}
	return nil
}
