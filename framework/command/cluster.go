package command

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/provider"
)

// clusterOptions say which cluster is meant: a kubeconfig wins over the lab.
type clusterOptions struct {
	kubeconfig, context, registry string
	lab                           lab.Options
	// fixtures are those whose images are needed.
	fixtures []string
	// neverStart makes a lab that does not run an error instead of starting it.
	neverStart bool
}

func clusterFlags(cmd *cobra.Command, options *clusterOptions) {
	flags := cmd.Flags()
	flags.StringVar(&options.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: KUBECONFIG; without either, the lab)")
	flags.StringVar(&options.context, "context", "", "context of the kubeconfig")
	flags.StringVar(&options.registry, "image-registry", "", "registry that holds the fixtures' images, for a cluster of your own")
	flags.StringVar(&options.lab.Name, "lab", lab.DefaultName, "name of the lab")
	flags.StringVar(&options.lab.CacheDir, "cache-dir", "", "folder of what the lab is built from (default: meshproof in your cache folder)")
	flags.StringVar(&options.lab.StateDir, "state-dir", "", "folder of running labs (default: meshproof in your state folder)")
	settings(flags, "kubeconfig", "context", "image-registry", "lab", "cache-dir", "state-dir")
}

// findCluster returns the cluster of a kubeconfig, or the lab, which it starts when it is not running.
func findCluster(ctx context.Context, options clusterOptions) (*provider.Cluster, error) {
	if options.kubeconfig != "" {
		cluster, err := provider.FromKubeconfig(options.kubeconfig, options.context, imagesIn(options.registry))
		if err != nil {
			return nil, usageError("%w", err)
		}
		return cluster, nil
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

// imagesIn are the fixtures' images in a registry: the same names and tags as in the lab.
func imagesIn(registry string) map[string]string {
	images := build.FixtureImages()
	if registry == "" {
		return images
	}
	for program, reference := range images {
		images[program] = registry + reference[len(build.Registry):]
	}
	return images
}
