package kube

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The resources that waits look at.
var (
	Deployments  = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	StatefulSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}
	Nodes        = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
	Pods         = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	Services     = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	Namespaces   = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	CRDs         = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// HasCondition is a Condition: at least count objects are there, and each has the status condition of this type as "True".
func HasCondition(kind string, count int) Condition {
	return func(objects []*unstructured.Unstructured) (bool, string, error) {
		var waiting []string
		for _, object := range objects {
			if status, message := StatusCondition(object, kind); status != "True" {
				waiting = append(waiting, strings.TrimSpace(object.GetName()+" "+message))
			}
		}
		slices.Sort(waiting)
		if len(objects) < count {
			return false, fmt.Sprintf("%d of %d there", len(objects), count), nil
		}
		return len(waiting) == 0, fmt.Sprintf("%d of %d not %s: %s", len(waiting), len(objects), kind, strings.Join(waiting, "; ")), nil
	}
}

// Gone is a Condition: no object is left.
func Gone(objects []*unstructured.Unstructured) (bool, string, error) {
	names := make([]string, 0, len(objects))
	for _, object := range objects {
		names = append(names, object.GetName())
	}
	slices.Sort(names)
	return len(objects) == 0, "still there: " + strings.Join(names, ", "), nil
}

// StatusCondition returns the status of the object's condition of this type, and its reason and message.
func StatusCondition(object *unstructured.Unstructured, kind string) (status, message string) {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, entry := range conditions {
		condition, ok := entry.(map[string]any)
		if !ok || condition["type"] != kind {
			continue
		}
		status, _ = condition["status"].(string)
		reason, _ := condition["reason"].(string)
		text, _ := condition["message"].(string)
		return status, strings.TrimSpace(reason + " " + text)
	}
	return "", ""
}

// Exists is a Condition: at least one object is there.
func Exists(objects []*unstructured.Unstructured) (bool, string, error) {
	return len(objects) > 0, "nothing is there", nil
}
