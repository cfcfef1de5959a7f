package command

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/images"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/pattern"
)

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// What a run installs is named by the digests of the lock, which the working folder may have.
func TestImagesArePinnedByTheLock(t *testing.T) {
	t.Chdir(t.TempDir())
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	var list []images.Image
	for _, p := range build.FixturePublications() {
		if p.Program != "rating" {
			list = append(list, images.Image{Name: p.Name, Tag: p.Tag, Digest: digest})
		}
	}
	options := clusterOptions{registry: "registry.example:5000/mesh", fixtures: []string{"bookinfo"}}
	for _, options.lock = range []string{"", "named.yaml"} {
		if err := images.WriteLock(orElse(options.lock, images.LockFile), list); err != nil {
			t.Fatal(err)
		}
		found, err := imagesIn(options)
		if want := "registry.example:5000/mesh/fixtures/bookinfo@" + digest; found["bookinfo"] != want || err != nil {
			t.Errorf("lock %q: %s, error %v; want %s", options.lock, found["bookinfo"], err, want)
		}
		if err := os.Remove(orElse(options.lock, images.LockFile)); err != nil {
			t.Fatal(err)
		}
	}
	if err := images.WriteLock(images.LockFile, list); err != nil {
		t.Fatal(err)
	}
	options.lock, options.fixtures = "", []string{"bookinfo", "rating"}
	if _, err := imagesIn(options); err == nil || !strings.Contains(err.Error(), "the lock has no image fixtures/rating") {
		t.Errorf("a lock without an image that is needed: error %v", err)
	}
}

// The run in the pod gets what the user has said of a run, and nothing that only this machine has.
func TestWhatIsHandedToTheRunInThePod(t *testing.T) {
	t.Chdir(t.TempDir())
	settings := "revision: 1-31\nimage-registry: registry.example.com\noverlay: patches\nclaim: nonsense\n"
	if err := os.WriteFile("settings.yaml", []byte(strings.Replace(settings, "claim: nonsense\n", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MESHPROOF_TIMEOUT_SCALE", "2")
	read := func(words ...string) (inner, error) {
		root := newRoot([]pattern.Pattern{basicGateway()})
		cmd, _, err := root.Find([]string{"job"})
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.ParseFlags([]string{"--config", "settings.yaml"}); err != nil {
			t.Fatal(err)
		}
		return readInner(cmd, words)
	}
	got, err := read("--claim", "BG1,BG5", "--set", "route_hostname=shop.example.com", "--fail-fast")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"--claim=BG1", "--claim=BG5", "--fail-fast=true", "--revision=1-31", "--set=route_hostname=shop.example.com", "--timeout-scale=2"}
	if diff := cmp.Diff(want, got.args); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
	if !got.options.FailFast || got.options.Revision != "1-31" || got.options.TimeoutScale != 2 {
		t.Errorf("options %+v", got.options)
	}
	for word, want := range map[string]string{
		"--kubeconfig=x": "--kubeconfig cannot be handed to the run in the pod", "--overlay=x": "--overlay cannot be handed", "--results=x": "--results cannot be handed",
		"--nonsense": "unknown flag: --nonsense", "BG1": `"BG1" is none: patterns come before it`,
	} {
		var coded *exitError
		if _, err := read(word); !errors.As(err, &coded) || coded.code != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q and exit 2", word, err, want)
		}
	}
}
