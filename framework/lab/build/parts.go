package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// part is a set of programs that one nested module builds.
type part struct {
	// name is what progress calls it; module is its folder in the archive.
	name, module string
	// packages are built into files of their own names; packages "." is named by program.
	packages []string
	program  string
	tags     string
	// sources are the folders and files of the archive that decide whether it is built again; none means the whole module.
	sources []string
	// ldflags stamp the versions, without which a node reports v0.0.0-master+$Format:%H$.
	ldflags []string
	// links are further names of program.
	links []string
	// files are taken from the module dependencies as they are: path in the entry, from module and path.
	files []moduleFile
	// arch is the architecture that it is built for; empty is that of this machine.
	arch string
}

// moduleFile is a file that a program needs beside it, taken from the pinned module that the program is built from.
type moduleFile struct{ name, module, path string }

func kubernetesPart(v KubernetesVersion) part {
	major, minor, _ := strings.Cut(strings.TrimPrefix(v.Version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	var stamps []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		stamps = append(stamps, "-X "+pkg+".gitVersion="+v.Version, "-X "+pkg+".gitMajor="+major,
			"-X "+pkg+".gitMinor="+minor, "-X "+pkg+".gitTreeState=clean")
	}
	return part{
		name: "Kubernetes " + v.Version, module: PartsPrefix + v.Module, packages: []string{"."}, program: "kubernetes", ldflags: stamps,
		links: []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"},
	}
}

func istioPart(v IstioVersion) part {
	const pkg = "istio.io/istio/pkg/version"
	return part{
		name: "Istio " + v.Version, module: PartsPrefix + v.Module,
		packages: []string{"istio.io/istio/pilot/cmd/pilot-discovery", "istio.io/istio/pilot/cmd/pilot-agent", "istio.io/istio/istioctl/cmd/istioctl"},
		// disable_pgv and vtprotobuf are the tags of Istio's own build.
		tags:    "vtprotobuf,disable_pgv",
		ldflags: []string{"-X " + pkg + ".buildVersion=" + v.Version, "-X " + pkg + ".buildGitRevision=" + v.Commit, "-X " + pkg + ".buildStatus=Clean", "-X " + pkg + ".buildTag=" + v.Version},
		files:   []moduleFile{{name: "envoy_bootstrap.json", module: "istio.io/istio", path: "tools/packaging/common/envoy_bootstrap.json"}},
	}
}

// istioCNIPart builds istio-cni, the plugin that the container runtime calls, and install-cni, which puts it on a node.
func istioCNIPart(v IstioVersion) part {
	p := istioPart(v)
	p.name, p.files = "istio-cni "+v.Version, nil
	p.packages = []string{"istio.io/istio/cni/cmd/istio-cni", "istio.io/istio/cni/cmd/install-cni"}
	return p
}

func coreDNSPart() part {
	return part{name: "CoreDNS", module: PartsPrefix + "coredns", packages: []string{"."}, program: "coredns"}
}

// pausePart builds the program of the pods' sandboxes. It imports nothing, so that an edit of another fixture leaves it,
// and with it the images of the lab, as they are.
func pausePart() part {
	return part{name: "pause", module: MainModule, sources: []string{MainModule + "/fixtures/pause"}, packages: []string{"./fixtures/pause"}}
}

// routerPart builds the controller of the router, and takes the definitions of OpenShift's kinds from the module that it
// has their Go types from.
func routerPart() part {
	const api = "github.com/openshift/api"
	return part{
		name: "router", module: MainModule, sources: mainModuleSources("framework/lab/router"), packages: []string{"./framework/lab/router"},
		files: []moduleFile{
			{name: "routes.crd.yaml", module: api, path: "route/v1/zz_generated.crd-manifests/routes.crd.yaml"},
			{name: "ingresses.crd.yaml", module: api, path: "config/v1/zz_generated.crd-manifests/0000_10_config-operator_01_ingresses.crd.yaml"},
		},
	}
}

// fixturesPart builds the programs that patterns install.
func fixturesPart(programs ...string) part {
	p := part{name: "fixtures", module: MainModule, sources: mainModuleSources("fixtures")}
	for _, program := range programs {
		p.packages = append(p.packages, "./fixtures/"+program)
	}
	return p
}

// mainModuleSources are what the programs below a folder of the main module are made of.
func mainModuleSources(folder string) []string {
	return []string{MainModule + "/" + folder, MainModule + "/go.mod", MainModule + "/go.sum"}
}

// build returns the cache entry that holds the part's programs.
func (p part) build(ctx context.Context, cache Cache, src sources, toolchain string, progress Progress) (string, error) {
	sources := p.sources
	if len(sources) == 0 {
		sources = []string{p.module}
	}
	key := Key(src.digest(sources...), toolchain, strings.Join(p.packages, " "), p.tags, strings.Join(p.ldflags, " "))
	return cache.Entry(ctx, filepath.Join("bin", filepath.Base(p.module)), key, func(ctx context.Context, dir string) error {
		return Timed(progress, "build "+p.name, func(step Step) (string, error) {
			sourceDir, err := src.unpack(ctx, cache, p.module)
			if err != nil {
				return "", err
			}
			if err := p.compile(ctx, sourceDir, dir, step); err != nil {
				return "", err
			}
			if err := p.copyFiles(ctx, sourceDir, dir); err != nil {
				return "", err
			}
			for _, link := range p.links {
				if err := os.Symlink(p.program, filepath.Join(dir, link)); err != nil {
					return "", fmt.Errorf("link %s: %w", link, err)
				}
			}
			return strings.Join(p.links, ", "), nil
		})
	})
}

func (p part) compile(ctx context.Context, sourceDir, dir string, step Step) error {
	step.Update(0, 0, "downloading modules")
	total, err := p.countPackages(ctx, sourceDir)
	if err != nil {
		return err
	}
	output := dir + string(filepath.Separator)
	if p.program != "" {
		output = filepath.Join(dir, p.program)
	}
	args := []string{"build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w " + strings.Join(p.ldflags, " "), "-o", output}
	if p.tags != "" {
		args = append(args, "-tags", p.tags)
	}
	cmd := p.goCommand(ctx, sourceDir, append(args, p.packages...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return goMissing(err)
	}
	// -v prints each package as its compilation starts; packages that Go's own cache holds are not printed, so the count
	// is of what was compiled, never more than total.
	done, tail := 0, newTail(20)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		tail.add(lines.Text())
		done++
		step.Update(min(done, total), total, "compiling")
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build %s: %w", p.name, context.Cause(ctx))
		}
		return fmt.Errorf("build %s: `go %s` in %s: %w; its last lines:\n%s", p.name, args[0], sourceDir, err, tail)
	}
	return nil
}

