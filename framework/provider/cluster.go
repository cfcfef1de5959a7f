// Package provider finds the cluster that a run takes place on.
package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshproof/meshproof/framework/kube"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Cluster is where a run takes place. Its exported fields are what a child process needs to find the same cluster.
type Cluster struct {
	// Provider is "lab", "kubeconfig" or "in-cluster"; Name is the lab's.
	Provider string `json:"provider"`
	Name     string `json:"name,omitempty"`
	// Kubeconfig and Context are for this process; ChildKubeconfig is for the processes that Command starts.
	Kubeconfig      string `json:"kubeconfig"`
	ChildKubeconfig string `json:"childKubeconfig"`
	Context         string `json:"context,omitempty"`
	// RunnerReachesServices tells whether the processes that Command starts can reach the addresses of pods and Services.
	RunnerReachesServices bool `json:"runnerReachesServices"`
	// Proxies are the versions of the data plane by revision, where they are known beforehand, for example "Envoy 1.40.0".
	Proxies map[string]string `json:"proxies,omitempty"`
	// Images are the images of the fixtures, by program.
	Images map[string]string `json:"images"`
	// PullSecret is the docker config.json with which the cluster pulls them; empty when it needs none. It is handed to child
	// processes, and is in no report.
	PullSecret []byte `json:"pullSecret,omitempty"`
	// IdentifyTimeout, when set, is used instead of the constant of this name.
	IdentifyTimeout time.Duration `json:"-"`

	// Command starts a program where the runner of a pattern belongs: in the lab's network, or simply here.
	Command func(ctx context.Context, program string, args ...string) (*exec.Cmd, error) `json:"-"`
}

// Lab is the Provider of a lab's cluster.
const Lab = "lab"

// UsageError is bad input: what the user named does not exist or cannot be read.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }
func (e *UsageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// FromKubeconfig returns the cluster of a kubeconfig file, and of one of its contexts (empty: the current one). images are
// the fixtures' images, which that cluster must be able to pull. Nothing is sent yet.
func FromKubeconfig(path, contextName string, images map[string]string) (*Cluster, error) {
	// KUBECONFIG may be a list of files, which are merged.
	for _, file := range filepath.SplitList(path) {
		if _, err := os.ReadFile(file); err != nil {
			return nil, usage("read the kubeconfig: %w", err)
		}
	}
	c := &Cluster{Provider: "kubeconfig", Kubeconfig: path, ChildKubeconfig: path, Context: contextName, Images: images}
	raw, err := c.loader(path).RawConfig()
	if err != nil {
		return nil, usage("read the kubeconfig %s: %w", path, err)
	}
	if c.Context == "" {
		c.Context = raw.CurrentContext
	}
	if _, found := raw.Contexts[c.Context]; !found {
		var names []string
		for name := range raw.Contexts {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, usage("the kubeconfig %s has no context %q; its contexts: %s", path, c.Context, strings.Join(names, ", "))
	}
	c.Command = func(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, program, args...), nil
	}
	return c, nil
}

func (c *Cluster) loader(path string) clientcmd.ClientConfig {
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(path)}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.Context})
}

// RESTConfig returns the client configuration for this process; child chooses that of a process that Command started.
func (c *Cluster) RESTConfig(child bool) (*rest.Config, error) {
	if c.Provider == InCluster {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, usage("use the service account of this pod: %w", err)
		}
		return config, nil
	}
	path := c.Kubeconfig
	if child {
		path = c.ChildKubeconfig
	}
	config, err := c.loader(path).ClientConfig()
	if err != nil {
		return nil, usage("use the kubeconfig %s: %w", path, err)
	}
	return config, nil
}

// IdentifyTimeout bounds the first contact with a cluster, unless it has a time of its own.
const IdentifyTimeout = 15 * time.Second

