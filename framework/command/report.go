package command

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/meshproof/meshproof/reports/terminal"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func newReportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "report [FOLDER]", Short: "Print the result of an earlier run, also of one that was killed", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			folder := "results/latest"
			if len(args) == 1 {
				folder = args[0]
			}
			report, err := v1.Load(folder)
			if err != nil {
				return usageError("%w", err)
			}
			printer := terminal.New(os.Stdout, terminalOptions(len(report.Patterns) > 1, folder))
			printer.Report(report, folder)
			return printer.Err()
		},
	}
}
