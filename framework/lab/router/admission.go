package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	routev1 "github.com/openshift/api/route/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// verdict is what becomes of one Route. An empty reason means that it is admitted, and served.
type verdict struct {
	route           *routev1.Route
	reason, message string
}

func (v verdict) admitted() bool { return v.reason == "" }

// The reasons of OpenShift's router.
const (
	reasonNotAdmitted = "RouteNotAdmitted"
	reasonNoHost      = "NoHostValue"
	reasonInvalidHost = "InvalidHost"
	reasonHostClaimed = "HostAlreadyClaimed"
	reasonInvalid     = "ExtendedValidationFailed"
)

// admit judges all Routes together. The oldest Route of a host claims it for its namespace; there, the oldest Route claims
// each path. A claim is independent of validity: an invalid Route is not served, and holds its host all the same.
func admit(routes []*routev1.Route, haveServiceCA bool) []verdict {
	claims := map[string][]*routev1.Route{} // by host
	var verdicts []verdict
	for _, route := range slices.SortedFunc(slices.Values(routes), byAge) {
		v := verdict{route: route}
		host := route.Spec.Host
		problems := hostProblems(host)
		switch holder := findHolder(claims[host], route); {
		case route.Spec.WildcardPolicy == routev1.WildcardPolicySubdomain:
			v.reason, v.message = reasonNotAdmitted, "wildcard routes are not allowed"
		case host == "":
			v.reason, v.message = reasonNoHost, "no host value was defined for the route"
		case len(problems) > 0:
			v.reason, v.message = reasonInvalidHost, "host name validation errors: "+strings.Join(problems, ", ")
		case holder != nil && holder.Namespace != route.Namespace:
			v.reason, v.message = reasonHostClaimed, fmt.Sprintf("a route in another namespace holds %s and is older than %s", host, route.Name)
		case holder != nil:
			v.reason, v.message = reasonHostClaimed, fmt.Sprintf("route %s already exposes %s and is older", holder.Name, host)
		default:
			claims[host] = append(claims[host], route)
			if err := validate(route, haveServiceCA); err != nil {
				v.reason, v.message = reasonInvalid, err.Error()
			}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// byAge orders Routes from the oldest. Times have a precision of a second; OpenShift decides by random UIDs then, the lab
// by names, so that a test has the same outcome each time.
func byAge(a, b *routev1.Route) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(routeKey(a), routeKey(b)))
}

// findHolder returns the Route among those that claim a host, all of one namespace, that keeps another from claiming it too.
func findHolder(claims []*routev1.Route, route *routev1.Route) *routev1.Route {
	for _, holder := range claims {
		// What is passed through has no path, so it shares the host with no other Route for TLS.
		passthrough := terminationOf(holder) == routev1.TLSTerminationPassthrough || terminationOf(route) == routev1.TLSTerminationPassthrough
		if holder.Namespace != route.Namespace || routePath(holder) == routePath(route) ||
			(passthrough && holder.Spec.TLS != nil && route.Spec.TLS != nil) {
			return holder
		}
	}
	return nil
}

func hostProblems(host string) []string {
	if host == "" {
		return nil
	}
	problems := validation.IsDNS1123Subdomain(host)
	for label := range strings.SplitSeq(host, ".") {
		problems = append(problems, validation.IsDNS1123Label(label)...)
	}
	for i, problem := range problems {
		problems[i] = fmt.Sprintf("spec.host: Invalid value: %q: %s", host, problem)
	}
	return problems
}
