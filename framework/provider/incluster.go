package provider

import (
	"context"
	"os/exec"

	"k8s.io/client-go/rest"
)

// InCluster is the Provider of the cluster in which this process is a pod.
const InCluster = "in-cluster"

// FromInside returns the cluster in which this process is a pod, as its service account. images are the fixtures' images,
// which that cluster must be able to pull. Nothing is sent yet.
func FromInside(images map[string]string) (*Cluster, error) {
	if _, err := rest.InClusterConfig(); err != nil {
		return nil, usage("--in-cluster is for a pod with a service account: %w", err)
	}
	return &Cluster{Provider: InCluster, Images: images, Command: func(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, program, args...), nil
	}}, nil
}
