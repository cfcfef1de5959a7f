package command

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshproof/meshproof/framework/images"
	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/pattern"
)

func newImagesCommand(patterns []pattern.Pattern) *cobra.Command {
	cmd := &cobra.Command{Use: "images", Short: "Bring the images of the fixtures, and of meshproof itself, to a cluster of your own"}
	var options lab.Options
	cmd.PersistentFlags().StringVar(&options.CacheDir, "cache-dir", "", "folder of what is built (default: meshproof in your cache folder)")
	settings(cmd.PersistentFlags(), "cache-dir")
	cmd.AddCommand(newImagesList(patterns, &options), newImagesSave(&options), newImagesLoad(&options), newImagesPush(&options))
	return cmd
}

func platformFlag(flags *pflag.FlagSet, platforms *[]string) {
	flags.StringSliceVar(platforms, "platform", platformsOf(build.Architectures), "platforms that each image is for")
}

// lockFlag is of the command that writes the lock, and of those that read it.
func lockFlag(flags *pflag.FlagSet, lock *string) {
	flags.StringVar(lock, "image-lock", "", "file with the digests that meshproof images push has written, by which images are named (default: "+images.LockFile+"; a run needs none)")
	settings(flags, "image-lock")
}

func platformsOf(architectures []string) []string {
	var platforms []string
	for _, arch := range architectures {
		platforms = append(platforms, "linux/"+arch)
	}
	return platforms
}

// architecturesOf are those of platforms, in the order in which they are always built.
func architecturesOf(platforms []string) ([]string, error) {
	known := platformsOf(build.Architectures)
	for _, platform := range platforms {
		if !slices.Contains(known, platform) {
			return nil, usageError("--platform %q is none of %s", platform, strings.Join(known, ", "))
		}
	}
	var architectures []string
	for index, platform := range known {
		if slices.Contains(platforms, platform) {
			architectures = append(architectures, build.Architectures[index])
		}
	}
	if len(architectures) == 0 {
		return nil, usageError("--platform names none")
	}
	return architectures, nil
}

func newImagesList(patterns []pattern.Pattern, options *lab.Options) *cobra.Command {
	var output, from string
	var platforms []string
	cmd := &cobra.Command{
		Use: "list", Short: "List the images, and the patterns that use them; digests and sizes of those that are built", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output, "table", "json", "yaml"); err != nil {
				return err
			}
			architectures, err := architecturesOf(platforms)
			if err != nil {
				return err
			}
			var list []images.Image
			if from != "" {
				err = withSaved(from, func(saved []images.Image) error { list = saved; return nil })
			} else {
				list, err = known(cmd.Context(), *options, architectures)
			}
			if err != nil {
				return err
			}
			for index := range list {
				list[index].Patterns = usersOf(patterns, list[index].Name)
			}
			return printImages(list, output)
		},
	}
	platformFlag(cmd.Flags(), &platforms)
	cmd.Flags().StringVar(&from, "from", "", "file that `images save` wrote, to list instead")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	return cmd
}

// known are the images of this program, with the digests of those that have been built on this machine. None is built.
func known(ctx context.Context, options lab.Options, architectures []string) ([]images.Image, error) {
	cache, err := options.Cache()
	if err != nil {
		return nil, environmentError(err)
	}
	publications, err := build.Publications()
	if err != nil {
		return nil, environmentError(err)
	}
	var list []images.Image
	for _, p := range publications {
		image := images.Image{Name: p.Name, Tag: p.Tag, Platforms: platformsOf(architectures)}
		if folder := build.Published(ctx, cache, p, architectures); folder != "" {
			built, err := images.Of([]string{folder})
			if err != nil {
				return nil, environmentError(err)
			}
			image = built[0]
		}
		list = append(list, image)
	}
	return list, nil
}

// usersOf are the patterns that install the image; of the suite's own there are none.
func usersOf(patterns []pattern.Pattern, name string) []string {
	var users []string
	for _, p := range patterns {
		if slices.Contains(fixturesOf([]pattern.Pattern{p}), strings.TrimPrefix(name, "fixtures/")) {
			users = append(users, p.Name)
		}
	}
	return users
}

func printImages(list []images.Image, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(list)
	case "yaml":
		data, err := images.Marshal(list)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(data)
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "IMAGE\tTAG\tDIGEST\tPLATFORMS\tSIZE\tUSED BY\n")
	for _, image := range list {
		digest, size, users := "not built", "", strings.Join(image.Patterns, ", ")
		if image.Digest != "" {
			digest, size = image.Digest, fmt.Sprintf("%.1f MB", float64(image.Size)/1e6)
		}
		if image.Name == build.Suite {
			users = "meshproof job"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", image.Name, image.Tag, digest, strings.Join(image.Platforms, ", "), size, users)
	}
	return table.Flush()
}

