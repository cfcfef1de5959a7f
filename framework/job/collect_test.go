package job

import (
	"archive/tar"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/meshproof/meshproof/framework/kube"
	"github.com/meshproof/meshproof/internal/apitest"
)

// jobPod is the Job's pod of a namespace.
func jobPod() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "meshproof-x", "namespace": "job"}}}
}

// keeping is a keeper whose run has ended with a code and left these files.
func keeping(t *testing.T, code int, files ...string) *keeper {
	t.Helper()
	results := t.TempDir()
	for _, file := range files {
		path := filepath.Join(results, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := &keeper{results: results, code: code, ended: make(chan struct{}), collected: make(chan struct{}), interrupts: make(chan struct{}, 1)}
	close(k.ended)
	return k
}

// collecting asks a pod through the API server, as a Job that is under way does.
func collecting(t *testing.T, pod http.Handler) (*running, string) {
	t.Helper()
	server := apitest.New(t)
	server.Play(t, "job", "meshproof-x", pod)
	results := t.TempDir()
	return &running{Options: Options{ResultsDir: results}, client: server.Client(t), namespace: "job"}, results
}

func TestCollect(t *testing.T) {
	k := keeping(t, 1, "20261127-1/report.json", "20261127-1/page/BG1/check.json")
	j, results := collecting(t, k.inside())
	result, err := j.collect(t.Context(), jobPod())
	if err != nil {
		t.Fatal(err)
	}
	if result.Code != 1 || result.Folder != filepath.Join(results, "20261127-1") {
		t.Errorf("%+v", result)
	}
	for _, file := range []string{"20261127-1/report.json", "20261127-1/page/BG1/check.json"} {
		if data, err := os.ReadFile(filepath.Join(results, "latest", strings.TrimPrefix(file, "20261127-1"))); string(data) != file || err != nil {
			t.Errorf("%s holds %q, error %v", file, data, err)
		}
	}
	select {
	case <-k.collected:
	default:
		t.Error("the pod was not told that its results are collected")
	}
	onlyResults(t, results, "20261127-1", "latest")
}

// A run that was refused has an exit code, and no results.
func TestCollectOfARunWithoutResults(t *testing.T) {
	j, results := collecting(t, keeping(t, 2).inside())
	result, err := j.collect(t.Context(), jobPod())
	if err != nil || result.Code != 2 || result.Folder != "" {
		t.Errorf("%+v, error %v", result, err)
	}
	onlyResults(t, results)
}

func onlyResults(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if fmt.Sprint(names) != fmt.Sprint(want) {
		t.Errorf("the folder of results has %v, want %v", names, want)
	}
}

// What comes in part, or is more than results, is not taken for them, and the pod keeps it.
func TestCollectRefuses(t *testing.T) {
	packed := func(headers ...*tar.Header) []byte {
		var out bytes.Buffer
		archive := tar.NewWriter(&out)
		for _, header := range headers {
			header.Mode = 0o644
			if err := archive.WriteHeader(header); err != nil {
				t.Fatal(err)
			}
		}
		if err := archive.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for name, row := range map[string]struct {
		code string
		body []byte
		want string
	}{
		"no exit code":   {"", packed(), "the run's exit code"},
		"half of it":     {"0", []byte("broken off"), "the results broke off"},
		"a file outside": {"0", packed(&tar.Header{Typeflag: tar.TypeReg, Name: "../outside"}), "path escapes"},
		"a link":         {"0", packed(&tar.Header{Typeflag: tar.TypeSymlink, Name: "latest", Linkname: "/etc"}), "neither a file nor a folder"},
		"two runs":       {"0", packed(&tar.Header{Typeflag: tar.TypeDir, Name: "a"}, &tar.Header{Typeflag: tar.TypeDir, Name: "b"}), "the results are of 2 runs"},
	} {
		t.Run(name, func(t *testing.T) {
			told := false
			j, results := collecting(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				told = told || r.URL.Path == "/collected"
				if row.code != "" {
					w.Header().Set(codeHeader, row.code)
				}
				_, _ = w.Write(row.body)
			}))
			_, err := j.collect(t.Context(), jobPod())
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "collect the results from pod job/meshproof-x") || told {
				t.Errorf("error %v, told the pod: %t; want %q", err, told, row.want)
			}
			onlyResults(t, results)
		})
	}
}

// A stream that breaks is taken up again: no line is lost, and none is told twice.
func TestTheLogIsFollowedOverABreak(t *testing.T) {
	lines := []string{
		"2026-11-27T13:00:00.000000001Z first\n", "2026-11-27T13:00:00.000000002Z second\n", "2026-11-27T13:00:00.000000002Z second, at the same time\n",
		"2026-11-27T13:00:00.000000003Z third\n",
	}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if asked == 1 {
			_, _ = w.Write([]byte(strings.Join(lines[:3], "")))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		if r.URL.Query().Get("sinceTime") != "2026-11-27T13:00:00Z" { // the API knows whole seconds
			t.Errorf("the second time it asks for %s", r.URL.RawQuery)
		}
		_, _ = w.Write([]byte(strings.Join(lines, "")))
	}))
	t.Cleanup(server.Close)
	client, err := kube.New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	j := &running{Options: Options{Log: &log}, client: client, namespace: "job"}
	j.follow(t.Context(), "meshproof-x")
	if want := "first\nsecond\nsecond, at the same time\nthird\n"; log.String() != want {
		t.Errorf("log:\n%swant:\n%s", log.String(), want)
	}
}

func TestALogThatCannotBeFollowedIsTold(t *testing.T) {
	server := apitest.New(t)
	server.RefuseAll(http.MethodGet, "not yours")
	var log strings.Builder
	j := &running{Options: Options{Log: &log}, client: server.Client(t), namespace: "job"}
	j.follow(t.Context(), "meshproof-x")
	if !strings.Contains(log.String(), "the Job's log cannot be followed: not yours") {
		t.Errorf("log: %s", log.String())
	}
}
