package mesh

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/evidence/envoy"
)

func TestExpectationsOfServiceEntries(t *testing.T) {
	const db = "endpoint of outbound|3306||db.lab"
	entry := func(spec string) string { return istio("ServiceEntry", "app", spec) }
	const ports = "hosts: [db.lab], ports: [{number: 3306, name: tcp, protocol: TCP}], "
	for name, row := range map[string]struct {
		objects string
		want    []string // of the gateway, and of the page
	}{
		"everywhere":                     {external, []string{"gateway: " + db, "page: " + db}},
		"exported everywhere":            {entry(ports + `exportTo: ["*"], resolution: DNS`), []string{"gateway: " + db, "page: " + db}},
		"exported to its own namespace":  {entry(ports + `exportTo: ["."], resolution: DNS`), []string{"page: " + db}},
		"exported to another one":        {entry(ports + `exportTo: [ingress], resolution: DNS`), []string{"gateway: " + db}},
		"exported to nobody":             {entry(ports + `exportTo: ["~"], resolution: DNS`), nil},
		"without a way to resolve":       {entry(ports + `exportTo: ["."]`), []string{"page: cluster outbound|3306||db.lab"}},
		"of two hosts and ports":         {entry(`exportTo: ["."], resolution: DNS, hosts: [a.lab, b.lab], ports: [{number: 1}, {number: 2}]`), []string{"page: endpoint of outbound|1||a.lab", "page: endpoint of outbound|2||a.lab", "page: endpoint of outbound|1||b.lab", "page: endpoint of outbound|2||b.lab"}},
		"of pods":                        {pods + entry(ports+`exportTo: ["."], resolution: STATIC, workloadSelector: {labels: {app: page}}`), []string{"page: " + db}},
		"of pods that are not there":     {pods + entry(ports+`exportTo: ["."], resolution: STATIC, workloadSelector: {labels: {app: db}}`), nil},
		"imported by a Sidecar":          {external + istio("Sidecar", "app", "egress: [{hosts: [./db.lab]}]"), []string{"gateway: " + db, "page: " + db}},
		"hidden by a Sidecar":            {external + istio("Sidecar", "app", "egress: [{hosts: [./*.svc.cluster.local]}]"), []string{"gateway: " + db}},
		"a Sidecar of another namespace": {external + istio("Sidecar", "ingress", "egress: [{hosts: [./none]}]"), []string{"gateway: " + db, "page: " + db}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, expectation := range Expectations(decode(t, row.objects), []Workload{gatewayWorkload, pageWorkload}) {
				got = append(got, expectation.Hop+": "+expectation.Text)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestImported(t *testing.T) {
	const host = "page.app.svc.cluster.local"
	of := func(hosts string) string { return istio("Sidecar", "app", "egress: [{hosts: ["+hosts+"]}]") }
	chosen := func(labels, hosts string) string {
		return strings.Replace(istio("Sidecar", "app", "workloadSelector: {labels: {"+labels+"}}, egress: [{hosts: ["+hosts+"]}]"), "name: default", "name: own", 1)
	}
	for name, row := range map[string]struct {
		sidecars string
		want     bool
	}{
		"no Sidecar":                          {"", true},
		"a Sidecar that says nothing of it":   {istio("Sidecar", "app", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"), true},
		"the own namespace":                   {of(`"./*"`), true},
		"the namespace by name":               {of(`"app/*"`), true},
		"every namespace":                     {of(`"*/*"`), true},
		"another namespace":                   {of(`"other/*"`), false},
		"the host":                            {of(`"./page.app.svc.cluster.local"`), true},
		"another host":                        {of(`"./other.app.svc.cluster.local"`), false},
		"its suffix":                          {of(`"*/*.app.svc.cluster.local"`), true},
		"another suffix":                      {of(`"*/*.other.svc.cluster.local"`), false},
		"one of several":                      {of(`"other/*", "./page.app.svc.cluster.local"`), true},
		"in a second listener":                {istio("Sidecar", "app", "egress: [{hosts: [other/*]}, {hosts: [./*]}]"), true},
		"none at all":                         {of(`"~/*"`), false},
		"the workload's own before all":       {chosen("app: page", "./*") + of("other/*"), true},
		"so it is when the other comes first": {of("./*") + chosen("app: page", "other/*"), false},
		"another workload's":                  {chosen("app: other", "other/*"), true},
	} {
		t.Run(name, func(t *testing.T) {
			objects := decode(t, pageService+row.sidecars)
			if got := (&derivation{objects: objects}).imported(pageWorkload, "app", host); got != row.want {
				t.Errorf("imported: %t, want %t", got, row.want)
			}
			if got := len(Expectations(objects, []Workload{pageWorkload})) > 0; got != row.want {
				t.Errorf("its Service is expected: %t, want %t", got, row.want)
			}
			if !(&derivation{objects: objects}).imported(Workload{Namespace: "app", Labels: pageWorkload.Labels, Gateway: true}, "app", host) {
				t.Error("a gateway heeds the Sidecar")
			}
		})
	}
}

func TestServicesOfStatefulSets(t *testing.T) {
	set := strings.Replace(pods, "kind: Deployment", "kind: StatefulSet", 1)
	for name, row := range map[string]struct {
		objects string
		want    []string
	}{
		"with pods":                {service("selector: {app: page}, ports: [{port: 1}]") + set, []string{"endpoint of outbound|1||two.app.svc.cluster.local"}},
		"without":                  {service("selector: {app: page}, ports: [{port: 1}]") + strings.Replace(set, "spec: {", "spec: {replicas: 0, ", 1), nil},
		"without an address":       {service("clusterIP: None, selector: {app: page}, ports: [{port: 1}]") + set, []string{"cluster outbound|1||two.app.svc.cluster.local"}},
		"exported to nobody of us": {strings.Replace(service("selector: {app: page}, ports: [{port: 1}]"), "name: two,", "name: two, annotations: {networking.istio.io/exportTo: 'a, b'},", 1) + set, nil},
		"exported to us too":       {strings.Replace(service("selector: {app: page}, ports: [{port: 1}]"), "name: two,", "name: two, annotations: {networking.istio.io/exportTo: 'a, app'},", 1) + set, []string{"endpoint of outbound|1||two.app.svc.cluster.local"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, textsFor(t, row.objects, pageWorkload)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if holds, state := hasCluster([]envoy.Cluster{{Name: "a"}}, "b"); holds || state != "no such cluster" {
		t.Errorf("holds: %t, state %q", holds, state)
	}
	if holds, _ := hasCluster([]envoy.Cluster{{Name: "a"}, {Name: "b"}}, "b"); !holds {
		t.Error("the cluster that is there is not found")
	}
}

func TestTargetPortByName(t *testing.T) {
	const named = "\napiVersion: v1\nkind: Service\nmetadata: {name: gw, namespace: ingress}\nspec: {selector: {app: gw}, ports: [{port: 80, targetPort: web}]}\n---"
	workload := func(kind, namespace, app, port string) string {
		return "\napiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: gw, namespace: " + namespace + "}\n" +
			"spec: {template: {metadata: {labels: {app: " + app + "}}, spec: {containers: [{name: istio-proxy, ports: [{name: other, containerPort: 1}, {name: " + port + ", containerPort: 8081}]}]}}}\n---"
	}
	for name, row := range map[string]struct {
		objects string
		want    int64
	}{
		"of a Deployment":         {workload("Deployment", "ingress", "gw", "web"), 8081},
		"of a StatefulSet":        {workload("StatefulSet", "ingress", "gw", "web"), 8081},
		"of another name":         {workload("Deployment", "ingress", "gw", "http"), 80},
		"of other pods":           {workload("Deployment", "ingress", "other", "web"), 80},
		"of another namespace":    {workload("Deployment", "app", "gw", "web"), 80},
		"of what is not there":    {"", 80},
		"of what makes no pod":    {workload("Job", "ingress", "gw", "web"), 80},
		"of the second that fits": {workload("Deployment", "ingress", "other", "web") + strings.Replace(workload("StatefulSet", "ingress", "gw", "web"), "8081", "8082", 1), 8082},
	} {
		t.Run(name, func(t *testing.T) {
			d := derivation{objects: decode(t, named+row.objects)}
			if got := d.targetPort(gatewayWorkload, 80); got != row.want {
				t.Errorf("port %d, want %d", got, row.want)
			}
		})
	}
}

// Istio writes a virtual host's domains in several ways.
func TestRouteOfAHostOfTheMesh(t *testing.T) {
	const host, cluster = "reviews.app.svc.cluster.local", "outbound|9080|v3|reviews.app.svc.cluster.local"
	of := func(name string, domains ...string) []envoy.RouteConfig {
		return []envoy.RouteConfig{{Name: "9080", VirtualHosts: []envoy.VirtualHost{{Name: name, Domains: domains, Routes: []envoy.Route{{Clusters: []envoy.WeightedCluster{{Name: cluster}}}}}}}}
	}
	for name, row := range map[string]struct {
		configs []envoy.RouteConfig
		want    bool
	}{
		"all names":             {of(host+":9080", host, "reviews", "reviews.app.svc", "reviews.app", "10.96.0.9"), true},
		"of a detected request": {of(host+":9080", "*"), true},
		"another host":          {of("ratings.app.svc.cluster.local:9080", "*"), false},
		"what is allowed":       {of("allow_any", "*"), false},
	} {
		if got, state := hasRoute(row.configs, host, cluster); got != row.want {
			t.Errorf("%s: %t, %s", name, got, state)
		}
	}
}
