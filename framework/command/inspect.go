package command

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/run"
)

// buildVersion is set by the linker in releases.
var buildVersion = ""

// version is the program's own: of a release, or of the module that was installed, or "devel".
func version() string {
	if buildVersion != "" {
		return buildVersion
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Printf("meshproof %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

// listed is a pattern as `list -o json` shows it.
type listed struct {
	Name       string            `json:"name"`
	Title      string            `json:"title"`
	Path       string            `json:"path"`
	Parameters []listedParameter `json:"parameters"`
	Claims     []listedClaim     `json:"claims"`
	Deviations []string          `json:"deviations"`
}

type listedParameter struct {
	Name        string `json:"name"`
	Default     string `json:"default,omitempty"`
	Description string `json:"description"`
}

type listedClaim struct {
	ID    string   `json:"id"`
	Alias string   `json:"alias"`
	Text  string   `json:"text"`
	Ends  []string `json:"ends"`
	// Requires says what a cluster must serve for the claim not to be skipped.
	Requires []string `json:"requires,omitempty"`
}

func newListCommand(patterns []pattern.Pattern) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "list [PATTERN...]", Short: "List the patterns, their claims, and the ends that judge them",
		RunE: func(_ *cobra.Command, args []string) error {
			selected, err := run.Select(patterns, args)
			if err != nil {
				return usageError("%w", err)
			}
			var list []listed
			for _, p := range selected {
				list = append(list, describePattern(p))
			}
			return printList(list, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	return cmd
}

func describePattern(p pattern.Pattern) listed {
	entry := listed{Name: p.Name, Title: p.Title, Path: p.Path, Deviations: p.Deviations}
	for _, parameter := range p.Parameters {
		entry.Parameters = append(entry.Parameters, listedParameter{parameter.Name, parameter.Default, parameter.Description})
	}
	for _, claim := range p.Claims {
		one := listedClaim{ID: p.ID(claim), Alias: claim.Alias, Text: claim.Text, Ends: claim.Ends}
		for _, name := range claim.Requires {
			requirement, _ := p.Requirement(name) // Validate has found it
			one.Requires = append(one.Requires, requirement.APIVersion+" "+requirement.Kind)
		}
		entry.Claims = append(entry.Claims, one)
	}
	return entry
}

func printList(list []listed, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(list)
	case "yaml":
		data, err := yaml.Marshal(list)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(data)
		return err
	case "table":
		for _, entry := range list {
			fmt.Printf("%s: %s\n", entry.Name, entry.Title)
			table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			for _, claim := range entry.Claims {
				ends := strings.Join(claim.Ends, ", ")
				if len(claim.Requires) > 0 {
					ends += " (needs " + strings.Join(claim.Requires, ", ") + ")"
				}
				fmt.Fprintf(table, "  %s\t%s\t%s\n", claim.Alias, claim.Text, ends)
			}
			if err := table.Flush(); err != nil {
				return err
			}
		}
		return nil
	default:
		return usageError("--output %q is none of table, json, yaml", output)
	}
}

func newRenderCommand(patterns []pattern.Pattern) *cobra.Command {
	var options run.Options
	cmd := &cobra.Command{
		Use: "render PATTERN", Short: "Print the manifests as they would be installed; no cluster is asked", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			selected, err := run.Select(patterns, args)
			if err != nil {
				return usageError("%w", err)
			}
			cluster := unknownCluster(patterns)
			cluster.Images = build.FixtureImages()
			plan, err := run.NewPlan(selected, cluster, options)
			if err != nil {
				return usageError("%w", err)
			}
			job := plan.Jobs[0]
			job.RunID, job.Revision = "render", options.Revision
			objects, err := run.Objects(selected[0], job)
			if err != nil {
				return usageError("%w", err)
			}
			for _, object := range objects {
				data, err := yaml.Marshal(object.Object)
				if err != nil {
					return err
				}
				fmt.Printf("---\n%s", data)
			}
			return nil
		},
	}
	runFlags(cmd, &options)
	return cmd
}
