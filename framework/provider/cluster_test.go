package provider

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/internal/apitest"
)

func TestRouterCA(t *testing.T) {
	const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: default-ingress-cert, namespace: openshift-config-managed}\n"
	for name, test := range map[string]struct{ there, refused, want string }{
		"the cluster publishes it":           {there: head + "data: {ca-bundle.crt: an authority}\n", want: "an authority"},
		"the cluster has none":               {},
		"it holds something else":            {there: head + "data: {tls.crt: a certificate}\n"},
		"another ConfigMap of the namespace": {there: strings.Replace(head, "default-ingress-cert", "other", 1) + "data: {ca-bundle.crt: an authority}\n"},
		"one that we may not read":           {there: head + "data: {ca-bundle.crt: an authority}\n", refused: "not yours"},
	} {
		t.Run(name, func(t *testing.T) {
			server := apitest.New(t)
			if test.there != "" {
				objects, err := kube.Decode("test", []byte(test.there))
				if err != nil {
					t.Fatal(err)
				}
				server.Put(objects...)
			}
			server.RefuseAll(http.MethodGet, test.refused)
			if got, err := RouterCA(t.Context(), server.Client(t)); got != test.want || err != nil {
				t.Errorf("%q, error %v; want %q", got, err, test.want)
			}
		})
	}
}

// A cluster that does not answer is not one without authorities: its Routes would be checked against the system's.
func TestRouterCATellsWhatGoesWrong(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := RouterCA(ctx, apitest.New(t).Client(t))
	if err == nil || !strings.HasPrefix(err.Error(), "read the router's certificate authorities: ") {
		t.Errorf("error %v", err)
	}
}
