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
	cmd := &cobra.Command{
		Use: "preflight [PATTERN...]", Short: "Say which claims can be judged on the cluster, and why not the others; nothing is changed",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output, "table", "json"); err != nil {
				return err
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
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}
