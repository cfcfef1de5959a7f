package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/provider"
	"github.com/meshproof/meshproof/framework/run"
	"github.com/meshproof/meshproof/framework/wait"
	"github.com/meshproof/meshproof/reports/terminal"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func runFlags(cmd *cobra.Command, options *run.Options) {
	flags := cmd.Flags()
	flags.StringSliceVar(&options.Claims, "claim", nil, "only these claims (BG1, or an ID)")
	flags.StringVar(&options.Focus, "focus", "", "only claims whose ID, alias or text this regular expression matches")
	flags.StringToStringVar(&options.Set, "set", nil, "parameter=value")
	flags.StringToStringVar(&options.SetFiles, "set-file", nil, "parameter=file, whose content is the value: a certificate, or a key")
	flags.StringVar(&options.MongoDBImage, "mongodb-image", "", "image of the database of the MongoDB patterns, such as MongoDB's own (in the lab: FerretDB)")
	flags.StringVar(&options.Suffix, "suffix", "", "added to the names of the run's namespaces, to keep two runs apart")
	flags.StringVar(&options.Overlay, "overlay", "", "kustomization folder, or file of patches, that changes the manifests")
	flags.BoolVar(&options.Hardened, "hardened", false, "the hardened variant of patterns that have one, instead of what their source has")
	flags.BoolVar(&options.AllowLoad, "allow-load", false, "let claims send heavy load to a cluster that is not the lab")
	flags.StringVar(&options.Revision, "revision", "", "revision of the control plane that the fixtures join")
	settings(flags, "set", "set-file", "mongodb-image", "suffix", "overlay", "hardened", "allow-load", "revision")
}

func adoptFlag(cmd *cobra.Command, options *run.Options) {
	cmd.Flags().BoolVar(&options.Adopt, "adopt", false, "use namespaces that are there and labelled "+run.AdoptLabel+"=true, instead of making them")
	settings(cmd.Flags(), "adopt")
}

// judgingFlags are those of commands that judge.
func judgingFlags(flags *pflag.FlagSet, options *run.Options) {
	flags.StringVar(&options.Client, "client", "auto", "where probes start: runner, pod or auto")
	flags.StringVar(&options.ResultsDir, "results", "results", "folder of the results")
	settings(flags, "client", "results")
	scaleFlag(flags, options)
}

func scaleFlag(flags *pflag.FlagSet, options *run.Options) {
	options.TimeoutScale = 1
	flags.Var((*scaleValue)(&options.TimeoutScale), "timeout-scale", "factor of all that a run waits for, for a slow cluster; the README has a table of the waits")
	settings(flags, "timeout-scale")
}

// scaleValue is a factor as the value of a flag.
type scaleValue wait.Scale

func (s *scaleValue) String() string { return strconv.FormatFloat(float64(*s), 'g', -1, 64) }
func (s *scaleValue) Type() string   { return "float" }

func (s *scaleValue) Set(text string) error {
	number, err := strconv.ParseFloat(text, 64)
	// Zero stands for none elsewhere.
	if err != nil || number == 0 || wait.Scale(number).Check() != nil {
		return fmt.Errorf("it is no factor from %v to %v", float64(wait.LeastScale), float64(wait.MostScale))
	}
	*s = scaleValue(number)
	return nil
}

