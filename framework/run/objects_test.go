package run

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/framework/pattern"
)

// published is a pattern whose host name a Route tells, which only some clusters have, and whose address a Service tells.
func published(change ...func(*pattern.Pattern)) pattern.Pattern {
	manifest := func(p *pattern.Pattern) {
		p.Manifests = fstest.MapFS{"all.yaml": {Data: []byte(`
apiVersion: v1
kind: Namespace
metadata: {name: "${shop_namespace}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: plain, namespace: "${shop_namespace}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: "${shop_namespace}"}
data: {url: "https://${hostname}/", image: "${image}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: addresses, namespace: "${shop_namespace}"}
data: {gateway: "${address}"}
---
apiVersion: v1
kind: Service
metadata: {name: gateway, namespace: "${shop_namespace}"}
spec: {type: LoadBalancer}
---
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: api, namespace: "${shop_namespace}", annotations: {meshproof.dev/requires: routes}}
spec: {host: "${hostname}", to: {name: gateway}, aliases: ["${hostname}"]}
`)}}
		p.Parameters[1].Observed = &pattern.Observed{APIVersion: "route.openshift.io/v1", Kind: "Route", Namespace: "shop_namespace", Name: "api", Paths: [][]string{{"spec", "host"}}}
		p.Parameters = append(p.Parameters, pattern.Parameter{Name: "address", Default: "10.0.0.1", Observed: &pattern.Observed{
			APIVersion: "v1", Kind: "Service", Namespace: "shop_namespace", Name: "gateway", Paths: [][]string{{"status", "loadBalancer", "ingress", "0", "ip"}},
		}})
		p.Requirements = []pattern.Requirement{{Name: "routes", APIVersion: "route.openshift.io/v1", Kind: "Route", Without: "no Route"}}
	}
	return example("shop", "SH", append([]func(*pattern.Pattern){manifest}, change...)...)
}

// jobOf is the job of a pattern with these parameters set.
func jobOf(t *testing.T, p pattern.Pattern, set map[string]string, unmet ...string) Job {
	t.Helper()
	values, err := p.Values(set, "", func(fixture string) string { return fixture + ":1" })
	if err != nil {
		t.Fatal(err)
	}
	job := Job{RunID: "r1", Pattern: p.Name, Values: values, Options: Options{Set: set}, Unmet: map[string]string{}}
	for _, name := range unmet {
		job.Unmet[name] = "the cluster does not have it"
	}
	return job
}

func described(objects []*unstructured.Unstructured) string {
	var names []string
	for _, object := range objects {
		names = append(names, kube.Describe(object))
	}
	return strings.Join(names, ", ")
}

func find(t *testing.T, objects []*unstructured.Unstructured, name string) map[string]any {
	t.Helper()
	for _, object := range objects {
		if kube.Describe(object) == name {
			return object.Object
		}
	}
	t.Fatalf("there is no %s among %s", name, described(objects))
	return nil
}

