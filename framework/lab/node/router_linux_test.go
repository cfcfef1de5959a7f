package node

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab/build"
)

// objectsFor are those of a lab with this Kubernetes, by kind and name.
func objectsFor(t *testing.T, kubernetes build.KubernetesVersion) map[string]*unstructured.Unstructured {
	t.Helper()
	spec := Spec{StateDir: t.TempDir(), Artifacts: build.Artifacts{
		Router: t.TempDir(), RouterImage: "meshproof.local/router:1", Selection: build.Selection{Kubernetes: kubernetes},
	}}
	if err := issueRouter(spec); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"routes", "ingresses"} {
		definition := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: " + name + "}\n"
		if err := os.WriteFile(filepath.Join(spec.Artifacts.Router, name+".crd.yaml"), []byte(definition), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := routerObjects(spec)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]*unstructured.Unstructured{}
	for _, object := range list {
		objects[kube.Describe(object)] = object
	}
	return objects
}

// field is the text at a path of keys.
func field(t *testing.T, object *unstructured.Unstructured, keys ...string) string {
	t.Helper()
	text, found, err := unstructured.NestedString(object.Object, keys...)
	if !found || err != nil {
		t.Errorf("%s has no text at %s: %v", kube.Describe(object), strings.Join(keys, "."), err)
	}
	return text
}

func TestRouterObjects(t *testing.T) {
	objects := objectsFor(t, build.KubernetesVersion{Version: "v1.36.3"})
	for _, name := range []string{"CustomResourceDefinition routes", "CustomResourceDefinition ingresses"} {
		if objects[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	if bundle := field(t, objects["ConfigMap openshift-config-managed/default-ingress-cert"], "data", "ca-bundle.crt"); !strings.HasPrefix(bundle, "-----BEGIN CERTIFICATE-----\n") || strings.Contains(bundle, "KEY") {
		t.Errorf("what everybody may read is %q", bundle)
	}
	if key := field(t, objects["Secret openshift-ingress/router-certs-default"], "stringData", "tls.key"); !strings.Contains(key, "PRIVATE KEY") {
		t.Errorf("the router's key is %q", key)
	}
	var service corev1.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects["Service openshift-ingress/router-default"].Object, &service); err != nil {
		t.Fatal(err)
	}
	address, err := netip.ParseAddr(service.Spec.LoadBalancerIP)
	if err != nil || !netip.MustParsePrefix(LoadBalancerCIDR).Contains(address) || service.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		t.Errorf("%+v", service.Spec)
	}
	expression, _, _ := unstructured.NestedSlice(objects["MutatingAdmissionPolicy route-host-generated"].Object, "spec", "mutations")
	if text := expression[0].(map[string]any)["jsonPatch"].(map[string]any)["expression"].(string); !strings.Contains(text, `".apps.mesh.lab"`) {
		t.Errorf("hosts are made by %s", text)
	}
}

// The router's pod is as restricted as those of patterns.
func TestRouterPod(t *testing.T) {
	objects := objectsFor(t, build.KubernetesVersion{})
	var pod corev1.PodSpec
	template, _, err := unstructured.NestedMap(objects["Deployment openshift-ingress/router-default"].Object, "spec", "template", "spec")
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(template, &pod, true); err != nil {
		t.Fatal(err)
	}
	container := pod.Containers[0]
	security := container.SecurityContext
	if container.Image != "meshproof.local/router:1" || !*pod.SecurityContext.RunAsNonRoot || *security.AllowPrivilegeEscalation || !*security.ReadOnlyRootFilesystem ||
		!slices.Equal(security.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(security.Capabilities.Add) > 0 {
		t.Errorf("image %s, pod %+v, container %+v", container.Image, pod.SecurityContext, security)
	}
}

func TestPolicyVersion(t *testing.T) {
	for want, kubernetes := range map[string]build.KubernetesVersion{"v1": {}, "v1beta1": {BetaPolicies: true}} {
		for _, kind := range []string{"MutatingAdmissionPolicy route-host-generated", "MutatingAdmissionPolicyBinding route-host-kept"} {
			if got := objectsFor(t, kubernetes)[kind].GetAPIVersion(); got != "admissionregistration.k8s.io/"+want {
				t.Errorf("%s is of %s, want %s", kind, got, want)
			}
		}
	}
}