// Identify asks the cluster who it is, and which mesh it has. An API server that does not answer, and a cluster without a
// mesh, are errors that say so. revision chooses among several control planes; empty means the default one, or the only one.
func (c *Cluster) Identify(ctx context.Context, client *kube.Client, revision string) (v1.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.IdentifyTimeout, IdentifyTimeout))
	defer cancel()
	identity := v1.Cluster{Provider: c.Provider, Name: c.Name, Context: c.Context, APIServer: serverOf(client.Config)}
	namespace, err := client.Typed.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{})
	if err != nil {
		var refused *apierrors.StatusError
		if errors.As(err, &refused) {
			return identity, fmt.Errorf("the API server %s refuses to show namespace kube-system: %w", identity.APIServer, err)
		}
		return identity, fmt.Errorf("the API server %s does not answer: %w", identity.APIServer, err)
	}
	identity.UID = string(namespace.UID)
	version, err := client.Typed.Discovery().ServerVersion()
	if err != nil {
		return identity, fmt.Errorf("ask the API server %s for its version: %w", identity.APIServer, err)
	}
	identity.Kubernetes = version.GitVersion
	identity.Mesh, err = findMesh(ctx, client, revision)
	identity.Mesh.Proxy = c.Proxies[identity.Mesh.Revision]
	return identity, err
}

// The ConfigMap in which OpenShift publishes the certificate authorities of its router to everybody who is logged in.
const routerCANamespace, routerCAName, routerCAKey = "openshift-config-managed", "default-ingress-cert", "ca-bundle.crt"

// RouterCA returns the certificate authorities of the cluster's router, in PEM; empty when the cluster publishes none.
func RouterCA(ctx context.Context, client *kube.Client) (string, error) {
	published, err := client.Typed.CoreV1().ConfigMaps(routerCANamespace).Get(ctx, routerCAName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the router's certificate authorities: %w", err)
	}
	return published.Data[routerCAKey], nil
}

func serverOf(config *rest.Config) string {
	parsed, err := url.Parse(config.Host)
	if err != nil || parsed.Host == "" {
		return config.Host
	}
	return parsed.Host
}

// findMesh looks for istiod, by the label that its chart gives it.
func findMesh(ctx context.Context, client *kube.Client, revision string) (v1.Mesh, error) {
	deployments, err := client.Dynamic.Resource(kube.Deployments).List(ctx, metav1.ListOptions{LabelSelector: "app=istiod"})
	if err != nil {
		return v1.Mesh{}, fmt.Errorf("look for a control plane of Istio (Deployments with app=istiod in any namespace): %w", err)
	}
	var found []v1.Mesh
	var names []string
	for _, deployment := range deployments.Items {
		mesh := v1.Mesh{Flavour: "istio", Revision: deployment.GetLabels()["istio.io/rev"], Version: imageTag(&deployment)}
		if mesh.Revision == "" {
			mesh.Revision = "default"
		}
		names = append(names, mesh.Revision)
		if revision == "" || revision == mesh.Revision {
			found = append(found, mesh)
		}
	}
	slices.Sort(names)
	switch {
	case len(deployments.Items) == 0:
		return v1.Mesh{}, errors.New("the cluster has no control plane of Istio with sidecars (no Deployment with app=istiod)")
	case len(found) == 0:
		return v1.Mesh{}, usage("the cluster has no revision %q of Istio; its revisions: %s", revision, strings.Join(names, ", "))
	case len(found) > 1:
		for _, mesh := range found {
			if mesh.Revision == "default" {
				return mesh, nil
			}
		}
		return v1.Mesh{}, usage("the cluster has several revisions of Istio and none is the default: choose one with --revision (%s)", strings.Join(names, ", "))
	}
	return found[0], nil
}

// imageTag is the version of a control plane as its image's tag tells it, without what follows a dash in the lab's own tags.
func imageTag(deployment *unstructured.Unstructured) string {
	containers, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	for _, entry := range containers {
		container, ok := entry.(map[string]any)
		if !ok || container["name"] != "discovery" {
			continue
		}
		image, _ := container["image"].(string)
		image, _, _ = strings.Cut(image, "@")
		_, tag, found := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
		if found {
			version, _, _ := strings.Cut(tag, "-")
			return version
		}
	}
	return "unknown"
}
