// Package e2e makes the lab a cluster provider of sigs.k8s.io/e2e-framework, so that tests written for that framework can
// run on a real mesh without Docker:
//
//	testenv.Setup(envfuncs.CreateCluster(e2e.NewProvider(), "mine"))
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/support"

	"github.com/meshproof/meshproof/framework/lab/node"
)

// Provider is a lab that the command meshproof starts and ends. Creating it needs root.
type Provider struct {
	name, version, path, kubeconfig string
}

var _ support.E2EClusterProvider = &Provider{}

// NewProvider returns a provider of the lab "e2e"; WithName chooses another.
func NewProvider() support.E2EClusterProvider { return (&Provider{}).SetDefaults() }

// SetDefaults implements support.E2EClusterProvider.
func (p *Provider) SetDefaults() support.E2EClusterProvider {
	if p.name == "" {
		p.name = "e2e"
	}
	if p.path == "" {
		p.path = "meshproof"
	}
	return p
}

// WithName chooses the lab.
func (p *Provider) WithName(name string) support.E2EClusterProvider { p.name = name; return p }

// WithVersion chooses the version of Kubernetes, as `meshproof lab up --kubernetes` takes it.
func (p *Provider) WithVersion(version string) support.E2EClusterProvider {
	p.version = version
	return p
}

// WithPath names the program meshproof; the default is the one in PATH.
func (p *Provider) WithPath(path string) support.E2EClusterProvider { p.path = path; return p }

// WithOpts applies the options.
func (p *Provider) WithOpts(options ...support.ClusterOpts) support.E2EClusterProvider {
	for _, option := range options {
		option(p)
	}
	return p
}

// Create starts the lab, after building it where needed, and returns the path of its kubeconfig. args are further flags of
// `meshproof lab up`.
func (p *Provider) Create(ctx context.Context, args ...string) (string, error) {
	up := []string{"lab", "up", "--name", p.name}
	if p.version != "" {
		up = append(up, "--kubernetes", p.version)
	}
	if _, err := p.run(ctx, append(up, args...)...); err != nil {
		return "", err
	}
	return p.GenerateKubeconfig()
}

// CreateWithConfig is an error: a lab has no configuration file.
func (p *Provider) CreateWithConfig(context.Context, string) (string, error) {
	return "", errors.New("the lab has no configuration file: give flags of `meshproof lab up` to Create")
}

// GetKubeconfig returns the path of the kubeconfig; empty before Create.
func (p *Provider) GetKubeconfig() string { return p.kubeconfig }

// GenerateKubeconfig asks the lab for the path of its kubeconfig.
func (p *Provider) GenerateKubeconfig(...string) (string, error) {
	output, err := p.run(context.Background(), "lab", "kubeconfig", "--name", p.name)
	if err != nil {
		return "", err
	}
	p.kubeconfig = strings.TrimSpace(output)
	return p.kubeconfig, nil
}

// GetKubectlContext returns the name of the lab's context.
func (p *Provider) GetKubectlContext() string { return node.ContextName(p.name) }

// ExportLogs copies the log of each part of the lab into the folder dest.
func (p *Provider) ExportLogs(ctx context.Context, dest string) error {
	parts, err := p.run(ctx, "lab", "logs", "--name", p.name)
	if err != nil {
		return err
	}
	for _, part := range strings.Fields(parts) {
		log, err := p.run(ctx, "lab", "logs", "--name", p.name, part)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dest, part+".log"), []byte(log), 0o644); err != nil {
			return fmt.Errorf("export the logs of lab %q: %w", p.name, err)
		}
	}
	return nil
}

// Destroy ends the lab.
func (p *Provider) Destroy(ctx context.Context) error {
	_, err := p.run(ctx, "lab", "down", "--name", p.name)
	return err
}

// WaitForControlPlane has nothing to wait for: Create returns when the cluster and its mesh are ready.
func (p *Provider) WaitForControlPlane(context.Context, klient.Client) error { return nil }

// KubernetesRestConfig returns the client configuration; nil when there is no kubeconfig that can be read.
func (p *Provider) KubernetesRestConfig() *rest.Config {
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		return nil
	}
	return config
}

func (p *Provider) run(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", p.path, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
