package run

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/kube"
)

func TestExposures(t *testing.T) {
	objects, err := kube.Decode("the test's objects", []byte(`
apiVersion: v1
kind: Service
metadata: {name: inside, namespace: shop}
spec: {type: ClusterIP, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced, namespace: shop, annotations: {networking.gke.io/load-balancer-type: Internal}}
spec: {type: LoadBalancer, allocateLoadBalancerNodePorts: false, loadBalancerSourceRanges: [10.0.0.0/8], ports: [{port: 443, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: open, namespace: shop}
spec: {type: LoadBalancer, ports: [{port: 53, protocol: UDP, nodePort: 30053}, {port: 80}]}
---
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: page, namespace: shop}
spec: {}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: page, namespace: shop}
spec: {servers: [{port: {number: 443, protocol: HTTPS}, hosts: [b.lab, a.lab]}, {port: {number: 443, protocol: HTTPS}, hosts: [a.lab]}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range exposuresOf(objects) {
		got = append(got, one.String())
	}
	want := []string{
		"LoadBalancer Service shop/balanced on 443/TCP from 10.0.0.0/8 (internal)",
		"LoadBalancer Service shop/open on 53/UDP (on every node: 30053), 80/TCP (on every node: a port that the cluster chooses) from anywhere that reaches it",
		"Route shop/page for a host that the cluster chooses",
		"Gateway shop/page on 443/HTTPS for a.lab, b.lab",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
