//go:build lab

package run_test

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/mesh"
	"github.com/meshproof/meshproof/internal/labtest"
)

// bystanders are somebody else's: a workload with a sidecar, and an ingress gateway with the stock one's labels, which
// Gateways of other people select. Its port and host are those of the patterns.
const bystanders = `
apiVersion: v1
kind: Namespace
metadata: {name: bystander, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: bystander}
spec: {selector: {app: shop}, ports: [{name: http, port: 9080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: bystander}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata:
      labels: {app: shop}
      annotations: {readiness.status.sidecar.istio.io/periodSeconds: "1"}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: shop
        image: IMAGE
        imagePullPolicy: IfNotPresent
        env: [{name: SERVICE, value: details}, {name: VERSION, value: v1}]
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: bystander}
spec: {selector: {istio: ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: bystander}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata:
      labels: {app: istio-ingressgateway, istio: ingressgateway}
      annotations: {inject.istio.io/templates: gateway}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: istio-proxy
        image: auto
        imagePullPolicy: IfNotPresent
        readinessProbe: {httpGet: {path: /healthz/ready, port: 15021}, periodSeconds: 1}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: default, namespace: bystander}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: bystander}
spec:
  hosts: ["*"]
  gateways: [default]
  http: [{route: [{destination: {host: shop}}]}]
`

// TestBystandersAreLeftAlone: a run changes nothing in the proxies of anybody else, neither while it is installed nor
// afterwards.
func TestBystandersAreLeftAlone(t *testing.T) {
	if err := labtest.Lab(t).EnsureFixtures(t.Context(), labtest.Options(""), []string{"bookinfo"}); err != nil {
		t.Fatal(err)
	}
	labtest.Apply(t, strings.Replace(bystanders, "IMAGE", build.FixtureImages()["bookinfo"], 1))
	client := labtest.Client(t)
	selection := kube.Selection{Resource: kube.Deployments, Namespace: "bystander"}
	if err := client.Wait(t.Context(), selection, "to be Available", time.Minute, kube.HasCondition("Available", 2)); err != nil {
		t.Fatal(err, client.Complaints(t.Context(), "bystander"))
	}
	before := atRest(t, client)
	labtest.MustRun(t, "run", "basic-gateway", "--keep", "--results", t.TempDir())
	if changed := before.Difference(atRest(t, client)); changed != "" {
		t.Errorf("a run that is installed shows in the proxies of others: %s", changed)
	}
	labtest.MustRun(t, "clean")
	if changed := before.Difference(atRest(t, client)); changed != "" {
		t.Errorf("a run that was removed shows in the proxies of others: %s", changed)
	}
	// What a Service does that is exported to everybody must be seen, or nothing was shown.
	labtest.Apply(t, "apiVersion: v1\nkind: Service\nmetadata: {name: seen, namespace: default}\nspec: {ports: [{name: http, port: 80}]}\n")
	if changed := before.Difference(atRest(t, client)); strings.Count(changed, "clusters") != 2 {
		t.Errorf("the clusters of both proxies should have changed, not: %s", changed)
	}
}

// restTime is how long the proxies must stay as they are: a control plane gathers changes for a tenth of a second, and for
// ten while there are more.
const restTime = 2 * time.Second

// atRest are the fingerprints of the bystanders' proxies, when those have not changed for a while.
func atRest(t *testing.T, client *kube.Client) mesh.Fingerprints {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pods, err := client.Typed.CoreV1().Pods("bystander").List(ctx, metav1.ListOptions{})
	if err != nil || len(pods.Items) != 2 {
		t.Fatalf("%d bystanders, error %v", len(pods.Items), err)
	}
	var proxies []*mesh.Proxy
	for _, pod := range pods.Items {
		proxies = append(proxies, mesh.NewProxy(ctx, client, pod.Labels["app"], pod))
	}
	ticker := time.NewTicker(restTime)
	defer ticker.Stop()
	var last mesh.Fingerprints
	for {
		now := mesh.Fingerprints{}
		for _, proxy := range proxies {
			if now[proxy.Hop], err = mesh.TakeFingerprint(ctx, proxy); err != nil {
				t.Fatal(err)
			}
		}
		if last != nil && last.Difference(now) == "" {
			return now
		}
		last = now
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("the proxies of the bystanders do not come to rest within a minute")
		}
	}
}