func (p part) copyFiles(ctx context.Context, sourceDir, dir string) error {
	for _, file := range p.files {
		output, err := goCommand(ctx, sourceDir, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", file.module).Output()
		if err != nil {
			return fmt.Errorf("find the sources of module %s: %w", file.module, err)
		}
		data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(output)), file.path))
		if err != nil {
			return fmt.Errorf("take %s from module %s: %w", file.path, file.module, err)
		}
		if err := os.WriteFile(filepath.Join(dir, file.name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// countPackages is how many packages a build from nothing compiles; it also downloads the modules.
func (p part) countPackages(ctx context.Context, sourceDir string) (int, error) {
	args := []string{"list", "-mod=readonly", "-deps", "-f", "{{.ImportPath}}"}
	if p.tags != "" {
		args = append(args, "-tags", p.tags)
	}
	cmd := p.goCommand(ctx, sourceDir, append(args, p.packages...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("download the modules of %s: %w", p.name, context.Cause(ctx))
		}
		return 0, fmt.Errorf("download the modules of %s (`go list` in %s): %w; its last lines:\n%s", p.name, sourceDir, goMissing(err), lastLines(stderr.String(), 10))
	}
	return bytes.Count(stdout.Bytes(), []byte("\n")), nil
}

// goCommand is that for the part's architecture.
func (p part) goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := goCommand(ctx, dir, args...)
	if p.arch != "" {
		cmd.Env = append(cmd.Env, "GOARCH="+p.arch)
	}
	return cmd
}

// goCommand runs the Go tool so that nothing outside the module decides what is built: no workspace, no flags of the
// user's, no C compiler. The module proxy and the caches are the user's own.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// An empty GOFLAGS would be taken from the user's `go env -w`.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0", "GOOS=linux", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0")
	return cmd
}

// goMissing adds what to do when there is no Go tool to run.
func goMissing(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("the lab is compiled on this machine and needs the Go tool (1.26 or newer) in PATH: %w", err)
	}
	return err
}

// Toolchain is the version of the Go tool, which is part of every entry's key.
func Toolchain(ctx context.Context) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := goCommand(ctx, "", "env", "GOVERSION", "GOARCH")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ask the Go tool for its version: %w%s", goMissing(err), lastLines(stderr.String(), 3))
	}
	return strings.Join(strings.Fields(stdout.String()), " "), nil
}

// tail keeps the last lines of a program's output for its error message.
type tail struct {
	lines []string
	size  int
}

func newTail(size int) *tail { return &tail{size: size} }

func (t *tail) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > t.size {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string { return strings.Join(t.lines, "\n") }

func lastLines(text string, count int) string {
	t := newTail(count)
	for line := range strings.Lines(text) {
		t.add(strings.TrimRight(line, "\n"))
	}
	return t.String()
}
