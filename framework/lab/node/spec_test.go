package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// wantError fails the test unless err holds every one of the words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error = %v\nwant one with %q", err, word)
		}
	}
}

func TestSpecIsReadAsItWasWritten(t *testing.T) {
	revision := build.Revision{
		Name: "default", Istio: build.IstioVersion{Version: "1.31.0", Commit: "eed52ebb66ad", Module: "istio", Envoy: "1.40.0"},
		Envoy: build.EnvoyVersion{Version: "1.40.0", SHA256: "a88a"},
	}
	spec := Spec{
		Name: "default", StateDir: t.TempDir(), CacheDir: "/cache", Program: "/proc/self/exe", Cgroup: "/meshproof-default", StoreOnly: true,
		Artifacts: build.Artifacts{
			Selection: build.Selection{
				Kubernetes: build.KubernetesVersion{Version: "v1.36.3", Module: "kubernetes"}, Revisions: []build.Revision{revision},
			},
			Root: "/r", Kubernetes: "/k", CoreDNS: "/c", Meshes: []build.Mesh{{Revision: revision, Istio: "/i", Envoy: "/e", Images: "/b", Manifests: "/m"}},
			ImageArchives: []string{"/a", "/b"}, StoreKey: "s", PauseImage: "p:1",
		},
	}
	if err := spec.Write(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSpec(spec.SpecFile())
	if diff := cmp.Diff(spec, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if info, err := os.Stat(spec.SpecFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v; want it to be its owner's", info.Mode(), err)
	}
}

func TestReadSpecFails(t *testing.T) {
	missing, broken := filepath.Join(t.TempDir(), "missing.json"), filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"name": "def`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{missing, broken} {
		_, err := ReadSpec(path)
		wantError(t, err, "lab's spec", path)
	}
}

// Everything that a lab writes is in its own folder, each thing under its own name.
func TestSpecFilesAreTheLabsOwn(t *testing.T) {
	spec := Spec{StateDir: "/state/lab/default"}
	seen := map[string]bool{}
	for _, path := range []string{
		spec.SpecFile(), spec.LogDir(), spec.ControlSocket(), spec.StoreDir(), spec.CertificateDir(), spec.AdminKubeconfig(), spec.HostKubeconfig(), spec.ResolvConf(),
	} {
		if filepath.Dir(path) != spec.StateDir || seen[path] {
			t.Errorf("%s is outside the lab's folder, or there twice", path)
		}
		seen[path] = true
	}
}

func TestDescribe(t *testing.T) {
	running, ended := PartStatus{Name: "etcd"}, PartStatus{Name: "kubelet", Exit: "exit status 1", Log: "/log/kubelet.log"}
	for name, row := range map[string]struct {
		parts []PartStatus
		want  string
	}{
		"nothing":        {nil, ""},
		"one runs":       {[]PartStatus{running}, "etcd"},
		"two run":        {[]PartStatus{running, {Name: "istiod"}}, "etcd, istiod"},
		"one has ended":  {[]PartStatus{running, ended}, "etcd; ended: kubelet (exit status 1, log /log/kubelet.log)"},
		"two have ended": {[]PartStatus{ended, running, {Name: "proxy", Exit: "signal: killed", Log: "/p"}}, "etcd; ended: kubelet (exit status 1, log /log/kubelet.log), proxy (signal: killed, log /p)"},
		"all have ended": {[]PartStatus{ended}, "ended: kubelet (exit status 1, log /log/kubelet.log)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Status{Parts: row.parts}).Describe(); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}
