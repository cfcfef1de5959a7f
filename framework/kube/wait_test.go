package kube

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
)

// clusterOf is a cluster in memory that holds the objects of the YAML. Like an older API server it refuses a watch that is
// to begin with what is there, so that clients list first.
func clusterOf(t *testing.T, text string) (*Client, *fake.FakeDynamicClient) {
	t.Helper()
	var objects []runtime.Object
	if text != "" {
		for _, object := range decode(t, text) {
			objects = append(objects, object)
		}
	}
	kinds := map[schema.GroupVersionResource]string{Deployments: "DeploymentList", Namespaces: "NamespaceList"}
	cluster := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, objects...)
	cluster.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		if action.(clienttesting.WatchActionImpl).ListOptions.SendInitialEvents != nil {
			return true, nil, apierrors.NewInvalid(schema.GroupKind{}, "sendInitialEvents", nil)
		}
		return false, nil, nil
	})
	return &Client{Dynamic: cluster}, cluster
}

// deployment is one in namespace ns, with its condition Available.
func deployment(name, available string) string {
	return "\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + ", namespace: ns}\n" +
		"status: {conditions: [{type: Available, status: '" + available + "', reason: MinimumReplicasUnavailable}]}\n---"
}

var inNamespace = Selection{Resource: Deployments, Namespace: "ns"}

// waiting starts a wait of two minutes, by the clock of the bubble, and returns once it has looked, with where its result
// will come.
func waiting(ctx context.Context, client *Client, condition Condition) <-chan error {
	looked, result := make(chan struct{}), make(chan error, 1)
	once := sync.OnceFunc(func() { close(looked) })
	go func() {
		result <- client.Wait(ctx, inNamespace, "to be so", 2*time.Minute, func(objects []*unstructured.Unstructured) (bool, string, error) {
			defer once()
			return condition(objects)
		})
	}()
	<-looked
	synctest.Wait()
	return result
}

func TestWaitSeesWhatIsThere(t *testing.T) {
	for name, row := range map[string]struct {
		objects   string
		condition Condition
	}{
		"objects":   {deployment("a", "True") + deployment("b", "True"), HasCondition("Available", 2)},
		"no object": {"", Gone},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _ := clusterOf(t, row.objects)
				started := time.Now()
				if err := <-waiting(t.Context(), client, row.condition); err != nil {
					t.Error(err)
				}
				if took := time.Since(started); took > time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestWaitSeesChanges(t *testing.T) {
	for name, row := range map[string]struct {
		objects   string
		condition Condition
		change    func(t *testing.T, cluster *fake.FakeDynamicClient)
	}{
		"an object comes": {deployment("a", "True"), HasCondition("Available", 2), func(t *testing.T, cluster *fake.FakeDynamicClient) {
			_, err := cluster.Resource(Deployments).Namespace("ns").Create(t.Context(), decode(t, deployment("b", "True"))[0], metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
		}},
		"an object changes": {deployment("a", "True") + deployment("b", "False"), HasCondition("Available", 2), func(t *testing.T, cluster *fake.FakeDynamicClient) {
			_, err := cluster.Resource(Deployments).Namespace("ns").Update(t.Context(), decode(t, deployment("b", "True"))[0], metav1.UpdateOptions{})
			if err != nil {
				t.Fatal(err)
			}
		}},
		"an object goes": {deployment("a", "True"), Gone, func(t *testing.T, cluster *fake.FakeDynamicClient) {
			if err := cluster.Resource(Deployments).Namespace("ns").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, cluster := clusterOf(t, row.objects)
				result := waiting(t.Context(), client, row.condition)
				select {
				case err := <-result:
					t.Fatalf("it did not wait: %v", err)
				default:
				}
				row.change(t, cluster)
				if err := <-result; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestWaitRunsOut(t *testing.T) {
	for name, row := range map[string]struct{ objects, want string }{
		"with what was last seen": {deployment("a", "True") + deployment("b", "False"),
			"waited 2m0s for deployments in ns to be so (timed out); last seen: 1 of 2 not Available: b MinimumReplicasUnavailable"},
		"with too few objects": {deployment("a", "True"),
			"waited 2m0s for deployments in ns to be so (timed out); last seen: 1 of 2 there"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _ := clusterOf(t, row.objects)
				err := <-waiting(t.Context(), client, HasCondition("Available", 2))
				if err == nil || err.Error() != row.want {
					t.Errorf("error = %v\nwant    %s", err, row.want)
				}
			})
		})
	}
}

// An API server that answers nothing but errors is not one on which there is nothing to see.
func TestWaitTellsWhyItSawNothing(t *testing.T) {
	klog.SetLogger(logr.Discard())
	t.Cleanup(klog.ClearLogger)
	client, cluster := clusterOf(t, "")
	cluster.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(Deployments.GroupResource(), "", errors.New("not for you"))
	})
	// Not in a bubble: client-go's own delay after an error keeps the time of the last one across tests.
	err := client.Wait(t.Context(), inNamespace, "to be so", 50*time.Millisecond, Gone)
	if err == nil || !strings.Contains(err.Error(), "(timed out); last seen: nothing was seen") || !strings.Contains(err.Error(), "not for you") || !apierrors.IsForbidden(err) {
		t.Errorf("error = %v, want the API server's own", err)
	}
}

// The state in the error is that of the last look, not of the first.
func TestWaitTellsTheLastState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, cluster := clusterOf(t, deployment("a", "True")+deployment("b", "True"))
		result := waiting(t.Context(), client, Gone)
		if err := cluster.Resource(Deployments).Namespace("ns").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err == nil || !strings.HasSuffix(err.Error(), "last seen: still there: b") {
			t.Errorf("error = %v, want it to end with what is left", err)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		client, _ := clusterOf(t, deployment("a", "False"))
		result := waiting(ctx, client, HasCondition("Available", 1))
		interrupted := errors.New("interrupted by the user")
		cancel(interrupted)
		err := <-result
		if !errors.Is(err, interrupted) || !strings.Contains(err.Error(), "1 of 1 not Available: a") {
			t.Errorf("error = %v, want the cause and the last state", err)
		}
	})
}

