package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	routev1 "github.com/openshift/api/route/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWithStatus(t *testing.T) {
	earlier, now := metav1.NewTime(time.Unix(1000, 0)), metav1.NewTime(time.Unix(2000, 0))
	ingress := func(router, host string, at metav1.Time) routev1.RouteIngress {
		return routev1.RouteIngress{Host: host, RouterName: router, RouterCanonicalHostname: "router-default.apps.mesh.lab", WildcardPolicy: "None", Conditions: []routev1.RouteIngressCondition{{
			Type: "Admitted", Status: "True", LastTransitionTime: &at,
		}}}
	}
	refused := func(at metav1.Time) routev1.RouteIngress {
		made := ingress("default", "web.example.org", at)
		made.Conditions[0].Status, made.Conditions[0].Reason, made.Conditions[0].Message = "False", reasonHostClaimed, "it is taken"
		return made
	}
	admitted := ingress("default", "web.example.org", earlier)
	foreign := ingress("other", "web.example.org", earlier)
	for name, row := range map[string]struct {
		has             []routev1.RouteIngress
		reason, message string
		want            []routev1.RouteIngress
		changed         bool
	}{
		"a new Route":                 {nil, "", "", []routev1.RouteIngress{ingress("default", "web.example.org", now)}, true},
		"a new Route that is refused": {nil, reasonHostClaimed, "it is taken", []routev1.RouteIngress{refused(now)}, true},
		"one that says so already":    {[]routev1.RouteIngress{admitted}, "", "", []routev1.RouteIngress{admitted}, false},
		"one that is refused now":     {[]routev1.RouteIngress{admitted}, reasonHostClaimed, "it is taken", []routev1.RouteIngress{refused(now)}, true},
		"one that is still refused":   {[]routev1.RouteIngress{refused(earlier)}, reasonHostClaimed, "it is taken", []routev1.RouteIngress{refused(earlier)}, false},
		"one with another host by now": {[]routev1.RouteIngress{ingress("default", "old.example.org", earlier)}, "", "",
			[]routev1.RouteIngress{ingress("default", "web.example.org", now)}, true},
		"one of another router too": {[]routev1.RouteIngress{foreign}, "", "", []routev1.RouteIngress{foreign, ingress("default", "web.example.org", now)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			given := &routev1.Route{Spec: routev1.RouteSpec{Host: "web.example.org", WildcardPolicy: "None"}, Status: routev1.RouteStatus{Ingress: row.has}}
			before := given.DeepCopy()
			got, changed := verdict{given, row.reason, row.message}.withStatus("router-default.apps.mesh.lab", now)
			if diff := cmp.Diff(row.want, got.Status.Ingress); diff != "" || changed != row.changed {
				t.Errorf("changed %t, want %t (-want +got):\n%s", changed, row.changed, diff)
			}
			if diff := cmp.Diff(before, given); diff != "" {
				t.Errorf("the cache's own object has changed:\n%s", diff)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	for annotation, want := range map[string]string{
		"": "", "5": "5ms", "5us": "1ms", "5000us": "5ms", "250ms": "250ms", "90s": "90000ms", "2m": "120000ms", "1h": "3600000ms", "1d": "86400000ms",
		"99d": "2147483647ms", "0s": "", "-5s": "", "s": "", "5 s": "", "5x": "", "s5": "", "99999999999s": "", "5sm": "", "5s\n  evil": "",
	} {
		if got := timeout(annotation); got != want {
			t.Errorf("%q: %q, want %q", annotation, got, want)
		}
	}
}
