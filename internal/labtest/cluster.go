package labtest

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/framework/lab/build"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// Lab returns the lab that the tests were started with.
func Lab(t testing.TB) *lab.Lab {
	t.Helper()
	l, err := lab.Open(Options(""))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// BringFixtures brings the images of all fixtures to that lab, for runs by a kubeconfig, which bring none.
func BringFixtures(t testing.TB) {
	t.Helper()
	if err := Lab(t).EnsureFixtures(t.Context(), Options(""), slices.Sorted(maps.Keys(build.FixtureImages()))); err != nil {
		t.Fatal(err)
	}
}

// Client returns a client of that lab's cluster.
func Client(t testing.TB) *kube.Client {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", Lab(t).Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Report returns the report of the latest run in a folder of results.
func Report(t testing.TB, results string) v1.Report {
	t.Helper()
	report, err := v1.Load(filepath.Join(results, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Unproven tells the claims of a report that did not pass, each with what its ends recorded: what a test says when it fails.
func Unproven(report v1.Report) string {
	var text strings.Builder
	for _, pattern := range report.Patterns {
		if pattern.Error != "" {
			fmt.Fprintf(&text, "%s: %s\n", pattern.Name, pattern.Error)
		}
		for _, claim := range pattern.Claims {
			if claim.Verdict == v1.Passed {
				continue
			}
			fmt.Fprintf(&text, "%s %s is %s (%s): %s; %s\n", pattern.Name, claim.Alias, claim.Verdict, claim.Cause, claim.Summary, claim.Reason)
			for _, evidence := range claim.Evidence {
				for _, item := range evidence.Items {
					fmt.Fprintf(&text, "    %s %s: %s %s\n", evidence.Probe, item.End, item.Text, item.Fields["line"])
				}
			}
		}
	}
	return text.String()
}

// Left returns the namespaces of runs that are still there.
func Left(t testing.TB) []string {
	t.Helper()
	namespaces, err := Client(t).Typed.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{LabelSelector: "meshproof.dev/run"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, namespace := range namespaces.Items {
		names = append(names, namespace.Name)
	}
	return names
}

// goneTimeout is how long a namespace of a test may take to go.
const goneTimeout = time.Minute

// Apply puts objects on the cluster, as its administrator would, and takes them away when the test ends.
func Apply(t testing.TB, text string) {
	t.Helper()
	client := Client(t)
	objects, err := kube.Decode("the test's objects", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if _, err := client.Apply(t.Context(), object, true); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := remove(context.Background(), client, object); err != nil {
				t.Errorf("delete %s: %v", kube.Describe(object), err)
			}
		})
	}
}

// remove deletes an object, and waits until it has gone if it is a namespace.
func remove(ctx context.Context, client *kube.Client, object *unstructured.Unstructured) error {
	resource, err := client.Resource(object)
	if err != nil {
		return err
	}
	if err := resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil || object.GetKind() != "Namespace" {
		return err
	}
	return client.Wait(ctx, kube.Selection{Resource: kube.Namespaces, Name: object.GetName()}, "to be gone", goneTimeout, kube.Gone)
}

// SetMesh changes fields of the mesh's configuration, and puts it back when the test ends.
func SetMesh(t testing.TB, fields map[string]any) {
	t.Helper()
	configs := Client(t).Typed.CoreV1().ConfigMaps("istio-system")
	config, err := configs.Get(t.Context(), "istio", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := config.Data["mesh"]
	mesh := map[string]any{}
	if err := yaml.Unmarshal([]byte(before), &mesh); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		mesh[name] = value
	}
	changed, err := yaml.Marshal(mesh)
	if err != nil {
		t.Fatal(err)
	}
	config.Data["mesh"] = string(changed)
	if config, err = configs.Update(t.Context(), config, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		config.Data["mesh"] = before
		if _, err := configs.Update(context.Background(), config, metav1.UpdateOptions{}); err != nil {
			t.Errorf("put the mesh's configuration back: %v", err)
		}
	})
}
