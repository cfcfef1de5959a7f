package provider

import (
	"context"
	"os/exec"

	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/lab/node"
)

// FromLab returns the cluster of a running lab. Its patterns run inside the lab's network.
func FromLab(l *lab.Lab) *Cluster {
	proxies := map[string]string{}
	for _, revision := range l.Revisions {
		proxies[revision.Name] = "Envoy " + revision.Envoy
	}
	return &Cluster{
		Provider: Lab, Name: l.Name, Kubeconfig: l.Kubeconfig, ChildKubeconfig: l.KubeconfigInside, Context: node.ContextName(l.Name),
		RunnerReachesServices: true, Proxies: proxies, Images: build.FixtureImages(),
		Command: func(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
			return l.Command(ctx, program, args...)
		},
	}
}
