package job

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshproof/meshproof/framework/mesh"
)

//go:embed job.yaml
var manifest string

// InputDir is where the pod finds the input files.
const InputDir = "/etc/meshproof"

const (
	workDir = "/work"
	// resultsDir is where the run in the pod writes its results, below workDir.
	resultsDir = "results"
	// objectName is that of the Job, its service account and its container.
	objectName = "meshproof"
)

// objects are what is installed, in the namespace and with its UID as owner of what lies outside it.
func (o Options) objects(namespace string, owner types.UID) ([]*unstructured.Unstructured, error) {
	objects, err := mesh.RenderText("job.yaml", manifest, map[string]string{
		"namespace": namespace, "image": o.Image, "work": workDir, "input": InputDir, "ready_port": strconv.Itoa(readyPort),
		"deadline": strconv.Itoa(int(o.Limit / time.Second)), "grace": strconv.Itoa(int(o.grace() / time.Second)),
	})
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		switch object.GetKind() {
		case "ClusterRole":
			err = o.grant(object)
		case "ConfigMap":
			err = unstructured.SetNestedStringMap(object.Object, o.Input, "data")
		case "Job":
			err = o.command(object)
		}
		if err != nil {
			return nil, fmt.Errorf("make the Job's objects: %w", err)
		}
		if object.GetNamespace() == "" && object.GetKind() != "Namespace" {
			object.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: namespace, UID: owner}})
		}
	}
	objects = mesh.PullWith(objects, o.PullSecret)
	mesh.Mark(objects, namespace, objectName, "")
	return objects, nil
}

// grant gives a ClusterRole its rules.
func (o Options) grant(role *unstructured.Unstructured) error {
	data, err := json.Marshal(rbacv1.ClusterRole{Rules: o.Rules})
	if err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	role.Object["rules"] = fields["rules"]
	return nil
}

// command gives the Job's container the words of its run.
func (o Options) command(job *unstructured.Unstructured) error {
	containers, _, err := unstructured.NestedSlice(job.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return err
	}
	words := slices.Concat([]string{ServeArgument, "run"}, o.Args, []string{"--in-cluster", "--results=" + resultsDir})
	if len(o.PullSecret) > 0 { // of which this namespace has a copy
		words = append(words, "--image-pull-secret="+job.GetNamespace()+"/"+mesh.PullSecretName)
	}
	var args []any
	for _, word := range words {
		args = append(args, word)
	}
	containers[0].(map[string]any)["args"] = args
	return unstructured.SetNestedSlice(job.Object, containers, "spec", "template", "spec", "containers")
}
