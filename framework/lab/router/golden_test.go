package main

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	routev1 "github.com/openshift/api/route/v1"
	"golang.org/x/tools/txtar"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write what the code makes of the input into testdata")

// cases are the archives of testdata: routes.yaml and endpoints.yaml are the input, verdicts and the rest what is made of it.
func cases(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no case in testdata: %v", err)
	}
	found := map[string]*txtar.Archive{}
	for _, file := range files {
		if found[file], err = txtar.ParseFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// input reads the first two files of a case.
func input(t *testing.T, archive *txtar.Archive) ([]*routev1.Route, []*discoveryv1.EndpointSlice) {
	t.Helper()
	return documents[routev1.Route](t, archive.Files[0].Data), documents[discoveryv1.EndpointSlice](t, archive.Files[1].Data)
}

func documents[T any](t *testing.T, data []byte) []*T {
	t.Helper()
	var all []*T
	for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		one := new(T)
		if err := yaml.UnmarshalStrict(document, one); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		all = append(all, one)
	}
	return all
}

func testSettings(t *testing.T) settings {
	t.Helper()
	certificate, err := os.ReadFile("testdata/default.pem")
	if err != nil {
		t.Fatal(err)
	}
	return settings{runDir: "/var/lib/haproxy/run", defaultCertificate: string(certificate)}
}

// made is what the router makes of a case: its verdicts, and the files of its configuration.
func made(t *testing.T, routes []*routev1.Route, endpointSlices []*discoveryv1.EndpointSlice) (verdicts string, files map[string]string) {
	t.Helper()
	var text strings.Builder
	var admitted []*routev1.Route
	for _, v := range admit(routes, false) {
		if v.admitted() {
			admitted = append(admitted, v.route)
			fmt.Fprintf(&text, "%s/%s admitted\n", v.route.Namespace, v.route.Name)
			continue
		}
		fmt.Fprintf(&text, "%s/%s %s: %s\n", v.route.Namespace, v.route.Name, v.reason, v.message)
	}
	files, err := render(testSettings(t), admitted, newEndpoints(endpointSlices))
	if err != nil {
		t.Fatal(err)
	}
	return text.String(), files
}

// common are the files that are the same in every case, and the part of haproxy.cfg that is: nothing.txtar shows it.
var common = []string{defaultCertificate, unavailable}

// TestGolden compares what is made of each case with what testdata says, whatever order the input comes in.
func TestGolden(t *testing.T) {
	for name, archive := range cases(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			routes, endpointSlices := input(t, archive)
			rand.Shuffle(len(routes), func(i, j int) { routes[i], routes[j] = routes[j], routes[i] })
			rand.Shuffle(len(endpointSlices), func(i, j int) {
				endpointSlices[i], endpointSlices[j] = endpointSlices[j], endpointSlices[i]
			})
			verdicts, files := made(t, routes, endpointSlices)
			got := &txtar.Archive{Comment: archive.Comment, Files: slices.Clone(archive.Files[:2])}
			got.Files = append(got.Files, txtar.File{Name: "verdicts", Data: []byte(verdicts)})
			for _, file := range []string{httpMap, tlsMap, redirectMap, passthroughMap, certificateList} {
				got.Files = append(got.Files, txtar.File{Name: file, Data: []byte(files[file])})
			}
			configuration := files[mainFile]
			if len(routes) > 0 {
				_, configuration, _ = strings.Cut(configuration, "backend openshift_default\n  mode http\n")
			}
			got.Files = append(got.Files, txtar.File{Name: mainFile, Data: []byte(configuration)})
			if *update {
				if err := os.WriteFile(name, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" && !*update {
				t.Errorf("run the test with -update if this is right (-want +got):\n%s", diff)
			}
			checkFilesAreThere(t, files)
		})
	}
}

// A Route that names no authority is checked against the service CA, by the Service's name, where there is one.
func TestServiceCA(t *testing.T) {
	s := testSettings(t)
	s.serviceCA = "the service CA"
	reencrypted := &routev1.Route{Spec: routev1.RouteSpec{Host: "a.example.org", To: routev1.RouteTargetReference{Name: "web"}, TLS: &routev1.TLSConfig{Termination: routev1.TLSTerminationReencrypt}}}
	reencrypted.Namespace, reencrypted.Name = "shop", "secure"
	if verdicts := admit([]*routev1.Route{reencrypted}, true); !verdicts[0].admitted() {
		t.Errorf("%s: %s", verdicts[0].reason, verdicts[0].message)
	}
	files, err := render(s, []*routev1.Route{reencrypted}, endpoints{"shop/web": {{service: "web", ip: "10.244.0.7", number: 8443}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := " ssl verify required verifyhost web.shop.svc ca-file service-ca.pem\n"; !strings.Contains(files[mainFile], want) || files["service-ca.pem"] != s.serviceCA {
		t.Errorf("no server with%s in\n%s", want, files[mainFile])
	}
	checkFilesAreThere(t, files)
}

// checkFilesAreThere: every file that the configuration names is one of its files.
func checkFilesAreThere(t *testing.T, files map[string]string) {
	t.Helper()
	for _, name := range append(slices.Clone(common), httpMap, tlsMap, redirectMap, passthroughMap, certificateList) {
		if _, there := files[name]; !there || !strings.Contains(files[mainFile], name) {
			t.Errorf("%s is not a file that the configuration names", name)
		}
	}
	for line := range strings.Lines(files[mainFile]) {
		if _, rest, found := strings.Cut(line, " ca-file "); found {
			if file := strings.Fields(rest)[0]; files[file] == "" {
				t.Errorf("%s is named by %q and empty", file, line)
			}
		}
	}
	for line := range strings.Lines(files[certificateList]) {
		if file := strings.Fields(line)[0]; files[file] == "" {
			t.Errorf("%s is in the list of certificates and empty", file)
		}
	}
}
