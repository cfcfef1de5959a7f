package node

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
)

var injectors = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}

// istioNamespace is where the lab's control plane lives.
const istioNamespace = "istio-system"

// installIstio applies the rendered chart and returns when istiod serves, and its webhooks carry its certificate, so that
// the next pod is injected and the next object validated.
func installIstio(ctx context.Context, client *kube.Client, spec Spec) error {
	data, err := os.ReadFile(spec.Artifacts.Manifests)
	if err != nil {
		return fmt.Errorf("read Istio's manifests: %w", err)
	}
	objects, err := kube.Decode("Istio's manifests", data)
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
			if first && object.GetKind() == "CustomResourceDefinition" {
				kinds++
			}
			if (object.GetKind() == "Deployment" || object.GetKind() == "ServiceAccount") != first {
				continue
			}
			group.Go(func() error {
				tuneIstiod(object)
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
	deployment := kube.Selection{Resource: kube.Deployments, Namespace: istioNamespace, Labels: "app=istiod"}
	if err := client.Wait(ctx, deployment, "to be Available", istiodTimeout, kube.HasCondition("Available", 1)); err != nil {
		return errors.Join(err, client.Complaints(ctx, istioNamespace))
	}
	return client.Wait(ctx, kube.Selection{Resource: injectors, Labels: "app=sidecar-injector"}, "to carry istiod's certificate", partTimeout, hasCABundle)
}

// tuneIstiod shortens the period in which istiod is asked for its readiness: the chart has no value for it, and people
// wait for it.
func tuneIstiod(object *unstructured.Unstructured) {
	if object.GetKind() != "Deployment" || object.GetName() != "istiod" {
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
		return false, "no injector is registered", nil
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
