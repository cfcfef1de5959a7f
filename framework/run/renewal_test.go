package run

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// waits fails the test when a change is over although the proxy was looked at several times more; meet ends the waiting.
func waits(t *testing.T, beside *proxy, change func() error, meet func()) {
	t.Helper()
	done := make(chan error)
	go func() { done <- change() }()
	for looks := beside.asked.Load() + 12; beside.asked.Load() < looks; {
		select {
		case err := <-done:
			t.Fatalf("it did not wait; error %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	meet()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

const removal = "apiVersion: v1\nkind: Service\nmetadata: {name: page, namespace: shop}\n$patch: delete\n"

func TestConfigurationWaitsUntilTheProxiesHaveDroppedWhatIsRemoved(t *testing.T) {
	beside := &proxy{}
	beside.endpoint.Store(true)
	c, _ := configured(t, beside)
	waits(t, beside, func() error { return c.Patch(t.Context(), removal) }, func() { beside.endpoint.Store(false) })
	waits(t, beside, func() error { return c.Restore(t.Context()) }, func() { beside.endpoint.Store(true) })
}

// What a change that failed brought about in part must go too.
func TestConfigurationWaitsUntilAFailedChangeHasGone(t *testing.T) {
	beside := &proxy{}
	c, server := configured(t, beside)
	c.install.child.job.Options.Timeouts.Settle = 300 * time.Millisecond
	other := strings.Replace(strings.Replace(removal, "$patch: delete\n", "spec: {selector: {app: page}, ports: [{port: 80}]}\n", 1), "name: page", "name: page, annotations: {a: b}", 1)
	if err := c.Patch(t.Context(), removal); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), other); err == nil || !strings.Contains(err.Error(), "endpoint of outbound|80||page.shop") {
		t.Fatalf("error %v", err)
	}
	c.install.child.job.Options.Timeouts.Settle = time.Minute
	beside.endpoint.Store(true) // it comes after all
	waits(t, beside, func() error { return c.Patch(t.Context(), removal) }, func() { beside.endpoint.Store(false) })
	if got := server.Changes(); got[len(got)-1] != "delete Service shop/page" {
		t.Errorf("changes %v", got)
	}
}

// The proxy of a pod that has gone is not asked; that of a new one must come to hold everything.
func TestConfigurationAsksTheProxiesThatAreThere(t *testing.T) {
	before, after := &proxy{}, &proxy{}
	before.endpoint.Store(true)
	c, server := configured(t, before)
	server.Applied = func(object *unstructured.Unstructured) {
		if object.GetKind() == "Deployment" {
			replicas, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
			object.Object["status"] = map[string]any{"observedGeneration": object.GetGeneration(), "replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas}
		}
	}
	server.Play(t, "shop", "page-2", after)
	before.silent.Store(true)
	server.Delete(decode(t, pod("page-1"))[0])
	const scaled = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: page, namespace: shop}\nspec: {replicas: 0}\n"
	if err := c.Patch(t.Context(), scaled); err != nil {
		t.Fatal(err)
	}
	if proxies := c.install.child.env.Observer.Proxies(); len(proxies) > 0 {
		t.Errorf("%v is still asked", proxies)
	}
	server.Put(decode(t, strings.Replace(pod("page-2"), "phase: Running", "phase: Running, conditions: [{type: Ready, status: 'True'}]", 1))...)
	waits(t, after, func() error { return c.Restore(t.Context()) }, func() { after.endpoint.Store(true) })
}
