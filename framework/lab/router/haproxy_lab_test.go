//go:build lab

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/framework/lab"
	"github.com/meshproof/meshproof/internal/labtest"
)

// labHAProxy is a program that runs the lab's HAProxy on the host.
func labHAProxy(t *testing.T) string {
	t.Helper()
	l, err := lab.Open(labtest.Options(""))
	if err != nil {
		t.Fatal(err)
	}
	usr := filepath.Join(l.Artifacts.Root, "usr")
	script := fmt.Sprintf("#!/bin/sh\nexec %[1]s/lib64/ld-linux-x86-64.so.2 --library-path %[1]s/lib/x86_64-linux-gnu %[1]s/sbin/haproxy \"$@\"\n", usr)
	program := filepath.Join(t.TempDir(), "haproxy")
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return program
}

// TestHAProxyTakesOver: a new configuration is served when apply returns, one that HAProxy refuses leaves the one before,
// and the end of the process that serves is a failure.
func TestHAProxyTakesOver(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	dir := t.TempDir()
	h := &haproxy{program: labHAProxy(t), dir: dir, runDir: dir, ended: make(chan *worker)}
	serving := func(text string) map[string]string {
		return map[string]string{mainFile: "global\n  stats socket " + h.adminSocket() + " level admin expose-fd listeners\n" +
			"defaults\n  mode http\n  timeout client 1s\n" +
			"frontend f\n  bind " + address + "\n  http-request return status 200 content-type text/plain string " + text + "\n"}
	}
	wantServed := func(want string) {
		t.Helper()
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != want {
			t.Errorf("%q is served, error %v; want %q", body, err, want)
		}
	}
	if err := h.apply(t.Context(), serving("first")); err != nil {
		t.Fatal(err)
	}
	wantServed("first")
	if err := h.apply(t.Context(), map[string]string{mainFile: "nonsense\n"}); err == nil || !strings.Contains(err.Error(), "does not accept") {
		t.Errorf("nonsense: %v", err)
	}
	if refused := <-h.ended; h.failure(refused) != nil {
		t.Errorf("a process that never served failed: %v", h.failure(refused))
	}
	wantServed("first")
	first := h.current
	if err := h.apply(t.Context(), serving("second")); err != nil {
		t.Fatal(err)
	}
	wantServed("second")
	if ended := <-h.ended; ended != first || h.failure(ended) != nil {
		t.Errorf("after the second took over, %v", h.failure(ended))
	}
	if left, err := filepath.Glob(filepath.Join(dir, "[0-9]*")); err != nil || len(left) != 1 {
		t.Errorf("configurations %v, error %v", left, err)
	}
	if err := h.current.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := h.failure(<-h.ended); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the end of what serves: %v", err)
	}
}

// TestHAProxyAcceptsGolden: the lab's HAProxy finds no fault, and nothing to warn of, in the configurations of testdata.
func TestHAProxyAcceptsGolden(t *testing.T) {
	program := labHAProxy(t)
	for name, archive := range cases(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			routes, endpointSlices := input(t, archive)
			_, files := made(t, routes, endpointSlices)
			dir := t.TempDir()
			if err := writeFiles(dir, files); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(program, "-c", "-q", "-f", mainFile)
			cmd.Dir = dir
			if output, err := cmd.CombinedOutput(); err != nil || len(output) > 0 {
				t.Errorf("haproxy -c: %v\n%s", err, output)
			}
		})
	}
}
