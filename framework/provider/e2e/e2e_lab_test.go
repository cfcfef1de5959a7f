//go:build lab

package e2e_test

import (
	"context"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envfuncs"

	"github.com/meshproof/meshproof/framework/provider/e2e"
	"github.com/meshproof/meshproof/internal/labtest"
)

// TestAsProvider lets e2e-framework itself create a lab, use it, and destroy it.
func TestAsProvider(t *testing.T) {
	logs := t.TempDir()
	testenv := env.New()
	provider := e2e.NewProvider().WithPath(labtest.Program(t))
	ctx := context.Background()
	ctx, err := envfuncs.CreateCluster(provider, "e2e")(ctx, testenv.EnvConf())
	t.Cleanup(func() {
		if _, err := envfuncs.DestroyCluster("e2e")(ctx, testenv.EnvConf()); err != nil {
			t.Error(err)
		}
		if status := labtest.Run(t, "lab", "status", "--name", "e2e"); status.Code != 4 {
			t.Errorf("the lab still runs after it was destroyed: %s", status.Stdout)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := klient.New(provider.KubernetesRestConfig())
	if err != nil {
		t.Fatal(err)
	}
	var namespace corev1.Namespace
	if err := client.Resources().Get(ctx, "istio-system", "", &namespace); err != nil {
		t.Error(err)
	}
	if err := provider.ExportLogs(ctx, logs); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(logs + "/kube-apiserver.log"); err != nil || info.Size() == 0 {
		t.Errorf("the API server's log was not exported: %v", err)
	}
}
