// Package apitest is an API server in memory, for the unit tests of what talks to one. It stores what is applied, tells
// those who watch, and forwards ports to proxies that a test plays; what controllers do is the test's to say.
package apitest

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"github.com/meshproof/meshproof/framework/kube"
)

// kinds are what every server serves: kind and resource, by group and version.
var kinds = map[string]map[string]string{
	"v1":      {"ConfigMap": "configmaps", "Namespace": "namespaces", "Pod": "pods", "Service": "services", "Event": "events"},
	"apps/v1": {"Deployment": "deployments", "StatefulSet": "statefulsets"},
}

// Server is an API server of one test.
type Server struct {
	// Applied, when set, is called with an object that was applied, before it is stored: it does what controllers do.
	Applied func(object *unstructured.Unstructured)

	kinds   map[string]map[string]string
	config  *rest.Config
	proxies map[string]http.Handler

	mu      sync.Mutex
	objects map[string]*unstructured.Unstructured // by path
	events  []event
	more    chan struct{} // closed when there is another event
	changes []string
	refused map[string]string
}

// event is a change of one object, as watches tell it.
type event struct {
	Type   string         `json:"type"`
	Object map[string]any `json:"object"`
	path   string
}

// New starts a server. extra are kinds that it serves too, as "route.openshift.io/v1 Route routes".
func New(t testing.TB, extra ...string) *Server {
	t.Helper()
	s := &Server{kinds: map[string]map[string]string{}, proxies: map[string]http.Handler{}, objects: map[string]*unstructured.Unstructured{}, more: make(chan struct{}), refused: map[string]string{}}
	for groupVersion, served := range kinds {
		s.kinds[groupVersion] = maps.Clone(served)
	}
	for _, kind := range extra {
		parts := strings.Fields(kind)
		if s.kinds[parts[0]] == nil {
			s.kinds[parts[0]] = map[string]string{}
		}
		s.kinds[parts[0]][parts[1]] = parts[2]
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // watches do not end by themselves
	s.config = &rest.Config{Host: server.URL}
	return s
}

// Client returns a client of the server.
func (s *Server) Client(t testing.TB) *kube.Client {
	t.Helper()
	client, err := kube.New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Put stores objects as they are, and tells those who watch.
func (s *Server) Put(objects ...*unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, object := range objects {
		s.store(s.pathOf(object), object.DeepCopy())
	}
}

// Delete removes an object without being asked over the network.
func (s *Server) Delete(object *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(s.pathOf(object))
}

// Changes are the changes that clients have asked for, as "apply ConfigMap ns/a" and "delete ConfigMap ns/a".
func (s *Server) Changes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.changes)
}

// Forget empties the list of Changes.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = nil
}

// RefuseAll makes the server refuse every request of a method from now on, until message is empty.
func (s *Server) RefuseAll(method, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[method] = message
}

func (s *Server) pathOf(object *unstructured.Unstructured) string {
	return collection(object.GetAPIVersion(), object.GetNamespace(), s.kinds[object.GetAPIVersion()][object.GetKind()]) + "/" + object.GetName()
}

func collection(groupVersion, namespace, resource string) string {
	path := "/apis/" + groupVersion
	if groupVersion == "v1" {
		path = "/api/v1"
	}
	if namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + resource
}

// store keeps an object under a new version.
func (s *Server) store(path string, object *unstructured.Unstructured) {
	kind := "ADDED"
	if s.objects[path] != nil {
		kind = "MODIFIED"
	}
	object.SetResourceVersion(strconv.Itoa(len(s.events) + 1))
	s.objects[path] = object
	s.tell(event{Type: kind, Object: object.DeepCopy().Object, path: path})
}

func (s *Server) remove(path string) {
	if object := s.objects[path]; object != nil {
		delete(s.objects, path)
		s.tell(event{Type: "DELETED", Object: object.Object, path: path})
	}
}

func (s *Server) tell(e event) {
	s.events = append(s.events, e)
	close(s.more)
	s.more = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	message := s.refused[r.Method]
	s.mu.Unlock()
	query := r.URL.Query()
	switch {
	case message != "":
		refuse(w, http.StatusForbidden, message)
	case strings.HasSuffix(r.URL.Path, "/portforward"):
		s.forward(w, r)
	case strings.HasSuffix(r.URL.Path, "/log"): // of which nothing comes
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case r.Method == http.MethodPatch:
		s.apply(w, r)
	case r.Method == http.MethodDelete:
		s.delete(w, r.URL.Path)
	case query.Get("watch") != "" && query.Get("sendInitialEvents") != "":
		refuse(w, http.StatusUnprocessableEntity, "like an older API server: list first")
	case query.Get("watch") != "":
		s.watch(w, r)
	case !s.discover(w, r.URL.Path):
		s.read(w, r)
	}
}

