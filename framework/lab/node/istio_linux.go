package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab/build"
)

var (
	injectors  = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
	validators = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}
)

// istioNamespace is where the lab's control plane lives.
const istioNamespace = "istio-system"

// InstallMesh applies the rendered chart of one revision and returns when its istiod serves, its webhooks carry its
// certificate, and its istio-cni is on the node, so that the next pod is injected and the next object validated. beside are the versions of Istio that the
// lab has already: the definitions of Istio's kinds are all that revisions share, and those of the newest stay.
func InstallMesh(ctx context.Context, client *kube.Client, mesh build.Mesh, beside []string) error {
	data, err := os.ReadFile(mesh.Manifests)
	if err != nil {
		return fmt.Errorf("read Istio's manifests: %w", err)
	}
	objects, err := kube.Decode("Istio's manifests", data)
	if err != nil {
		return err
	}
	newest, err := newerThanAll(mesh.Revision.Istio.Version, beside)
	if err != nil {
		return err
	}
	namespace := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": istioNamespace}}}
	if _, err := client.Apply(ctx, namespace, true); err != nil {
		return err
	}
	// Nothing in the chart is of a kind that it defines itself, so all can be applied at once, the Deployment first,
	// because its pod takes the longest.
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	kinds := 0
	for _, first := range []bool{true, false} {
		for _, object := range objects {
			defines := object.GetKind() == "CustomResourceDefinition"
			if defines && !newest {
				continue
			}
			if first && defines {
				kinds++
			}
			if slices.Contains([]string{"Deployment", "DaemonSet", "ServiceAccount"}, object.GetKind()) != first {
				continue
			}
			group.Go(func() error {
				tune(object)
				_, err := client.Apply(groupCtx, object, true)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("install Istio: %w", err)
	}
	if err := client.Wait(ctx, kube.Selection{Resource: kube.CRDs}, "to be Established", partTimeout, kube.HasCondition("Established", kinds)); err != nil {
		return err
	}
	revision := ",istio.io/rev=" + mesh.Revision.Name
	deployment := kube.Selection{Resource: kube.Deployments, Namespace: istioNamespace, Labels: "app=istiod" + revision}
	if err := client.Wait(ctx, deployment, "to be Available", istiodTimeout, kube.HasCondition("Available", 1)); err != nil {
		return errors.Join(err, client.Complaints(ctx, istioNamespace))
	}
	if mesh.Revision.CNI {
		agent := kube.Selection{Resource: kube.Pods, Namespace: istioNamespace, Labels: "k8s-app=" + cniAgent}
		if err := client.Wait(ctx, agent, "to be Ready", istiodTimeout, kube.HasCondition("Ready", 1)); err != nil { // the lab has one node
			return errors.Join(err, client.Complaints(ctx, istioNamespace))
		}
	}
	for _, webhooks := range []kube.Selection{
		{Resource: injectors, Labels: "app=sidecar-injector" + revision},
		{Resource: validators, Labels: "app=istiod" + revision},
	} {
		if err := client.Wait(ctx, webhooks, "to carry istiod's certificate", partTimeout, hasCABundle); err != nil {
			return err
		}
	}
	return nil
}

func newerThanAll(one string, others []string) (bool, error) {
	parsed, err := version.ParseGeneric(one)
	if err != nil {
		return false, fmt.Errorf("compare versions of Istio: %w", err)
	}
	for _, text := range others {
		other, err := version.ParseGeneric(text)
		if err != nil {
			return false, fmt.Errorf("compare versions of Istio: %w", err)
		}
		if !other.LessThan(parsed) {
			return false, nil
		}
	}
	return true, nil
}

// cniAgent is the label k8s-app of the pods that put istio-cni on a node.
const cniAgent = "istio-cni-node"

// tune shortens the period in which istiod, and the agent of istio-cni, are asked for their readiness: the chart has no value
// for it, and people wait for it.
func tune(object *unstructured.Unstructured) {
	istiod := object.GetKind() == "Deployment" && object.GetLabels()["app"] == "istiod"
	if !istiod && (object.GetKind() != "DaemonSet" || object.GetLabels()["k8s-app"] != cniAgent) {
		return
	}
	containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
	for _, entry := range containers {
		container, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		if probe, ok := container["readinessProbe"].(map[string]any); ok {
			probe["initialDelaySeconds"], probe["periodSeconds"] = int64(0), int64(1)
		}
	}
	// The slice was read from this very object, so it fits.
	_ = unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers")
}

func hasCABundle(objects []*unstructured.Unstructured) (bool, string, error) {
	if len(objects) == 0 {
		return false, "none is registered", nil
	}
	for _, object := range objects {
		webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		if err != nil {
			return false, "", err
		}
		for _, entry := range webhooks {
			bundle, _, _ := unstructured.NestedString(entry.(map[string]any), "clientConfig", "caBundle")
			if bundle == "" {
				return false, object.GetName() + " has no certificate yet", nil
			}
		}
	}
	return true, "", nil
}
