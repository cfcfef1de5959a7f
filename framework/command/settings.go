package command

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// A setting says how to run: it can be chosen by a flag, in the environment, or in the file of settings, and the first of
// these that has it counts. What to run, patterns and claims, is of one call, and has flags only.

// settingKey marks a flag as a setting, with the setting's key in the file as its value.
const settingKey = "meshproof.dev/setting"

// settings marks flags as settings of the same keys.
func settings(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		settingAs(flags, name, name)
	}
}

// settingAs marks a flag as the setting of a key, which other commands have under another name.
func settingAs(flags *pflag.FlagSet, name, key string) {
	if err := flags.SetAnnotation(name, settingKey, []string{key}); err != nil {
		panic(err) // there is no such flag: a mistake of this package
	}
}

// variable is the one of the environment that has a setting.
func variable(key string) string {
	if key == "kubeconfig" {
		return "KUBECONFIG"
	}
	return "MESHPROOF_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// settingsOf are the flags of a command that are settings, by key.
func settingsOf(cmd *cobra.Command) map[string]*pflag.Flag {
	found := map[string]*pflag.Flag{}
	add := func(flag *pflag.Flag) {
		if key := flag.Annotations[settingKey]; len(key) == 1 {
			found[key[0]] = flag
		}
	}
	cmd.PersistentFlags().VisitAll(add)
	cmd.Flags().VisitAll(add)
	return found
}

// settingsKeys are those of a command and of all below it, in their order.
func settingsKeys(cmd *cobra.Command) []string {
	var keys []string
	for key := range settingsOf(cmd) {
		keys = append(keys, key)
	}
	for _, below := range cmd.Commands() {
		keys = append(keys, settingsKeys(below)...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// applySettings gives the flags of cmd that were not given the values of the environment, or else of the file. A variable
// that is empty counts as not set.
func applySettings(cmd *cobra.Command, path string) error {
	return applyKnown(cmd, path, settingsKeys(cmd.Root()))
}

// applyKnown is applySettings for a command that is under no root, with the keys that the file may have.
func applyKnown(cmd *cobra.Command, path string, known []string) error {
	own := settingsOf(cmd)
	if len(own) == 0 {
		return nil
	}
	file, err := readSettings(path, known)
	if err != nil {
		return err
	}
	for key, flag := range own {
		if flag.Changed {
			continue
		}
		if value := os.Getenv(variable(key)); value != "" {
			if err := cmd.Flags().Set(flag.Name, value); err != nil {
				return usageError("%s: %w", variable(key), err)
			}
			continue
		}
		if node, found := file.values[key]; found {
			if err := setFromNode(cmd.Flags(), flag, node); err != nil {
				return usageError("%s line %d: %s: %w", file.path, node.Line, key, err)
			}
		}
	}
	return nil
}

// setFromNode gives a flag the value that the file has, as it is written there: a version such as 1.30 is no number.
func setFromNode(flags *pflag.FlagSet, flag *pflag.Flag, node *yaml.Node) error {
	if list, takesMany := flag.Value.(pflag.SliceValue); takesMany && node.Kind == yaml.SequenceNode {
		var values []string
		for _, item := range node.Content {
			value, err := scalar(item)
			if err != nil {
				return err
			}
			values = append(values, value)
		}
		flag.Changed = true
		return list.Replace(values)
	}
	if flag.Value.Type() == "stringToString" {
		return setPairs(flags, flag, node)
	}
	value, err := scalar(node)
	if err != nil {
		return err
	}
	return flags.Set(flag.Name, value)
}

// setPairs gives a flag of the form name=value one pair after another.
func setPairs(flags *pflag.FlagSet, flag *pflag.Flag, node *yaml.Node) error {
	pairs, err := pairsOf(node)
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		value, err := scalar(pair.value)
		if err != nil {
			return fmt.Errorf("%s: %w", pair.key, err)
		}
		// The flag takes what has a comma or a quotation mark apart, and needs a second = to do it for all.
		if strings.ContainsAny(value, "=,\"\n") {
			return fmt.Errorf("%s: a value with a comma, a quotation mark, an equals sign or several lines can only be given as a file (set-file)", pair.key)
		}
		if err := flags.Set(flag.Name, pair.key+"="+value); err != nil {
			return err
		}
	}
	return nil
}

// scalar is a single value, as it is written.
func scalar(node *yaml.Node) (string, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch {
	case node.Kind != yaml.ScalarNode:
		return "", fmt.Errorf("it is no single value")
	case node.Tag == "!!null":
		return "", fmt.Errorf("it has no value")
	}
	return node.Value, nil
}