func TestWaitEndsWithItsCondition(t *testing.T) {
	refused := errors.New("the image cannot be pulled")
	for name, objects := range map[string]string{"at once": deployment("a", "False"), "later": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, cluster := clusterOf(t, objects)
				result := waiting(t.Context(), client, func(objects []*unstructured.Unstructured) (bool, string, error) {
					if len(objects) > 0 {
						return false, "", refused
					}
					return false, "", nil
				})
				if objects == "" {
					_, err := cluster.Resource(Deployments).Namespace("ns").Create(t.Context(), decode(t, deployment("a", "False"))[0], metav1.CreateOptions{})
					if err != nil {
						t.Fatal(err)
					}
				}
				err := <-result
				if !errors.Is(err, refused) || !strings.Contains(err.Error(), "wait for deployments in ns to be so") {
					t.Errorf("error = %v, want the condition's own, with what was waited for", err)
				}
			})
		})
	}
}

// What a selection says reaches the API server, in the list as in the watch.
func TestWaitSelects(t *testing.T) {
	for name, row := range map[string]struct {
		selection         Selection
		labels, fields    string
		namespace, string string
	}{
		"everything":        {Selection{Resource: Deployments}, "", "", "", "deployments"},
		"a namespace":       {inNamespace, "", "", "ns", "deployments in ns"},
		"a name":            {Selection{Resource: Namespaces, Name: "ns"}, "", "metadata.name=ns", "", "namespaces/ns"},
		"labels":            {Selection{Resource: Deployments, Namespace: "ns", Labels: "app=page"}, "app=page", "", "ns", "deployments with app=page in ns"},
		"everything at all": {Selection{Resource: Deployments, Namespace: "ns", Name: "a", Labels: "app=page"}, "app=page", "metadata.name=a", "ns", "deployments/a with app=page in ns"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, cluster := clusterOf(t, "")
				err := client.Wait(t.Context(), row.selection, "to be so", time.Minute, func([]*unstructured.Unstructured) (bool, string, error) { return false, "", nil })
				if err == nil || !strings.Contains(err.Error(), "for "+row.string+" to be so") {
					t.Errorf("error = %v, want one that names %s", err, row.string)
				}
				seen := map[string][]string{}
				for _, action := range cluster.Actions() {
					var labels, fields string
					switch action := action.(type) {
					case clienttesting.ListAction:
						labels, fields = action.GetListRestrictions().Labels.String(), action.GetListRestrictions().Fields.String()
					case clienttesting.WatchAction:
						labels, fields = action.GetWatchRestrictions().Labels.String(), action.GetWatchRestrictions().Fields.String()
					}
					seen[action.GetVerb()] = []string{action.GetResource().Resource, action.GetNamespace(), labels, fields}
				}
				asked := []string{row.selection.Resource.Resource, row.namespace, row.labels, row.fields}
				if diff := cmp.Diff(map[string][]string{"list": asked, "watch": asked}, seen); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			})
		})
	}
}
