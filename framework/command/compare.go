package command

import (
	"encoding/json"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/reports/compare"
)

func newCompareCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "compare A B", Short: "Tell what has changed from one run to another: which claims, and on which hop",
		Long: `Tell what has changed from run A to run B: which claims broke, were fixed, or became slower or faster, and where one broke the
first hop on its path whose configuration differs. Only the results are read, no cluster is asked.

A and B are folders of results, or folders with the results of several runs of the same on the same mesh: then a time has to
change by more than it does from run to run. The exit code is 1 when something broke.`,
		Example: "  meshproof compare results/20261122-204018-74c9 results/latest\n  meshproof compare before/ after/ -o json",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(output, "table", "json", "yaml"); err != nil {
				return err
			}
			a, err := compare.Load(args[0])
			if err != nil {
				return usageError("%w", err)
			}
			b, err := compare.Load(args[1])
			if err != nil {
				return usageError("%w", err)
			}
			result, err := compare.Compare(a, b)
			if err != nil {
				return usageError("%w", err)
			}
			if err := printComparison(result, output); err != nil {
				return err
			}
			if result.Counts[compare.Broken] > 0 {
				return &exitError{code: exitFailed, err: errors.New("")} // the table has told it
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	return cmd
}

func printComparison(result compare.Comparison, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	case "yaml":
		data, err := yaml.Marshal(result)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(data)
		return err
	}
	return compare.Table(os.Stdout, result)
}
