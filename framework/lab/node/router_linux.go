package node

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshproof/meshproof/framework/kube"
)

//go:embed router.yaml
var routerSource string

var routerTemplate = template.Must(template.New("router.yaml").Option("missingkey=error").Parse(routerSource))

// routerNamespace is where the router runs, as on OpenShift.
const routerNamespace = "openshift-ingress"

// routerTimeout is for the router to serve, from the first request for its pod on two busy cores.
const routerTimeout = 120 * time.Second

// OpenShift's kinds. They are used by their resources: the API server serves a new kind before its discovery says so.
var (
	routes    = schema.GroupVersionResource{Group: "route.openshift.io", Version: "v1", Resource: "routes"}
	ingresses = schema.GroupVersionResource{Group: "config.openshift.io", Version: "v1", Resource: "ingresses"}
)

// installRouter installs OpenShift's Routes: the kinds, the router, and what the API server does with a new Route. It
// returns when all three work.
func installRouter(ctx context.Context, client *kube.Client, spec Spec) error {
	objects, err := routerObjects(spec)
	if err != nil {
		return err
	}
	if err := applyInOrder(ctx, client, objects); err != nil {
		return fmt.Errorf("install the router: %w", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return setAppsDomain(groupCtx, client) })
	group.Go(func() error { return awaitGeneratedHost(groupCtx, client) })
	group.Go(func() error {
		if err := awaitRouter(groupCtx); err != nil {
			return errors.Join(err, client.Complaints(ctx, routerNamespace))
		}
		return nil
	})
	return group.Wait()
}

// routerObjects are those of router.yaml, filled in, and the definitions that come with OpenShift's API.
func routerObjects(spec Spec) ([]*unstructured.Unstructured, error) {
	values := map[string]string{"Domain": AppsDomain, "Address": RouterAddress, "Image": spec.Artifacts.RouterImage, "PolicyVersion": "v1"}
	if spec.Artifacts.Selection.Kubernetes.BetaPolicies {
		values["PolicyVersion"] = "v1beta1"
	}
	for key, file := range map[string]string{"Authority": "ca.crt", "Certificate": "default.crt", "Key": "default.key"} {
		data, err := os.ReadFile(filepath.Join(spec.routerCertificateDir(), file))
		if err != nil {
			return nil, fmt.Errorf("read the router's certificate: %w", err)
		}
		values[key] = string(data)
	}
	var filled bytes.Buffer
	if err := routerTemplate.Execute(&filled, values); err != nil {
		return nil, fmt.Errorf("fill in the router's manifests: %w", err)
	}
	manifests := filled.Bytes()
	for _, file := range []string{"routes.crd.yaml", "ingresses.crd.yaml"} {
		data, err := os.ReadFile(filepath.Join(spec.Artifacts.Router, file))
		if err != nil {
			return nil, fmt.Errorf("read the definitions of OpenShift's kinds: %w", err)
		}
		manifests = slices.Concat(manifests, []byte("---\n"), data)
	}
	return kube.Decode("the router's manifests", manifests)
}

// applyInOrder applies first what the rest is of or in, and then the rest, each at once.
func applyInOrder(ctx context.Context, client *kube.Client, objects []*unstructured.Unstructured) error {
	for _, first := range []bool{true, false} {
		group, groupCtx := errgroup.WithContext(ctx)
		for _, object := range objects {
			if (object.GetKind() == "Namespace" || object.GetKind() == "CustomResourceDefinition") != first {
				continue
			}
			group.Go(func() error {
				_, err := client.Apply(groupCtx, object, true)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// setAppsDomain says where OpenShift's clients read the domain of Routes.
func setAppsDomain(ctx context.Context, client *kube.Client) error {
	cluster := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "config.openshift.io/v1", "kind": "Ingress", "metadata": map[string]any{"name": "cluster"},
		"spec": map[string]any{"domain": AppsDomain},
	}}
	return await(ctx, "the API server to take the apps domain", func(ctx context.Context) error {
		_, err := client.Dynamic.Resource(ingresses).Apply(ctx, cluster.GetName(), cluster, metav1.ApplyOptions{FieldManager: kube.FieldManager, Force: true})
		return err
	})
}

// awaitGeneratedHost returns when a Route without a host would get one. The API server takes a moment to know a new policy,
// and says nowhere that it does.
func awaitGeneratedHost(ctx context.Context, client *kube.Client) error {
	route := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": map[string]any{"name": "try", "namespace": routerNamespace},
		"spec": map[string]any{"to": map[string]any{"kind": "Service", "name": "try"}},
	}}
	want := "try-" + routerNamespace + "." + AppsDomain
	return await(ctx, "a Route to get the host "+want, func(ctx context.Context) error {
		made, err := client.Dynamic.Resource(routes).Namespace(routerNamespace).Create(ctx, route, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		if host, _, _ := unstructured.NestedString(made.Object, "spec", "host"); host != want {
			return fmt.Errorf("it gets %q", host)
		}
		return nil
	})
}

// awaitRouter returns when the router answers where clients will ask it.
func awaitRouter(ctx context.Context) error {
	// What is sent there before kube-proxy knows of the pod is dropped, and would be sent again only after a second.
	dialer := net.Dialer{Timeout: 100 * time.Millisecond}
	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	return await(ctx, "the router to answer at "+RouterAddress, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+RouterAddress+"/", nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		page, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(page), "Application is not available") {
			return fmt.Errorf("status %d", answer.StatusCode)
		}
		return nil
	})
}

// await asks ready again and again until it succeeds or the time is up.
func await(ctx context.Context, what string, ready func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, routerTimeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		tryCtx, cancel := context.WithTimeout(ctx, time.Second)
		last := ready(tryCtx)
		cancel()
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w; last seen: %w", what, context.Cause(ctx), last)
		case <-ticker.C:
		}
	}
}
