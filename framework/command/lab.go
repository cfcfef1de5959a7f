package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshproof/meshproof/framework/lab"
)

// labFlags are the flags that say which lab is meant.
func labFlags(cmd *cobra.Command, options *lab.Options) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&options.Name, "name", lab.DefaultName, "name of the lab; labs of different names run side by side")
	flags.StringVar(&options.CacheDir, "cache-dir", "", "folder of what is built (default: meshproof in your cache folder)")
	flags.StringVar(&options.StateDir, "state-dir", "", "folder of running labs (default: meshproof in your state folder)")
	settingAs(flags, "name", "lab")
	settings(flags, "cache-dir", "state-dir")
}

func newLabCommand() *cobra.Command {
	var options lab.Options
	cmd := &cobra.Command{Use: "lab", Short: "Build, start and use the embedded cluster (Linux, root)"}
	labFlags(cmd, &options)
	cmd.AddCommand(newLabUp(&options), newLabDown(&options), newLabStatus(&options), newLabExec(&options), newLabLogs(&options), newLabKubeconfig(&options))
	return cmd
}

func newLabUp(options *lab.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "up", Short: "Start the lab, after building what is missing; a running lab is left as it is, or gets further revisions of Istio", Args: cobra.NoArgs,
		Example: "  meshproof lab up\n  meshproof lab up --istio 1.31,1.27        # then: meshproof run --revision 1-27\n  meshproof lab up --istio 1.31,1.31+cni    # then: meshproof run --revision 1-31-cni",
		RunE: func(cmd *cobra.Command, _ []string) error {
			started := time.Now()
			options.Progress = newProgress(os.Stderr)
			l, err := lab.Up(cmd.Context(), *options)
			if err != nil {
				return labError(err)
			}
			fmt.Printf("lab %q is up (%s): %s\n", l.Name, seconds(time.Since(started)), labVersions(l))
			fmt.Printf("export KUBECONFIG=%s\n", l.Kubeconfig)
			return nil
		},
	}
	cmd.Flags().StringVar(&options.Versions.Kubernetes, "kubernetes", "", "version of Kubernetes, when the lab is started")
	cmd.Flags().StringSliceVar(&options.Versions.Istio, "istio", nil, "versions of Istio: the first is the default when the lab is started, each further one a revision beside it, also of a running lab; with +cni behind it, its pods have istio-cni instead of an init container")
	cmd.Flags().StringVar(&options.Versions.Envoy, "envoy", "", "version of Envoy, when the lab is started (default: that of each Istio)")
	settings(cmd.Flags(), "kubernetes", "istio", "envoy")
	return cmd
}

// labVersions is, for example, "Kubernetes v1.36.3, Istio 1.31.0 (revision default, Envoy 1.40.0)".
func labVersions(l *lab.Lab) string {
	text := "Kubernetes " + l.Kubernetes
	for _, revision := range l.Revisions {
		cni := ""
		if revision.CNI {
			cni = ", istio-cni"
		}
		text += fmt.Sprintf(", Istio %s (revision %s, Envoy %s%s)", revision.Istio, revision.Name, revision.Envoy, cni)
	}
	return text
}

// labError sorts the errors of the lab into bad input and the rest.
func labError(err error) error {
	if errors.Is(err, lab.ErrName) || errors.Is(err, lab.ErrVersions) {
		return usageError("%w", err)
	}
	var coded *exitError
	if errors.As(err, &coded) {
		return err
	}
	return environmentError(err)
}

func newLabDown(options *lab.Options) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "End the lab and remove all that it made, except what is built", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			existed, err := lab.Down(cmd.Context(), *options)
			if err != nil {
				return labError(err)
			}
			if !existed {
				fmt.Printf("lab %q was not running\n", options.Name)
				return nil
			}
			fmt.Printf("lab %q is gone\n", options.Name)
			return nil
		},
	}
}

func newLabStatus(options *lab.Options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "status", Short: "Show the lab's parts; exit 4 when it does not run, or when a part has ended", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output, "table", "json"); err != nil {
				return err
			}
			l, err := lab.Open(*options)
			if err != nil {
				return labError(err)
			}
			status, err := l.Status(cmd.Context())
			if err != nil {
				return labError(err)
			}
			if output == "json" {
				encoder := json.NewEncoder(os.Stdout)
				encoder.SetIndent("", "  ")
				return encoder.Encode(map[string]any{"lab": l, "status": status})
			}
			fmt.Printf("lab %q, up for %s: %s\n", l.Name, time.Since(l.StartedAt).Round(time.Second), labVersions(l))
			ended := 0
			for _, part := range status.Parts {
				state := "running"
				if part.Exit != "" {
					state = "ENDED: " + part.Exit
					ended++
				}
				fmt.Printf("  %-24s %-24s %s\n", part.Name, state, part.Log)
			}
			if ended > 0 {
				return environmentError(fmt.Errorf("%d parts of lab %q have ended: see their logs, then `meshproof lab down` and `up`", ended, l.Name))
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func newLabExec(options *lab.Options) *cobra.Command {
	return &cobra.Command{
		Use: "exec -- COMMAND [ARG...]", Short: "Run a command in the lab's network, with its DNS, KUBECONFIG, kubectl and istioctl", Args: cobra.MinimumNArgs(1),
		Example: "  meshproof lab exec -- kubectl get pods -A\n  meshproof lab exec -- curl -s http://10.244.200.1/productpage",
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Open(*options)
			if err != nil {
				return labError(err)
			}
			child, err := l.Command(cmd.Context(), args[0], args[1:]...)
			if err != nil {
				return environmentError(err)
			}
			child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
			err = child.Run()
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return &exitError{code: exit.ExitCode(), err: errors.New("")}
			}
			return environmentError(err)
		},
	}
}

func newLabLogs(options *lab.Options) *cobra.Command {
	return &cobra.Command{
		Use: "logs [PART]", Short: "Print the log of a part of the lab, or list the parts", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := lab.Open(*options)
			if err != nil {
				return labError(err)
			}
			files, err := filepath.Glob(filepath.Join(l.Dir, "log", "*.log"))
			if err != nil {
				return environmentError(err)
			}
			var names []string
			for _, file := range files {
				names = append(names, strings.TrimSuffix(filepath.Base(file), ".log"))
			}
			if len(args) == 0 {
				fmt.Println(strings.Join(names, "\n"))
				return nil
			}
			if !slices.Contains(names, args[0]) {
				return usageError("no part of lab %q is called %q; its parts: %s", l.Name, args[0], strings.Join(names, ", "))
			}
			data, err := os.ReadFile(filepath.Join(l.Dir, "log", args[0]+".log"))
			if err != nil {
				return environmentError(err)
			}
			_, err = os.Stdout.Write(data)
			return environmentError(err)
		},
	}
}

func newLabKubeconfig(options *lab.Options) *cobra.Command {
	var content bool
	cmd := &cobra.Command{
		Use: "kubeconfig", Short: "Print the path of the kubeconfig that works on this machine", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := lab.Open(*options)
			if err != nil {
				return labError(err)
			}
			if !content {
				fmt.Println(l.Kubeconfig)
				return nil
			}
			data, err := os.ReadFile(l.Kubeconfig)
			if err != nil {
				return environmentError(err)
			}
			_, err = os.Stdout.Write(data)
			return environmentError(err)
		},
	}
	cmd.Flags().BoolVar(&content, "content", false, "print the kubeconfig itself, which holds a key")
	return cmd
}