func TestObjectsLeaveOutWhatRequiresWhatIsNotThere(t *testing.T) {
	const all = "Namespace shop, ConfigMap shop/plain, ConfigMap shop/settings, ConfigMap shop/addresses, Service shop/gateway"
	for name, test := range map[string]struct {
		unmet []string
		want  string
	}{
		"the cluster has it":                  {nil, all + ", Route shop/api"},
		"the cluster does not have it":        {[]string{"routes"}, all},
		"the cluster does not have something": {[]string{"gateways"}, all + ", Route shop/api"},
	} {
		t.Run(name, func(t *testing.T) {
			p := published()
			objects, err := Objects(p, jobOf(t, p, nil, test.unmet...))
			if err != nil {
				t.Fatal(err)
			}
			if got := described(objects); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

func TestObjectsRefuseARequirementThatThePatternDoesNotDeclare(t *testing.T) {
	p := published(func(p *pattern.Pattern) { p.Requirements[0].Name = "route" })
	_, err := Objects(p, jobOf(t, p, nil))
	if want := `Route api requires "routes", which the pattern does not declare`; errorText(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestFirstStage(t *testing.T) {
	for name, test := range map[string]struct {
		set   map[string]string
		unmet []string
		// first are the objects that need no unknown value, observed those that tell one.
		first    string
		observed map[string]string
		// host is that of the Route, url and address what the ConfigMaps hold; empty where they are not of the first stage.
		host, url, address string
	}{
		"both are unknown": {
			first:    "Namespace shop, ConfigMap shop/plain, Service shop/gateway, Route shop/api",
			observed: map[string]string{"hostname": "Route shop/api", "address": "Service shop/gateway"},
		},
		"the object that tells is left out, so the default holds": {
			unmet: []string{"routes"}, first: "Namespace shop, ConfigMap shop/plain, ConfigMap shop/settings, Service shop/gateway",
			observed: map[string]string{"address": "Service shop/gateway"}, url: "https://shop.lab/",
		},
		"the user gives the one": {
			set: map[string]string{"hostname": "my.lab"}, first: "Namespace shop, ConfigMap shop/plain, ConfigMap shop/settings, Service shop/gateway, Route shop/api",
			observed: map[string]string{"address": "Service shop/gateway"}, host: "my.lab", url: "https://my.lab/",
		},
		"the user gives both": {
			set:   map[string]string{"hostname": "my.lab", "address": "10.9.9.9"},
			first: "Namespace shop, ConfigMap shop/plain, ConfigMap shop/settings, ConfigMap shop/addresses, Service shop/gateway, Route shop/api",
			host:  "my.lab", url: "https://my.lab/", address: "10.9.9.9",
		},
		"in another namespace": {
			set: map[string]string{"shop_namespace": "mall"}, first: "Namespace mall, ConfigMap mall/plain, Service mall/gateway, Route mall/api",
			observed: map[string]string{"hostname": "Route mall/api", "address": "Service mall/gateway"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := published()
			job := jobOf(t, p, test.set, test.unmet...)
			before := job.Values["hostname"]
			stages, err := firstStage(p, job)
			if err != nil {
				t.Fatal(err)
			}
			if got := described(stages.first); got != test.first {
				t.Errorf("first come %s\nwant %s", got, test.first)
			}
			observed := map[string]string{}
			for parameter, object := range stages.observed {
				observed[parameter] = kube.Describe(object)
			}
			if test.observed == nil {
				test.observed = map[string]string{}
			}
			if diff := cmp.Diff(test.observed, observed); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
			for object, field := range map[string]struct{ section, key, want string }{
				"ConfigMap shop/settings": {"data", "url", test.url}, "ConfigMap shop/addresses": {"data", "gateway", test.address}, "Route shop/api": {"spec", "host", test.host},
			} {
				if field.want == "" {
					continue
				}
				if got, _, _ := unstructured.NestedString(find(t, stages.first, object), field.section, field.key); got != field.want {
					t.Errorf("%s of %s is %q, want %q", field.key, object, got, field.want)
				}
			}
			if job.Values["hostname"] != before {
				t.Errorf("the job's host name has become %q", job.Values["hostname"])
			}
		})
	}
}

// What tells a value is applied without it, and with all the rest.
func TestFirstStageLeavesOutOnlyTheFieldsThatHoldTheValue(t *testing.T) {
	p := published()
	stages, err := firstStage(p, jobOf(t, p, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"to": map[string]any{"name": "gateway"}, "aliases": []any{}}
	if diff := cmp.Diff(want, find(t, stages.first, "Route shop/api")["spec"]); diff != "" {
		t.Errorf("the Route (-want +got):\n%s", diff)
	}
	if stages.observed["hostname"].GetLabels()["meshproof.dev/run"] != "r1" {
		t.Error("the Route is not marked as the run's")
	}
}

// Waiting for what is never applied would only end with its time.
func TestFirstStageRefusesWhatCannotTellBeforeItIsTold(t *testing.T) {
	for name, test := range map[string]struct{ from, to, want string }{
		"its value inside another text": {`host: "${hostname}", `, `host: "${hostname}", path: "/of-${hostname}", `,
			"parameter hostname cannot be told by Route shop/api, which needs a value itself that is not known before"},
		"the value of another": {`host: "${hostname}", `, `host: "${hostname}", address: "${address}", `,
			"parameter hostname cannot be told by Route shop/api, which needs a value itself that is not known before"},
	} {
		t.Run(name, func(t *testing.T) {
			p := published(func(p *pattern.Pattern) {
				text := string(p.Manifests.(fstest.MapFS)["all.yaml"].Data)
				p.Manifests = fstest.MapFS{"all.yaml": {Data: []byte(strings.Replace(text, test.from, test.to, 1))}}
			})
			if _, err := firstStage(p, jobOf(t, p, nil)); errorText(err) != test.want {
				t.Errorf("error %v\nwant %s", err, test.want)
			}
			if _, err := NewPlan([]pattern.Pattern{p}, someCluster(), Options{}); errorText(err) != "pattern shop: "+test.want {
				t.Errorf("a plan's error %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestObjectsHaveTheMutationOverTheOverlay(t *testing.T) {
	p := example("shop", "SH")
	job := jobOf(t, p, nil)
	settings := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: \"${shop_namespace}\"}\n"
	job.Options.Overlay, job.Mutation = write(t, settings+"data: {host: overlay.lab, more: overlay}\n"), write(t, settings+"data: {host: mutant.lab}\n")
	objects, err := Objects(p, job)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"host": "mutant.lab", "more": "overlay", "image": "shop:1"}
	if diff := cmp.Diff(want, find(t, objects, "ConfigMap shop/settings")["data"]); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}