// builtImages builds what is missing, and returns all images.
func builtImages(ctx context.Context, options lab.Options, architectures []string) ([]images.Image, error) {
	cache, err := options.Cache()
	if err != nil {
		return nil, environmentError(err)
	}
	publications, err := build.Publications()
	if err != nil {
		return nil, environmentError(err)
	}
	folders, err := build.Publish(ctx, cache, publications, architectures, newProgress(os.Stderr))
	if err != nil {
		return nil, environmentError(err)
	}
	list, err := images.Of(folders)
	return list, environmentError(err)
}

// withSaved unpacks a file of images for as long as use needs it.
func withSaved(file string, use func([]images.Image) error) error {
	folder, err := os.MkdirTemp("", "meshproof-images-*")
	if err != nil {
		return environmentError(err)
	}
	defer func() { _ = os.RemoveAll(folder) }() // what is left of it takes room, and nothing else
	list, err := images.Open(file, folder)
	if err != nil {
		return usageError("%w", err)
	}
	return use(list)
}

func newImagesSave(options *lab.Options) *cobra.Command {
	var platforms []string
	cmd := &cobra.Command{
		Use: "save FILE", Short: "Write all images into a file (a tar of an OCI layout), to be pushed or loaded where there is no Go tool", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			architectures, err := architecturesOf(platforms)
			if err != nil {
				return err
			}
			if info, err := os.Stat(args[0]); err == nil && !info.Mode().IsRegular() {
				return usageError("%s is no file", args[0])
			}
			list, err := builtImages(cmd.Context(), *options, architectures)
			if err != nil {
				return err
			}
			if err := images.Save(args[0], list); err != nil {
				return environmentError(err)
			}
			return printDigests(list, "")
		},
	}
	platformFlag(cmd.Flags(), &platforms)
	return cmd
}

// printDigests prints one reference a line, in a registry or without.
func printDigests(list []images.Image, registry string) error {
	for _, image := range list {
		reference := image.In(registry)
		if registry == "" {
			reference = reference[1:]
		}
		if _, err := fmt.Println(reference); err != nil {
			return err
		}
	}
	return nil
}

func newImagesLoad(options *lab.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "load FILE", Short: "Bring the images of a file that `images save` wrote into the lab that runs", Args: cobra.ExactArgs(1),
		Long: "Bring the images of a file that `images save` wrote into the lab that runs, under the names that its runs use.\n" +
			"A node of another cluster takes the same file: ctr -n k8s.io images import FILE",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withSaved(args[0], func(list []images.Image) error {
				running, err := lab.Open(*options)
				if err != nil {
					return labError(err)
				}
				if err := running.LoadImages(cmd.Context(), *options, args[0]); err != nil {
					return environmentError(err)
				}
				for _, image := range list {
					fmt.Println(build.Publication{Name: image.Name, Tag: image.Tag}.Reference())
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Name, "lab", lab.DefaultName, "name of the lab")
	flags.StringVar(&options.StateDir, "state-dir", "", "folder of running labs (default: meshproof in your state folder)")
	settings(flags, "lab", "state-dir")
	return cmd
}

func newImagesPush(options *lab.Options) *cobra.Command {
	var platforms []string
	var from, lock string
	cmd := &cobra.Command{
		Use: "push REGISTRY", Short: "Bring all images into a registry, with the credentials of docker or podman, and write down their digests", Args: cobra.ExactArgs(1),
		Example: "  meshproof images push registry.example.com/meshproof\n  meshproof images push registry.example.com/meshproof --from images.tar",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := images.CheckRegistry(args[0]); err != nil {
				return usageError("%w", err)
			}
			architectures, err := architecturesOf(platforms)
			if err != nil {
				return err
			}
			push := func(list []images.Image) error {
				if err := images.Push(cmd.Context(), args[0], list, newProgress(os.Stderr)); err != nil {
					return environmentError(err)
				}
				if err := images.WriteLock(cmp.Or(lock, images.LockFile), list); err != nil {
					return environmentError(err)
				}
				return printDigests(list, args[0])
			}
			if from != "" {
				if cmd.Flags().Changed("platform") {
					return usageError("--platform chooses what is built, and --from builds nothing")
				}
				return withSaved(from, push)
			}
			list, err := builtImages(cmd.Context(), *options, architectures)
			if err != nil {
				return err
			}
			return push(list)
		},
	}
	platformFlag(cmd.Flags(), &platforms)
	cmd.Flags().StringVar(&from, "from", "", "file that `images save` wrote; without it the images are built")
	lockFlag(cmd.Flags(), &lock)
	return cmd
}
