package main

import (
	"slices"

	routev1 "github.com/openshift/api/route/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// routerName is the name of the only router, in the status of every Route.
const routerName = "default"

// withStatus returns the verdict's Route as its status should be, and whether that differs from what it is.
func (v verdict) withStatus(canonicalHost string, now metav1.Time) (route *routev1.Route, changed bool) {
	condition := routev1.RouteIngressCondition{Type: routev1.RouteAdmitted, Status: corev1.ConditionTrue, LastTransitionTime: &now}
	if !v.admitted() {
		condition.Status, condition.Reason, condition.Message = corev1.ConditionFalse, v.reason, v.message
	}
	wanted := routev1.RouteIngress{
		Host: v.route.Spec.Host, RouterName: routerName, RouterCanonicalHostname: canonicalHost,
		WildcardPolicy: v.route.Spec.WildcardPolicy, Conditions: []routev1.RouteIngressCondition{condition},
	}
	route = v.route.DeepCopy()
	index := slices.IndexFunc(route.Status.Ingress, func(one routev1.RouteIngress) bool { return one.RouterName == routerName })
	if index < 0 {
		route.Status.Ingress = append(route.Status.Ingress, wanted)
		return route, true
	}
	if sameIngress(route.Status.Ingress[index], wanted) {
		return route, false
	}
	route.Status.Ingress[index] = wanted
	return route, true
}

// sameIngress compares all but the time.
func sameIngress(a, b routev1.RouteIngress) bool {
	return a.Host == b.Host && a.RouterCanonicalHostname == b.RouterCanonicalHostname && a.WildcardPolicy == b.WildcardPolicy &&
		slices.EqualFunc(a.Conditions, b.Conditions, func(a, b routev1.RouteIngressCondition) bool {
			return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message
		})
}
