// Package command is the command line of meshproof. A program of one's own is a main function that calls Main with the
// patterns that it wants to prove.
package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/meshproof/meshproof/framework/job"
	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/run"
)

// Exit codes, as the README lists them.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitInconclusive = 3
	exitEnvironment  = 4
	exitInterrupted  = 130
)

// Main runs the command line with these patterns and ends the process with its exit code.
func Main(patterns ...pattern.Pattern) {
	os.Exit(execute(patterns, os.Args[1:]))
}

func execute(patterns []pattern.Pattern, args []string) int {
	if code, done := becomePart(patterns, args); done {
		return code
	}
	// client-go logs through klog to standard error, where people read what this program says.
	klog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot(patterns)
	root.SetArgs(args)
	return exitCode(ctx, root.ExecuteContext(ctx))
}

// becomePart handles the hidden words by which the program starts itself for another purpose than the command line.
func becomePart(patterns []pattern.Pattern, args []string) (code int, done bool) {
	if len(args) == 0 {
		return 0, false
	}
	var err error
	switch args[0] {
	case lab.InitArgument:
		if len(args) != 2 {
			err = errors.New("usage: " + lab.InitArgument + " SPEC")
			break
		}
		err = lab.RunInit(args[1])
	case lab.EnterArgument:
		err = lab.RunEnter(args[1:])
	case job.ServeArgument:
		if code, err = job.Serve(args[1:]); err == nil {
			return code, true
		}
	case run.ChildArgument:
		if !run.Child(patterns, os.Stdin, os.NewFile(run.EventsFD, "events")) {
			return exitFailed, true
		}
		return exitOK, true
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "meshproof:", err)
		return exitEnvironment, true
	}
	return exitOK, true
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageError is bad input: one clear line and exit 2, before anything is touched.
func usageError(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// checkOutput refuses a form of the output that the command does not have.
func checkOutput(output string, forms ...string) error {
	if slices.Contains(forms, output) {
		return nil
	}
	return usageError("--output %q is none of %s", output, strings.Join(forms, ", "))
}

// environmentError is a cluster or machine that does not do what it should.
func environmentError(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitEnvironment, err: err}
}

// exitCode prints the error, once, and returns the code that the process ends with.
func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	var coded *exitError
	code := exitUsage // cobra's own errors are about flags and arguments
	if errors.As(err, &coded) {
		code = coded.code
	}
	if ctx.Err() != nil && code == exitEnvironment {
		code = exitInterrupted
	}
	if text := oneLine(err.Error()); text != "" {
		fmt.Fprintln(os.Stderr, "meshproof:", text)
	}
	return code
}

// oneLine joins the lines of an error that comes from elsewhere, kustomize's or several joined ones.
func oneLine(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

func newRoot(patterns []pattern.Pattern) *cobra.Command {
	var config string
	root := &cobra.Command{
		Use:           "meshproof",
		Short:         "Prove that the data paths of a service mesh really work",
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return applySettings(cmd, cmp.Or(config, os.Getenv(variable("config"))))
		},
	}
	root.PersistentFlags().StringVar(&config, "config", "", "file of settings (default: "+settingsFile+", if it is there)")
	root.AddCommand(newListCommand(patterns), newPreflightCommand(patterns), newRunCommand(patterns), newRenderCommand(patterns), newProveCommand(patterns),
		newReportCommand(), newCompareCommand(), newCleanCommand(), newImagesCommand(patterns), newJobCommand(patterns), newLabCommand(), newVersionCommand())
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if !cmd.Runnable() { // or cobra takes a word that it does not know for a wish for help
			cmd.Args, cmd.RunE = root.Args, root.RunE
		}
	}
	return root
}
