package diagnose

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/internal/apitest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

func decode(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := kube.Decode("objects of the test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

const installed = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, managedFields: [{manager: x}]}
data: {host: shop.lab, word: swordfish}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: lost, namespace: shop}
`

const event = `
apiVersion: v1
kind: Event
metadata: {name: b, namespace: shop}
type: Warning
reason: BackOff
message: it does not start
involvedObject: {kind: Pod, name: page-1}
lastTimestamp: "2026-11-23T02:00:05Z"
---
apiVersion: v1
kind: Event
metadata: {name: c, namespace: shop}
type: Normal
reason: Pulled
message: it is there
involvedObject: {kind: Pod, name: page-1}
eventTime: "2026-11-23T02:00:01.000000Z"
---
apiVersion: v1
kind: Event
metadata: {name: a, namespace: bank}
type: Warning
reason: Other
message: of somebody else
involvedObject: {kind: Pod, name: page-1}
lastTimestamp: "2026-11-23T02:00:05Z"
`

// sceneOf is a scene without proxies: what the cluster knows.
func sceneOf(t *testing.T) Scene {
	t.Helper()
	server := apitest.New(t)
	objects := decode(t, installed)
	server.Put(objects[0])
	server.Put(decode(t, event)...)
	redactor, err := v1.NewRedactor("swordfish")
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client(t)
	namespaces := []string{"shop"}
	return Scene{
		Client: client, Objects: objects, Namespaces: namespaces, Since: time.Now(), Redactor: redactor,
		Live: func(ctx context.Context) ([]*unstructured.Unstructured, error) { return Live(ctx, client, namespaces) },
	}
}

func files(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(folder, path)
			found = append(found, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func content(t *testing.T, folder, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWhatTheClusterKnowsIsCollected(t *testing.T) {
	scene := sceneOf(t)
	folder := filepath.Join(t.TempDir(), "SH1", "diagnosis")
	if err := Collect(t.Context(), folder, scene); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"certificates.yaml", "events.txt", "objects.yaml", "statistics.txt"}, files(t, folder)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	objects := content(t, folder, "objects.yaml")
	if !strings.Contains(objects, "host: shop.lab") || !strings.Contains(objects, "# ConfigMap shop/lost is not there") {
		t.Errorf("objects:\n%s", objects)
	}
	if strings.Contains(objects, "swordfish") || strings.Contains(objects, "managedFields") {
		t.Errorf("objects with what should not be there:\n%s", objects)
	}
	const want = "2026-11-23T02:00:01Z Normal Pod shop/page-1: Pulled: it is there\n2026-11-23T02:00:05Z Warning Pod shop/page-1: BackOff: it does not start\n"
	if diff := cmp.Diff(want, content(t, folder, "events.txt")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// What cannot be found out keeps nothing else from being written.
func TestTheRestIsCollectedAllTheSame(t *testing.T) {
	scene := sceneOf(t)
	scene.Objects = append(scene.Objects, decode(t, "apiVersion: a.example/v1\nkind: Thing\nmetadata: {name: a, namespace: shop}\n")...)
	folder := t.TempDir()
	err := Collect(t.Context(), folder, scene)
	if err == nil || !strings.Contains(err.Error(), "read Thing shop/a: find kind a.example/v1, Kind=Thing") {
		t.Errorf("error %v", err)
	}
	if got := files(t, folder); len(got) != 4 || !strings.Contains(content(t, folder, "objects.yaml"), "shop.lab") {
		t.Errorf("files %v", got)
	}
}

func TestACollectionIsLimitedInTime(t *testing.T) {
	scene := sceneOf(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Collect(ctx, t.TempDir(), scene); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("error %v", err)
	}
}

func TestASecretIsKeptWithoutItsValues(t *testing.T) {
	secret := decode(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {key: aHVudGVyMg==}\n")[0]
	if diff := cmp.Diff(map[string]any{"key": v1.Redacted}, bare(secret).Object["data"]); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if secret.Object["data"].(map[string]any)["key"] == v1.Redacted {
		t.Error("the object itself was changed")
	}
	plain := decode(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {key: value}\n")[0]
	if diff := cmp.Diff(plain.Object, bare(plain).Object); diff != "" {
		t.Errorf("no Secret (-want +got):\n%s", diff)
	}
}
