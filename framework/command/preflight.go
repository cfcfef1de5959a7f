package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/run"
	"github.com/meshproof/meshproof/reports/terminal"
)

func newPreflightCommand(patterns []pattern.Pattern) *cobra.Command {
	var options run.Options
	var cluster clusterOptions
	var output string
	var rbac []string
	cmd := &cobra.Command{
		Use: "preflight [PATTERN...]", Short: "Say which claims can be judged on the cluster, and why not the others; nothing is changed",
		Example: "  meshproof preflight basic-gateway --kubeconfig ~/.kube/config\n  meshproof preflight basic-gateway --rbac all | kubectl apply -f -",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output, "table", "json"); err != nil {
				return err
			}
			if cmd.Flags().Changed("rbac") {
				return printRBAC(patterns, args, rbac, options)
			}
			cluster.neverStart = true
			ready, err := prepare(cmd.Context(), patterns, args, cluster, options)
			if err != nil {
				return err
			}
			checks, err := run.Preflight(cmd.Context(), ready.plan, ready.client)
			if err != nil {
				return environmentError(err)
			}
			if output == "json" {
				encoder := json.NewEncoder(os.Stdout)
				encoder.SetIndent("", "  ")
				return encoder.Encode(map[string]any{"cluster": ready.identity, "patterns": checks})
			}
			fmt.Println("preflight · " + terminal.Identity(ready.identity))
			blocked := false
			for _, check := range checks {
				fmt.Printf("%s: %d of %d claims can be judged here\n", check.Pattern, len(check.Runnable), len(check.Runnable)+len(check.Blocked)+len(check.Skipped))
				for _, alias := range slices.Sorted(maps.Keys(check.Skipped)) {
					fmt.Printf("  %s is skipped: %s\n", alias, check.Skipped[alias])
				}
				for _, reason := range check.Reasons {
					fmt.Printf("  %s\n", reason)
				}
				for _, exposure := range check.Exposures {
					fmt.Printf("  will be open: %s\n", exposure)
				}
				blocked = blocked || len(check.Blocked) > 0
				if check.RBAC != "" {
					fmt.Printf("missing permissions:\n%s", check.RBAC)
				}
			}
			if blocked {
				return &exitError{code: exitEnvironment, err: fmt.Errorf("some claims cannot be judged on this cluster")}
			}
			return nil
		},
	}
	clusterFlags(cmd, &cluster)
	runFlags(cmd, &options)
	adoptFlag(cmd, &options)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	cmd.Flags().StringSliceVar(&rbac, "rbac", nil, "print the roles that these phases need (preflight, install, run, or all), as YAML; no cluster is asked")
	return cmd
}

// printRBAC prints the roles that each phase needs, each with how to bind it.
func printRBAC(patterns []pattern.Pattern, names, wanted []string, options run.Options) error {
	phases, err := phasesOf(wanted)
	if err != nil {
		return err
	}
	plan, err := offlinePlan(patterns, names, clusterOptions{}, options)
	if err != nil {
		return err
	}
	for _, phase := range phases {
		permissions, err := plan.Permissions(nil, phase)
		if err != nil {
			return usageError("%w", err)
		}
		name := "meshproof-" + string(phase)
		text, err := run.RBAC(name, permissions, options.Adopt)
		if err != nil {
			return err
		}
		fmt.Printf("# What %s needs. To give it to an account:\n", phase)
		for _, one := range run.Bindings(name, permissions, options.Adopt) {
			fmt.Printf("#   %s\n", one)
		}
		fmt.Print(text)
	}
	return nil
}

func phasesOf(wanted []string) ([]run.Phase, error) {
	if slices.Equal(wanted, []string{"all"}) {
		return run.Phases, nil
	}
	var phases []run.Phase
	for _, one := range wanted {
		if !slices.Contains(run.Phases, run.Phase(one)) {
			return nil, usageError("--rbac %q is none of preflight, install, run, all", one)
		}
		phases = append(phases, run.Phase(one))
	}
	if len(phases) == 0 {
		return nil, usageError("--rbac names no phase: preflight, install, run, or all")
	}
	return phases, nil
}
