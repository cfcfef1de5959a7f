//go:build lab

package images_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/meshproof/meshproof/framework/images"
	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/internal/labtest"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// The variable by which the test's program becomes a registry in the lab's network, and the credentials that it wants.
const (
	foldersVariable = "MESHPROOF_TEST_FOLDERS"
	user, password  = "meshproof", "pull-hunter22"
)

func TestMain(m *testing.M) {
	if folders := os.Getenv(foldersVariable); folders != "" {
		if err := serveRegistry(filepath.SplitList(folders)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveRegistry pushes images into a registry of its own, prints where that is, and serves until its input ends.
func serveRegistry(folders []string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, secret, given := r.BasicAuth(); !given || name != user || secret != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="lab"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
	go func() { _ = http.Serve(listener, handler) }() // until the process ends
	list, err := images.Of(folders)
	if err != nil {
		return err
	}
	where := listener.Addr().String() + "/mesh"
	if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), config(listener.Addr().String()), 0o600); err != nil {
		return err
	}
	if err := images.Push(context.Background(), where, list, build.Silent{}); err != nil {
		return err
	}
	if err := images.WriteLock(filepath.Join(os.Getenv("DOCKER_CONFIG"), images.LockFile), list); err != nil {
		return err
	}
	fmt.Println(where)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func config(host string) []byte {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return []byte(`{"auths":{"http://` + host + `":{"auth":"` + auth + `"},"` + host + `":{"auth":"` + auth + `"}}}`)
}

// TestPull: from a registry that wants credentials the cluster pulls what was pushed, by the digests of the lock, with the
// secret of the run, for the fixtures as for the Job's own pod.
func TestPull(t *testing.T) {
	l, dir := labtest.Lab(t), t.TempDir()
	t.Chdir("../..") // where the suite's package is, should it have to be built
	wanted := slices.DeleteFunc(build.FixturePublications(), func(p build.Publication) bool { return p.Program != "bookinfo" && p.Program != "agent" })
	cache, err := labtest.Options("").Cache()
	if err != nil {
		t.Fatal(err)
	}
	folders, err := build.Publish(t.Context(), cache, wanted, []string{runtime.GOARCH}, build.Silent{})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	serving, err := l.Command(context.Background(), self)
	if err != nil {
		t.Fatal(err)
	}
	serving.Path, serving.Args[0] = labtest.Program(t), labtest.Program(t) // which knows the way into the lab
	serving.Env = append(serving.Env, foldersVariable+"="+strings.Join(folders, string(filepath.ListSeparator)), "DOCKER_CONFIG="+dir)
	serving.Stderr = os.Stderr
	input, err := serving.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := serving.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serving.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = serving.Wait()
	})
	where, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the registry did not start: %v", err)
	}
	where = strings.TrimSpace(where)
	results := t.TempDir()
	args := []string{"run", "basic-gateway", "--claim", "BG1", "--kubeconfig", l.Kubeconfig, "--image-registry", where,
		"--image-lock", filepath.Join(dir, images.LockFile), "--results", results}
	green := labtest.Run(t, append(args, "--image-pull-secret", filepath.Join(dir, "config.json"))...)
	report := labtest.Report(t, results)
	if counts := v1.Summary(report); green.Code != 0 || counts.Passed != 1 {
		t.Fatalf("exit %d, %+v\n%s\n%s\n%s", green.Code, counts, green.Stdout, green.Stderr, labtest.Unproven(report))
	}
	if image := report.Patterns[0].Parameters["bookinfo_image"]; !strings.HasPrefix(image, where+"/fixtures/bookinfo@sha256:") {
		t.Errorf("the report says that bookinfo was %s", image)
	}
	noSecretIn(t, results)
}

// noSecretIn wants no file of the results, and no line of the journal, to hold the credentials in any form.
func noSecretIn(t *testing.T, results string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(results, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		files++
		for _, secret := range []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password))} {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s holds the pull secret", path)
			}
		}
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("%d files looked at, error %v", files, err)
	}
}