func refuse(w http.ResponseWriter, status int, message string) {
	reason := map[int]metav1.StatusReason{404: metav1.StatusReasonNotFound, 403: metav1.StatusReasonForbidden, 422: metav1.StatusReasonInvalid}[status]
	answer(w, status, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Message: message, Reason: reason, Code: int32(status)})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// discover answers what the server serves.
func (s *Server) discover(w http.ResponseWriter, path string) bool {
	switch groupVersion := strings.TrimPrefix(strings.TrimPrefix(path, "/api/"), "/apis/"); {
	case path == "/api":
		answer(w, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	case path == "/apis":
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for groupVersion := range s.kinds {
			if group, version, found := strings.Cut(groupVersion, "/"); found {
				one := metav1.GroupVersionForDiscovery{GroupVersion: groupVersion, Version: version}
				list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{one}, PreferredVersion: one})
			}
		}
		answer(w, http.StatusOK, list)
	case s.kinds[groupVersion] != nil:
		list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: groupVersion}
		for kind, resource := range s.kinds[groupVersion] {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: resource, Kind: kind, Namespaced: kind != "Namespace"})
		}
		answer(w, http.StatusOK, list)
	default:
		return false
	}
	return true
}

// apply is server-side apply by the only manager there is: what is not applied any more is gone, but for the status.
func (s *Server) apply(w http.ResponseWriter, r *http.Request) {
	object := &unstructured.Unstructured{}
	body, _ := io.ReadAll(r.Body)
	if err := object.UnmarshalJSON(body); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	generation := int64(1)
	if old := s.objects[r.URL.Path]; old != nil {
		generation = old.GetGeneration()
		if !reflect.DeepEqual(old.Object["spec"], object.Object["spec"]) {
			generation++
		}
		if old.Object["status"] != nil {
			object.Object["status"] = old.Object["status"]
		}
	}
	object.SetGeneration(generation)
	if s.Applied != nil {
		s.Applied(object)
	}
	s.changes = append(s.changes, "apply "+kube.Describe(object))
	s.store(r.URL.Path, object)
	answer(w, http.StatusOK, object.Object)
}

func (s *Server) delete(w http.ResponseWriter, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := s.objects[path]
	if object == nil {
		refuse(w, http.StatusNotFound, path+" not found")
		return
	}
	s.changes = append(s.changes, "delete "+kube.Describe(object))
	s.remove(path)
	answer(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
}

// read answers one object, or a list of them.
func (s *Server) read(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if object := s.objects[r.URL.Path]; object != nil {
		answer(w, http.StatusOK, object.Object)
		return
	}
	groupVersion, kind := s.kindOf(r.URL.Path)
	if kind == "" {
		refuse(w, http.StatusNotFound, r.URL.Path+" not found")
		return
	}
	items := []any{}
	for _, path := range slices.Sorted(maps.Keys(s.objects)) {
		if selected(r, path, s.objects[path].Object) {
			items = append(items, s.objects[path].Object)
		}
	}
	answer(w, http.StatusOK, map[string]any{
		"apiVersion": groupVersion, "kind": kind + "List", "metadata": map[string]any{"resourceVersion": strconv.Itoa(len(s.events))}, "items": items,
	})
}

// kindOf is what a collection is of; empty when the path is of none.
func (s *Server) kindOf(path string) (groupVersion, kind string) {
	for groupVersion, served := range s.kinds {
		for kind, resource := range served {
			if strings.HasPrefix(path, collection(groupVersion, "", "")) && strings.HasSuffix(path, "/"+resource) {
				return groupVersion, kind
			}
		}
	}
	return "", ""
}

// selected tells whether an object is of the collection that a request names, and of its selectors.
func selected(r *http.Request, path string, content map[string]any) bool {
	object := unstructured.Unstructured{Object: content}
	root, resource := r.URL.Path[:strings.LastIndex(r.URL.Path, "/")], r.URL.Path[strings.LastIndex(r.URL.Path, "/"):]
	if !strings.HasPrefix(path, root+"/") || !strings.HasSuffix(path, resource+"/"+object.GetName()) {
		return false
	}
	phase, _, _ := unstructured.NestedString(content, "status", "phase")
	kind, _, _ := unstructured.NestedString(content, "type")
	byField, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	byLabel, err2 := labels.Parse(r.URL.Query().Get("labelSelector"))
	return err == nil && err2 == nil && byLabel.Matches(labels.Set(object.GetLabels())) &&
		byField.Matches(fields.Set{"metadata.name": object.GetName(), "status.phase": phase, "type": kind})
}

// watch tells the changes of a collection since a version, until the client leaves.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	next, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	for {
		s.mu.Lock()
		news, more := s.events[min(next, len(s.events)):], s.more
		next = len(s.events)
		s.mu.Unlock()
		for _, e := range news {
			if selected(r, e.path, e.Object) {
				_ = json.NewEncoder(w).Encode(e)
			}
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}
