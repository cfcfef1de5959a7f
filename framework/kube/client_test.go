package kube

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

func TestDescribe(t *testing.T) {
	for want, text := range map[string]string{
		"Gateway bookinfo/default": "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: default, namespace: bookinfo}\n",
		"Namespace bookinfo":       "apiVersion: v1\nkind: Namespace\nmetadata: {name: bookinfo}\n",
	} {
		if got := Describe(decode(t, text)[0]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestNewLeavesTheConfigAsItIs(t *testing.T) {
	config := &rest.Config{Host: "https://127.0.0.1:1", QPS: 5, UserAgent: "mine"}
	client, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if config.QPS != 5 || config.UserAgent != "mine" {
		t.Errorf("the given config is now %v", config)
	}
	if client.Config.QPS != -1 || client.Config.UserAgent != FieldManager {
		t.Errorf("rate %v, user agent %q; want no rate limit, and meshproof's name", client.Config.QPS, client.Config.UserAgent)
	}
}

// apiServer serves ConfigMaps, Namespaces and, once it is defined, Gateways; it answers an apply with what was sent.
type apiServer struct {
	defined atomic.Bool
	status  int // of the answer to an apply, when it is an error
	applied *http.Request
	body    string
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	list := func(groupVersion string, resources ...metav1.APIResource) any {
		return metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: groupVersion, APIResources: resources}
	}
	w.Header().Set("Content-Type", "application/json")
	var answer any
	switch {
	case r.Method == http.MethodPatch:
		body, _ := io.ReadAll(r.Body)
		s.applied, s.body = r, string(body)
		if s.status != 0 {
			w.WriteHeader(s.status)
			answer = refusal(s.status, metav1.StatusReasonConflict, "conflict with helm")
			break
		}
		_, _ = w.Write(body)
		return
	case r.URL.Path == "/api":
		answer = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case r.URL.Path == "/api/v1":
		answer = list("v1", metav1.APIResource{Name: "configmaps", Kind: "ConfigMap", Namespaced: true}, metav1.APIResource{Name: "namespaces", Kind: "Namespace"})
	case r.URL.Path == "/apis":
		groups := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		if s.defined.Load() {
			version := metav1.GroupVersionForDiscovery{GroupVersion: "networking.istio.io/v1", Version: "v1"}
			groups.Groups = []metav1.APIGroup{{Name: "networking.istio.io", Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}}
		}
		answer = groups
	case r.URL.Path == "/apis/networking.istio.io/v1":
		answer = list("networking.istio.io/v1", metav1.APIResource{Name: "gateways", Kind: "Gateway", Namespaced: true})
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// refusal is the body of an API server's answer that is an error.
func refusal(code int, reason metav1.StatusReason, message string) metav1.Status {
	return metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Message: message, Reason: reason, Code: int32(code)}
}

func TestApply(t *testing.T) {
	for name, row := range map[string]struct {
		metadata, kind string
		force          bool
		path           string
	}{
		"into its namespace":             {"{name: a, namespace: ns}", "ConfigMap", false, "/api/v1/namespaces/ns/configmaps/a"},
		"into the default namespace":     {"{name: a}", "ConfigMap", false, "/api/v1/namespaces/default/configmaps/a"},
		"into none":                      {"{name: a}", "Namespace", false, "/api/v1/namespaces/a"},
		"over the fields of others":      {"{name: a, namespace: ns}", "ConfigMap", true, "/api/v1/namespaces/ns/configmaps/a"},
		"a namespace in the wrong place": {"{name: a, namespace: ns}", "Namespace", false, "/api/v1/namespaces/a"},
	} {
		t.Run(name, func(t *testing.T) {
			server := &apiServer{}
			object := decode(t, "apiVersion: v1\nkind: "+row.kind+"\nmetadata: "+row.metadata+"\n")[0]
			applied, err := serve(t, server.ServeHTTP).Apply(t.Context(), object, row.force)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object, applied); diff != "" {
				t.Errorf("the answer (-want +got):\n%s", diff)
			}
			query := server.applied.URL.Query()
			if server.applied.URL.Path != row.path || query.Get("fieldManager") != "meshproof" || (query.Get("force") == "true") != row.force {
				t.Errorf("asked for %s, want %s by meshproof, force %t", server.applied.URL, row.path, row.force)
			}
			if got := server.applied.Header.Get("Content-Type"); got != "application/apply-patch+yaml" {
				t.Errorf("content type = %s, want that of a server-side apply", got)
			}
		})
	}
}

func TestApplyNamesWhatWasRefused(t *testing.T) {
	client := serve(t, (&apiServer{status: http.StatusConflict}).ServeHTTP)
	_, err := client.Apply(t.Context(), decode(t, head)[0], false)
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "apply ConfigMap ns/a: ") || !strings.Contains(err.Error(), "conflict with helm") {
		t.Errorf("error = %v, want the conflict and the object's name", err)
	}
}

// A kind is looked for again, because it may have been defined since the last look.
func TestApplyFindsKindsThatCameLater(t *testing.T) {
	server := &apiServer{}
	client := serve(t, server.ServeHTTP)
	gateway := decode(t, "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: default, namespace: ns}\n")[0]
	if _, err := client.Apply(t.Context(), gateway, false); !meta.IsNoMatchError(err) || !strings.Contains(err.Error(), "Kind=Gateway") {
		t.Errorf("error = %v, want one that says that the cluster has no such kind", err)
	}
	server.defined.Store(true)
	if _, err := client.Apply(t.Context(), gateway, false); err != nil {
		t.Errorf("after it was defined: %v", err)
	}
	if got, want := server.applied.URL.Path, "/apis/networking.istio.io/v1/namespaces/ns/gateways/default"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	resource, err := client.ResourceName(gateway.GroupVersionKind())
	if err != nil || resource.Resource != "gateways" {
		t.Errorf("resource %v, error %v; want gateways", resource, err)
	}
}
