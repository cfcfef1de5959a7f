package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/provider"
)

func TestExitCode(t *testing.T) {
	nothing := errors.New("") // is not printed
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		err  error
		want int
	}{
		"no error":                        {t.Context(), nil, 0},
		"cobra's own error":               {t.Context(), nothing, 2},
		"bad input":                       {t.Context(), usageError("%w", nothing), 2},
		"the environment":                 {t.Context(), environmentError(nothing), 4},
		"a code of its own":               {t.Context(), &exitError{code: 3, err: nothing}, 3},
		"the environment, interrupted":    {interrupted, environmentError(nothing), 130},
		"bad input, interrupted":          {interrupted, usageError("%w", nothing), 2},
		"a verdict, though interrupted":   {interrupted, &exitError{code: 1, err: nothing}, 1},
		"no error of the environment":     {t.Context(), environmentError(nil), 0},
		"the environment, inside another": {t.Context(), errors.Join(environmentError(nothing)), 4},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(test.ctx, test.err); got != test.want {
				t.Errorf("exit code %d, want %d", got, test.want)
			}
		})
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "one": "one", "one\ntwo": "one; two", "one:\n  - two\n\n\tthree\r\n": "one:; - two; three",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestChooseClient(t *testing.T) {
	for _, test := range []struct {
		wanted  string
		reaches bool
		want    string
	}{
		{"auto", true, "runner"}, {"auto", false, "pod"}, {"", true, "runner"}, {"", false, "pod"},
		{"runner", false, "runner"}, {"pod", true, "pod"},
	} {
		if got := chooseClient(test.wanted, &provider.Cluster{RunnerReachesServices: test.reaches}); got != test.want {
			t.Errorf("--client %q, where the runner reaches Services is %t: %s, want %s", test.wanted, test.reaches, got, test.want)
		}
	}
}

func TestImagesInARegistryKeepTheirNamesAndTags(t *testing.T) {
	ours := build.FixtureImages()
	if len(ours) == 0 {
		t.Fatal("there is no fixture")
	}
	want := map[string]string{}
	for program, reference := range ours {
		want[program] = strings.Replace(reference, build.Registry, "registry.example:5000/mesh", 1)
	}
	t.Chdir(t.TempDir()) // where no lock is
	found, err := imagesIn(clusterOptions{registry: "registry.example:5000/mesh"})
	if diff := cmp.Diff(want, found); diff != "" || err != nil {
		t.Errorf("images (-want +got), error %v:\n%s", err, diff)
	}
	found, err = imagesIn(clusterOptions{})
	if diff := cmp.Diff(ours, found); diff != "" || err != nil {
		t.Errorf("images without a registry (-want +got), error %v:\n%s", err, diff)
	}
}

func TestLabErrorsAreOfTheEnvironmentUnlessTheyHaveACode(t *testing.T) {
	for want, err := range map[int]error{exitEnvironment: errors.New("broken"), exitUsage: fmt.Errorf("wrapped: %w", usageError("bad"))} {
		var coded *exitError
		if !errors.As(labError(err), &coded) || coded.code != want {
			t.Errorf("%v becomes %v, want code %d", err, coded, want)
		}
	}
}
