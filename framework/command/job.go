package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshproof/meshproof/framework/images"
	"github.com/meshproof/meshproof/framework/job"
	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	"github.com/meshproof/meshproof/framework/run"
	"github.com/meshproof/meshproof/reports/terminal"
)

// defaultJobLimit is far above what all patterns take.
const defaultJobLimit = time.Hour

// jobOptions are the choices of `meshproof job` beside those of the run in the pod.
type jobOptions struct {
	cluster clusterOptions
	results string
	limit   time.Duration
	image   string
}

func newJobCommand(patterns []pattern.Pattern) *cobra.Command {
	var options jobOptions
	cmd := &cobra.Command{
		Use:   "job [PATTERN...] [-- FLAG...]",
		Short: "Run patterns in a pod of the cluster, as a Job that is removed again, and collect the results",
		Long: "Run patterns in a pod of the cluster, as a Job that is removed again, and collect the results. The image is this program\n" +
			"(`meshproof images push`). What follows -- are flags of `meshproof run`, whose settings count, too.",
		Example: "  meshproof job basic-gateway\n  meshproof job mongo-egress --kubeconfig ~/.kube/config --image-registry registry.example.com/meshproof -- --claim ME1 --revision 1-31",
		RunE: func(cmd *cobra.Command, args []string) error {
			var words []string
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				args, words = args[:dash], args[dash:]
			}
			inner, err := readInner(cmd, words)
			if err != nil {
				return err
			}
			return runJob(cmd.Context(), patterns, args, options, inner)
		},
	}
	clusterFlags(cmd, &options.cluster)
	flags := cmd.Flags()
	flags.StringVar(&options.results, "results", "results", "folder of the results")
	flags.DurationVar(&options.limit, "limit", defaultJobLimit, "how long the run may take")
	flags.StringVar(&options.image, "suite-image", "", "image of meshproof itself (default: that which `images push` brings into the registry)")
	settings(flags, "results")
	return cmd
}

// inner is the run in the pod.
type inner struct {
	options run.Options
	// args are its flags, as words.
	args []string
}

// ofThisMachine are the flags of a run that name what only this machine has, or that are the Job's own.
var ofThisMachine = []string{"kubeconfig", "context", "in-cluster", "image-registry", "image-lock", "image-pull-secret", "lab", "cache-dir", "state-dir",
	"results", "overlay", "set-file", "rerun-failed", "after-install"}

// readInner reads the flags of the run in the pod, and adds the settings that are of a run alone.
func readInner(cmd *cobra.Command, words []string) (inner, error) {
	var of inner
	var rerunFailed string
	try := &cobra.Command{Use: "run"}
	allRunFlags(try, new(clusterOptions), &of.options, &rerunFailed)
	if err := try.ParseFlags(words); err != nil {
		return of, usageError("after --: %w", err)
	}
	if rest := try.Flags().Args(); len(rest) > 0 {
		return of, usageError("after -- come flags of `meshproof run`, and %q is none: patterns come before it", rest[0])
	}
	for _, name := range ofThisMachine {
		if try.Flags().Changed(name) {
			return of, usageError("--%s cannot be handed to the run in the pod", name)
		}
		// Their settings are those of this command.
		try.Flags().Lookup(name).Annotations = nil
	}
	path := cmp.Or(cmd.Flag("config").Value.String(), os.Getenv(variable("config")))
	if err := applyKnown(try, path, settingsKeys(cmd.Root())); err != nil {
		return of, err
	}
	try.Flags().Visit(func(flag *pflag.Flag) { of.args = append(of.args, asWords(flag)...) })
	return of, nil
}

// asWords are a flag and its value as words of a command line.
func asWords(flag *pflag.Flag) []string {
	prefix := "--" + flag.Name + "="
	if list, many := flag.Value.(pflag.SliceValue); many {
		var words []string
		for _, value := range list.GetSlice() {
			words = append(words, prefix+value)
		}
		return words
	}
	if flag.Value.Type() == "stringToString" { // which is printed in brackets
		return []string{prefix + strings.TrimSuffix(strings.TrimPrefix(flag.Value.String(), "["), "]")}
	}
	return []string{prefix + flag.Value.String()}
}

func runJob(ctx context.Context, patterns []pattern.Pattern, names []string, options jobOptions, of inner) error {
	if options.results == "" {
		return usageError("--results names no folder")
	}
	if options.limit <= 0 {
		return usageError("--limit %s is no time for a run", options.limit)
	}
	of.options.ResultsDir = options.results
	ready, err := prepare(ctx, patterns, names, options.cluster, of.options)
	if err != nil {
		return err
	}
	suite, err := suiteImage(ctx, ready.cluster, options)
	if err != nil {
		return err
	}
	rules, err := run.Rules(ready.plan, ready.client)
	if err != nil {
		return environmentError(err)
	}
	wanted := job.Options{
		Image: suite, PullSecret: ready.cluster.PullSecret, Args: append(slices.Clone(names), of.args...), Input: map[string]string{}, Rules: rules,
		ResultsDir: options.results, Limit: options.limit, Timeouts: mesh.DefaultTimeouts.Scaled(of.options.TimeoutScale), Log: os.Stdout,
	}
	if err := passImages(&wanted, options.cluster, ready.cluster); err != nil {
		return usageError("%w", err)
	}
	fmt.Println("job · " + terminal.Identity(ready.identity) + " · " + suite)
	result, err := job.Run(ctx, ready.client, wanted)
	if result != nil && result.Folder != "" {
		fmt.Printf("collected: %s\n", result.Folder)
	}
	switch {
	case err != nil:
		return environmentError(err)
	case result.Code != exitOK:
		return &exitError{code: result.Code, err: errors.New("")} // the run has told why
	}
	return nil
}

// passImages tells the run in the pod what this command knows of the images.
func passImages(to *job.Options, options clusterOptions, cluster *provider.Cluster) error {
	if cluster.Provider == provider.Lab || options.registry == "" {
		return nil
	}
	to.Args = append(to.Args, "--image-registry="+options.registry)
	lock, err := readLock(options.lock)
	if err != nil || lock == nil {
		return err
	}
	data, err := images.Marshal(lock)
	if err != nil {
		return err
	}
	to.Input[images.LockFile] = string(data)
	to.Args = append(to.Args, "--image-lock="+job.InputDir+"/"+images.LockFile)
	return nil
}

// suiteImage is this program's image, as the cluster pulls it; the lab is given it.
func suiteImage(ctx context.Context, cluster *provider.Cluster, options jobOptions) (string, error) {
	if options.image != "" {
		return options.image, nil
	}
	if cluster.Provider == provider.Lab {
		l, err := lab.Open(options.cluster.lab)
		if err != nil {
			return "", labError(err)
		}
		options.cluster.lab.Progress = newProgress(os.Stderr)
		reference, err := l.EnsureSuite(ctx, options.cluster.lab)
		return reference, environmentError(err)
	}
	suite, err := build.SuitePublication()
	if err != nil {
		return "", environmentError(err)
	}
	registry := cmp.Or(options.cluster.registry, build.Registry)
	lock, err := readLock(options.cluster.lock)
	if err != nil {
		return "", usageError("%w", err)
	}
	if options.cluster.registry == "" || lock == nil {
		return images.Image{Name: suite.Name, Tag: suite.Tag}.In(registry), nil
	}
	pinned, err := images.Pin([]build.Publication{suite}, lock)
	if err != nil {
		return "", usageError("%w", err)
	}
	return pinned[0].In(registry), nil
}
