package command

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/run"
)

// offlinePlan is the plan as far as no cluster need be asked.
func offlinePlan(patterns []pattern.Pattern, names []string, of clusterOptions, options run.Options) (*run.Plan, error) {
	selected, err := run.Select(patterns, names)
	if err != nil {
		return nil, usageError("%w", err)
	}
	if err := checkInput(options); err != nil {
		return nil, err
	}
	cluster := unknownCluster(patterns)
	of.fixtures = fixturesOf(selected)
	if cluster.Images, err = imagesIn(of); err != nil {
		return nil, usageError("%w", err)
	}
	plan, err := run.NewPlan(selected, cluster, options)
	if err != nil {
		return nil, usageError("%w", err)
	}
	for index := range plan.Jobs {
		plan.Jobs[index].Revision = options.Revision
	}
	return plan, nil
}

// printPlan tells what a run would do, and does nothing of it.
func printPlan(patterns []pattern.Pattern, names []string, of clusterOptions, output string, options run.Options) error {
	if err := checkOutput(output, "table", "json", "yaml"); err != nil {
		return err
	}
	plan, err := offlinePlan(patterns, names, of, options)
	if err != nil {
		return err
	}
	intents, err := plan.Intents()
	if err != nil {
		return usageError("%w", err)
	}
	switch output {
	case "json":
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(intents)
	case "yaml":
		data, err := yaml.Marshal(intents)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(data)
		return err
	}
	fmt.Println("plan · nothing is done, and no cluster was asked: objects that need what it does not serve will be left out")
	for _, intent := range intents {
		tellIntent(intent)
	}
	return nil
}

func tellIntent(intent run.Intent) {
	what := "makes"
	if intent.Adopted {
		what = "adopts"
	}
	fmt.Printf("%s: %s %s\n", intent.Pattern, what, strings.Join(intent.Namespaces, ", "))
	fmt.Printf("  %d objects\n", len(intent.Objects))
	for _, object := range intent.Objects {
		fmt.Printf("    %s\n", object)
	}
	fmt.Printf("  %d ways in\n", len(intent.Exposures))
	for _, exposure := range intent.Exposures {
		fmt.Printf("    %s\n", exposure)
	}
	for _, phase := range run.Phases {
		needed := slices.DeleteFunc(slices.Clone(intent.Permissions), func(p run.Permission) bool { return p.Phase != phase })
		fmt.Printf("  permissions for %s\n", phase)
		for _, text := range run.TellPermissions(needed) {
			fmt.Printf("    %s\n", text)
		}
	}
}
