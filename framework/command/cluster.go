package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshproof/meshproof/framework/images"
	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/provider"
)

// clusterOptions say which cluster is meant: a kubeconfig wins over the lab.
type clusterOptions struct {
	kubeconfig, context string
	inCluster           bool
	// registry holds the images, lock is the file of their digests, and pullSecret says what the cluster pulls them with: a
	// file, or NAMESPACE/NAME of a Secret.
	registry, lock, pullSecret string
	lab                        lab.Options
	// fixtures are those whose images are needed.
	fixtures []string
	// neverStart makes a lab that does not run an error instead of starting it.
	neverStart bool
}

func clusterFlags(cmd *cobra.Command, options *clusterOptions) {
	flags := cmd.Flags()
	flags.StringVar(&options.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: KUBECONFIG; without either, the lab)")
	flags.StringVar(&options.context, "context", "", "context of the kubeconfig")
	flags.BoolVar(&options.inCluster, "in-cluster", false, "the cluster in which this process is a pod, by its service account")
	flags.StringVar(&options.registry, "image-registry", "", "registry that holds the fixtures' images, for a cluster of your own")
	lockFlag(flags, &options.lock)
	flags.StringVar(&options.pullSecret, "image-pull-secret", "", "credentials that the cluster pulls the images with: a docker config.json, or NAMESPACE/NAME of a Secret there")
	flags.StringVar(&options.lab.Name, "lab", lab.DefaultName, "name of the lab")
	flags.StringVar(&options.lab.CacheDir, "cache-dir", "", "folder of what the lab is built from (default: meshproof in your cache folder)")
	flags.StringVar(&options.lab.StateDir, "state-dir", "", "folder of running labs (default: meshproof in your state folder)")
	settings(flags, "kubeconfig", "context", "in-cluster", "image-registry", "image-pull-secret", "lab", "cache-dir", "state-dir")
}

// findCluster returns the cluster of a kubeconfig, or the lab, which it starts when it is not running.
func findCluster(ctx context.Context, options clusterOptions) (*provider.Cluster, error) {
	if options.inCluster && options.kubeconfig != "" {
		return nil, usageError("--in-cluster and a kubeconfig (--kubeconfig or KUBECONFIG) name two clusters")
	}
	if options.kubeconfig != "" || options.inCluster {
		return ownCluster(options)
	}
	if options.context != "" {
		return nil, usageError("--context chooses in a kubeconfig, and none is given (--kubeconfig or KUBECONFIG)")
	}
	if options.neverStart {
		l, err := lab.Open(options.lab)
		if err != nil {
			return nil, labError(err)
		}
		return provider.FromLab(l), nil
	}
	l, err := lab.Open(options.lab)
	if errors.Is(err, lab.ErrNotRunning) {
		fmt.Fprintf(os.Stderr, "lab %q is not running: starting it\n", options.lab.Name)
		options.lab.Progress = newProgress(os.Stderr)
		l, err = lab.Up(ctx, options.lab)
	}
	if err != nil {
		return nil, labError(err)
	}
	options.lab.Progress = newProgress(os.Stderr)
	if err := l.EnsureFixtures(ctx, options.lab, options.fixtures); err != nil {
		return nil, environmentError(err)
	}
	return provider.FromLab(l), nil
}

// ownCluster returns a cluster that is no lab, with the fixtures' images as it pulls them.
func ownCluster(options clusterOptions) (*provider.Cluster, error) {
	found, err := imagesIn(options)
	if err != nil {
		return nil, usageError("%w", err)
	}
	var cluster *provider.Cluster
	if options.inCluster {
		cluster, err = provider.FromInside(found)
	} else {
		cluster, err = provider.FromKubeconfig(options.kubeconfig, options.context, found)
	}
	if err != nil {
		return nil, usageError("%w", err)
	}
	return cluster, nil
}

// imagesIn are the fixtures' images in the registry of the options, by program: those with digests in the lock that are
// needed by them, all others by their tags, which name their sources. Without a registry they are named as in the lab.
// Nothing is asked of a registry, and nothing is built.
func imagesIn(options clusterOptions) (map[string]string, error) {
	found := build.FixtureImages()
	if options.registry == "" {
		if options.lock != "" {
			return nil, errors.New("--image-lock pins the images of a registry, and none is given (--image-registry)")
		}
		return found, nil
	}
	if err := images.CheckRegistry(options.registry); err != nil {
		return nil, fmt.Errorf("--image-registry: %w", err)
	}
	for program, reference := range found {
		found[program] = options.registry + reference[len(build.Registry):]
	}
	lock, err := readLock(options.lock)
	if err != nil || lock == nil {
		return found, err
	}
	var needed []build.Publication
	for _, p := range build.FixturePublications() {
		if slices.Contains(options.fixtures, p.Program) {
			needed = append(needed, p)
		}
	}
	pinned, err := images.Pin(needed, lock)
	if err != nil {
		return nil, err
	}
	for index, image := range pinned {
		found[needed[index].Program] = image.In(options.registry)
	}
	return found, nil
}

// readLock reads the lock of the images; without a path it is that of the working folder, which need not be there.
func readLock(path string) ([]images.Image, error) {
	if path == "" {
		if _, err := os.Stat(images.LockFile); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		path = images.LockFile
	}
	return images.ReadLock(path)
}

// checkPullSecret refuses what can be no pull secret, before any cluster is asked for it.
func checkPullSecret(given string) error {
	if given == "" {
		return nil
	}
	if _, err := os.Stat(given); err == nil {
		_, err := provider.PullSecretFromFile(given)
		return err
	}
	if namespace, name, found := strings.Cut(given, "/"); !found || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("--image-pull-secret %q is neither a file nor NAMESPACE/NAME of a Secret", given)
	}
	return nil
}

// pullSecret reads the credentials that the cluster pulls images with.
func pullSecret(ctx context.Context, client *kube.Client, given string) ([]byte, error) {
	if given == "" {
		return nil, nil
	}
	if _, err := os.Stat(given); err == nil {
		return provider.PullSecretFromFile(given)
	}
	namespace, name, _ := strings.Cut(given, "/") // it was checked
	return provider.PullSecretFromCluster(ctx, client, namespace, name)
}
