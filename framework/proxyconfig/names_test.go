package proxyconfig

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNames(t *testing.T) {
	parameters := []Parameter{
		{Name: "bookinfo_namespace", Value: "bookinfo-x1", Namespace: true},
		{Name: "ingress_namespace", Value: "bookinfo", Namespace: true},
		{Name: "route_hostname", Value: "api-bookinfo.apps.mesh.lab"},
		{Name: "server_ip", Value: "203.0.113.11"},
		{Name: "server_address", Value: "203.0.113.11"},
		{Name: "limit", Value: "20"},
		{Name: "ejection_time", Value: "3.5s"},
		{Name: "agent_image", Value: "registry.example/agent:v1"},
	}
	pods := []corev1.Pod{
		{
			ObjectMeta: metav1.ObjectMeta{Name: "details-v1-66d54c7b47-lkg9n", GenerateName: "details-v1-66d54c7b47-", Namespace: "bookinfo-x1", Labels: map[string]string{"pod-template-hash": "66d54c7b47"}},
			Status:     corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: "10.244.0.7"}, {IP: "fd00::7"}}},
		},
		{ObjectMeta: metav1.ObjectMeta{Name: "mongodb-0", GenerateName: "mongodb-", Namespace: "bookinfo-x1"}},
	}
	services := []corev1.Service{
		{ObjectMeta: metav1.ObjectMeta{Name: "details", Namespace: "bookinfo-x1"}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.3.4", ClusterIPs: []string{"10.96.3.4", "fd01::4"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "mongodb", Namespace: "bookinfo-x1"}, Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "gateway", Namespace: "bookinfo"},
			Status:     corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "10.244.200.254"}, {Hostname: "lb.example.org"}}}},
		},
	}
	names := NewNames(parameters, pods, services, "mesh.example")
	for text, want := range map[string]string{
		"": "",
		"outbound|9080||details.bookinfo-x1.svc.cluster.local": "outbound|9080||details.${bookinfo_namespace}.svc.cluster.local",
		"outbound_.9080_._.details.bookinfo.svc.cluster.local": "outbound_.9080_._.details.${ingress_namespace}.svc.cluster.local",
		"bookinfo/bookinfo-x1":                                 "${ingress_namespace}/${bookinfo_namespace}",
		"my-bookinfo and bookinfo-x12 and bookinfos":           "my-bookinfo and bookinfo-x12 and bookinfos",
		"api-bookinfo.apps.mesh.lab:80":                        "${route_hostname}:80",
		"10.96.3.4_9080":                                       "${address of service details.${bookinfo_namespace}}_9080",
		"10.96.3.44_9080 and 110.96.3.4":                       "10.96.3.44_9080 and 110.96.3.4",
		"[fd01::4]:9080":                                       "[${address of service details.${bookinfo_namespace}}]:9080",
		"10.244.0.7":                                           "${address of pod details-v1.${bookinfo_namespace}}",
		"details-v1-66d54c7b47-lkg9n.x":                        "${pod of details-v1.${bookinfo_namespace}}.x",
		"mongodb-0.mongodb":                                    "${pod of mongodb.${bookinfo_namespace}}.mongodb",
		"203.0.113.11":                                         "${server_ip}",
		"10.244.200.254 lb.example.org":                        "${load balancer of service gateway.${ingress_namespace}} ${load balancer of service gateway.${ingress_namespace}}",
		"240.240.0.3_27017":                                    "${allocated address}_27017",
		"spiffe://mesh.example/ns/bookinfo/sa/a":               "spiffe://${trust domain}/ns/${ingress_namespace}/sa/a",
		"limit 20 for 3.5s of registry.example/agent:v1":       "limit 20 for 3.5s of registry.example/agent:v1",
		"None": "None",
	} {
		if got := names.Replace(text); got != want {
			t.Errorf("%q becomes\n%q, want\n%q", text, got, want)
		}
	}
}

func TestNoNamesReplaceNothing(t *testing.T) {
	const text = "outbound|9080||details.bookinfo.svc.cluster.local of 10.244.0.7"
	if got := new(Names).Replace(text); got != text {
		t.Errorf("%q", got)
	}
}