func newRunCommand(patterns []pattern.Pattern) *cobra.Command {
	var options run.Options
	var cluster clusterOptions
	var rerunFailed, output string
	var planOnly bool
	cmd := &cobra.Command{
		Use: "run [PATTERN...]", Short: "Install patterns, send traffic, and prove their claims",
		Example: "  meshproof run basic-gateway\n  meshproof run --claim BG1 --keep\n  meshproof run --fail-fast --focus gateway\n" +
			"  meshproof run --rerun-failed results/latest\n  KUBECONFIG=~/.kube/config meshproof run",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("rerun-failed") {
				selected, nothing, err := rerun(rerunFailed, patterns, args, &options)
				if err != nil {
					return err
				}
				if nothing != "" {
					fmt.Println(nothing)
					return nil
				}
				args = selected
			}
			if planOnly {
				return printPlan(patterns, args, cluster, output, options)
			}
			if cmd.Flags().Changed("output") {
				return usageError("--output is the form of --plan: without it, the results are in the folder that --results names")
			}
			return runPatterns(cmd.Context(), patterns, args, cluster, options)
		},
	}
	allRunFlags(cmd, &cluster, &options, &rerunFailed)
	flags := cmd.Flags()
	flags.BoolVar(&planOnly, "plan", false, "print every object, every way in from outside and every permission, and do nothing")
	flags.StringVarP(&output, "output", "o", "table", "with --plan: table, json or yaml")
	return cmd
}

// allRunFlags are those of `meshproof run`.
func allRunFlags(cmd *cobra.Command, cluster *clusterOptions, options *run.Options, rerunFailed *string) {
	clusterFlags(cmd, cluster)
	runFlags(cmd, options)
	flags := cmd.Flags()
	flags.StringSliceVar(&options.Require, "require", nil, "claims that must not be skipped, or all")
	flags.StringVar(rerunFailed, "rerun-failed", "", "only the claims that the run with this results folder has not proven")
	flags.BoolVar(&options.FailFast, "fail-fast", false, "begin no further check after the first claim that failed or is inconclusive")
	flags.BoolVar(&options.Keep, "keep", false, "leave everything installed")
	flags.StringVar(&options.AfterInstall, "after-install", "", "shell command to run between install and settle")
	flags.IntVar(&options.Jobs, "jobs", defaultJobs, "how many patterns run at once, beside those that only clean up; one that measures limits judges alone, after the others")
	settings(flags, "require", "fail-fast", "keep", "after-install", "jobs")
	adoptFlag(cmd, options)
	judgingFlags(flags, options)
}

// defaultJobs is how many patterns two cores can run at once without making each of them slow.
const defaultJobs = 4

// prepared is a run that was checked against its cluster, and has touched nothing.
type prepared struct {
	plan     *run.Plan
	client   *kube.Client
	identity v1.Cluster
	cluster  *provider.Cluster
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
	if err := ready.plan.CheckAccess(ctx, ready.client); err != nil {
		return environmentError(err)
	}
	printer := terminal.New(os.Stdout, terminalOptions(len(ready.plan.Jobs) > 1, filepath.Join(options.ResultsDir, "latest")))
	result, err := run.Execute(ctx, ready.plan, ready.client, ready.identity, newLiveSink(printer, newProgress(os.Stdout)))
	if result == nil {
		return environmentError(err)
	}
	latest := filepath.Join(options.ResultsDir, "latest")
	printer.Summary(result.Report, latest)
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		if problem := tellGitHub(os.Stdout, result.Report, latest, os.Getenv("GITHUB_STEP_SUMMARY")); problem != nil {
			fmt.Fprintln(os.Stderr, "meshproof:", oneLine(problem.Error())) // the verdicts are what they are
		}
	}
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
	if err := checkPullSecret(options.pullSecret); err != nil {
		return nil, usageError("%w", err)
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
	if cluster.PullSecret, err = pullSecret(ctx, client, options.pullSecret); err != nil {
		return nil, clusterError(err)
	}
	cluster.IdentifyTimeout = runOptions.TimeoutScale.Of(provider.IdentifyTimeout)
	identity, err := cluster.Identify(ctx, client, runOptions.Revision)
	if err != nil {
		return nil, clusterError(err)
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
	return &prepared{plan: plan, client: client, identity: identity, cluster: cluster}, nil
}

// clusterError sorts the errors of a cluster into bad input and the rest.
func clusterError(err error) error {
	var input *provider.UsageError
	if errors.As(err, &input) {
		return usageError("%w", err)
	}
	return environmentError(err)
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
	scaleFlag(cmd.Flags(), &options)
	return cmd
}
