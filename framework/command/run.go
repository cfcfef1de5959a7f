package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	"github.com/meshproof/meshproof/framework/run"
	"github.com/meshproof/meshproof/reports/terminal"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func runFlags(cmd *cobra.Command, options *run.Options) {
	flags := cmd.Flags()
	flags.StringSliceVar(&options.Claims, "claim", nil, "only these claims (BG1, or an ID)")
	flags.StringToStringVar(&options.Set, "set", nil, "parameter=value")
	flags.StringVar(&options.Suffix, "suffix", environment("SUFFIX", ""), "added to the names of the run's namespaces, to keep two runs apart")
	flags.StringVar(&options.Overlay, "overlay", environment("OVERLAY", ""), "kustomization folder, or file of patches, that changes the manifests")
	flags.StringVar(&options.Revision, "revision", environment("REVISION", ""), "revision of the control plane that the fixtures join")
}

func newRunCommand(patterns []pattern.Pattern) *cobra.Command {
	var options run.Options
	var cluster clusterOptions
	cmd := &cobra.Command{
		Use: "run [PATTERN...]", Short: "Install patterns, send traffic, and prove their claims",
		Example: "  meshproof run basic-gateway\n  meshproof run --claim BG1 --keep\n  KUBECONFIG=~/.kube/config meshproof run",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPatterns(cmd.Context(), patterns, args, cluster, options)
		},
	}
	clusterFlags(cmd, &cluster)
	runFlags(cmd, &options)
	flags := cmd.Flags()
	flags.StringSliceVar(&options.Require, "require", nil, "claims that must not be skipped, or all")
	flags.StringVar(&options.Client, "client", environment("CLIENT", "auto"), "where probes start: runner, pod or auto")
	flags.BoolVar(&options.Keep, "keep", false, "leave everything installed")
	flags.StringVar(&options.AfterInstall, "after-install", "", "shell command to run between install and settle")
	flags.IntVar(&options.Jobs, "jobs", 1, "how many patterns run at once")
	flags.StringVar(&options.ResultsDir, "results", environment("RESULTS", "results"), "folder of the results")
	return cmd
}

// prepared is a run that was checked against its cluster, and has touched nothing.
type prepared struct {
	plan     *run.Plan
	client   *kube.Client
	identity v1.Cluster
}

func runPatterns(ctx context.Context, patterns []pattern.Pattern, names []string, cluster clusterOptions, options run.Options) error {
	options.Version, options.Args = version(), os.Args[1:]
	if options.ResultsDir == "" {
		return usageError("--results names no folder")
	}
	ready, err := prepare(ctx, patterns, names, cluster, options)
	if err != nil {
		return err
	}
	printer := terminal.New(os.Stdout, terminalOptions(len(ready.plan.Jobs) > 1, filepath.Join(options.ResultsDir, "latest")))
	result, err := run.Execute(ctx, ready.plan, ready.client, ready.identity, newLiveSink(printer, newProgress(os.Stdout)))
	if result == nil {
		return environmentError(err)
	}
	printer.Summary(result.Report, filepath.Join(options.ResultsDir, "latest"))
	var conflict *run.ConflictError
	if errors.As(err, &conflict) {
		return usageError("%w", conflict)
	}
	code := v1.ExitCode(result.Report, options.Require)
	if code == exitOK && err == nil {
		return nil
	}
	// The terminal has told why; nothing is said twice.
	return &exitError{code: max(code, exitFailed), err: errors.New("")}
}

// prepare resolves the input, finds the cluster and asks who it is; every error of it comes before anything is touched.
func prepare(ctx context.Context, patterns []pattern.Pattern, names []string, options clusterOptions, runOptions run.Options) (*prepared, error) {
	selected, err := run.Select(patterns, names)
	if err != nil {
		return nil, usageError("%w", err)
	}
	if err := checkInput(runOptions); err != nil {
		return nil, err
	}
	// A first plan, without a cluster, finds mistakes of the input before a lab is built.
	if _, err := run.NewPlan(selected, unknownCluster(patterns), runOptions); err != nil {
		return nil, usageError("%w", err)
	}
	if runOptions.ResultsDir != "" {
		if err := checkResults(runOptions.ResultsDir); err != nil {
			return nil, err
		}
	}
	options.fixtures = fixturesOf(selected)
	cluster, err := findCluster(ctx, options)
	if err != nil {
		return nil, err
	}
	config, err := cluster.RESTConfig(false)
	if err != nil {
		return nil, usageError("%w", err)
	}
	client, err := kube.New(config)
	if err != nil {
		return nil, environmentError(err)
	}
	identity, err := cluster.Identify(ctx, client, runOptions.Revision)
	if err != nil {
		var input *provider.UsageError
		if errors.As(err, &input) {
			return nil, usageError("%w", err)
		}
		return nil, environmentError(err)
	}
	plan, err := run.NewPlan(selected, cluster, runOptions)
	if err != nil {
		return nil, usageError("%w", err)
	}
	for index := range plan.Jobs {
		plan.Jobs[index].Revision = identity.Mesh.Revision
		plan.Jobs[index].Client = chooseClient(runOptions.Client, cluster)
	}
	if err := plan.Meet(client); err != nil {
		return nil, environmentError(err)
	}
	return &prepared{plan: plan, client: client, identity: identity}, nil
}

// fixturesOf are the programs that the patterns install.
func fixturesOf(patterns []pattern.Pattern) []string {
	var programs []string
	for _, p := range patterns {
		for _, parameter := range p.Parameters {
			if parameter.Fixture != "" && !slices.Contains(programs, parameter.Fixture) {
				programs = append(programs, parameter.Fixture)
			}
		}
	}
	return programs
}

func chooseClient(wanted string, cluster *provider.Cluster) string {
	if wanted == "runner" || wanted == "pod" {
		return wanted
	}
	if cluster.RunnerReachesServices {
		return "runner"
	}
	return "pod"
}

// unknownCluster stands in for the cluster while only the input is checked.
func unknownCluster(patterns []pattern.Pattern) *provider.Cluster {
	images := map[string]string{}
	for _, p := range patterns {
		for _, parameter := range p.Parameters {
			if parameter.Fixture != "" {
				images[parameter.Fixture] = "unknown"
			}
		}
	}
	return &provider.Cluster{Images: images}
}

func checkInput(options run.Options) error {
	switch options.Client {
	case "", "auto", "runner", "pod":
	default:
		return usageError("--client %q is none of auto, runner, pod", options.Client)
	}
	if options.Jobs < 0 {
		return usageError("--jobs %d is less than 1", options.Jobs)
	}
	if options.Suffix != "" && strings.Trim(options.Suffix, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return usageError("--suffix %q becomes part of namespaces: use a-z, 0-9 and -", options.Suffix)
	}
	return nil
}

// checkResults makes sure that results can be written, before minutes are spent on having some.
func checkResults(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usageError("the results folder cannot be made: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return usageError("the results folder %s is not writable: %w", dir, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func terminalOptions(several bool, results string) terminal.Options {
	options := terminal.Options{MultiplePatterns: several, Results: results}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		options.Colour = os.Getenv("NO_COLOR") == ""
		if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			options.Width = width
		}
	}
	return options
}

func newCleanCommand() *cobra.Command {
	var cluster clusterOptions
	var runID string
	var options run.Options
	cmd := &cobra.Command{
		Use: "clean", Short: "Remove what runs that were killed or kept have left on the cluster", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster.neverStart = true
			found, err := findCluster(cmd.Context(), cluster)
			if err != nil {
				return err
			}
			config, err := found.RESTConfig(false)
			if err != nil {
				return usageError("%w", err)
			}
			client, err := kube.New(config)
			if err != nil {
				return environmentError(err)
			}
			removed, held, err := run.Clean(cmd.Context(), client, runID, run.CleanTimeout(options))
			if err == nil || len(held) > 0 {
				// Cleaning needs no mesh, and may be all that is allowed: what the cluster does not tell of itself is left out.
				identity, _ := found.Identify(cmd.Context(), client, "")
				fmt.Println("clean · " + terminal.Identity(identity))
			}
			if len(held) > 0 {
				fmt.Printf("left alone, because a run is using them: %s\n", strings.Join(held, ", "))
			}
			if err != nil {
				return environmentError(err)
			}
			if len(removed) == 0 {
				fmt.Println("nothing to remove")
				return nil
			}
			fmt.Printf("removed namespaces: %s\n", strings.Join(removed, ", "))
			return nil
		},
	}
	clusterFlags(cmd, &cluster)
	cmd.Flags().StringVar(&runID, "run", "", "only what this run has left")
	return cmd
}
