package job

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// runVariable makes the test's program a run: one that writes results and ends, or one that goes on until it is interrupted.
const runVariable = "MESHPROOF_TEST_RUN"

func TestMain(m *testing.M) {
	if results := os.Getenv(runVariable); results != "" {
		os.Exit(playRun(results))
	}
	os.Exit(m.Run())
}

func playRun(results string) int {
	folder := filepath.Join(results, "20261127-1")
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT)
	if err := errors.Join(os.MkdirAll(filepath.Join(folder, "page", "BG1"), 0o755), os.WriteFile(filepath.Join(folder, "report.json"), []byte("{}"), 0o600),
		os.WriteFile(filepath.Join(folder, "page", "BG1", "check.json"), []byte("red"), 0o600), os.Symlink("20261127-1", filepath.Join(results, "latest"))); err != nil {
		return 99
	}
	if os.Getenv(runVariable+"_LASTS") != "" {
		<-interrupted
		return 130
	}
	return 3
}

// serving is a keeper with a run of its own.
type serving struct {
	ready, results string // URLs
	code           chan int
	err            error
}

// limit is far above what anything here takes.
const limit = 30 * time.Second

func start(t *testing.T, kept time.Duration, environment ...string) *serving {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	results := filepath.Join(t.TempDir(), "results")
	cmd := exec.Command(program)
	cmd.Env = append(append(os.Environ(), runVariable+"="+results), environment...)
	ready, inside := freeAddress(t), freeAddress(t)
	s := &serving{ready: "http://" + ready + "/ready", results: "http://" + inside, code: make(chan int, 1)}
	go func() {
		var code int
		code, s.err = serve(cmd, results, ready, inside, kept)
		s.code <- code
	}()
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// ask asks until the answer has this status.
func ask(t *testing.T, method, url string, status int) (*http.Response, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			body, readErr := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode == status && readErr == nil {
				return response, body
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s %s did not answer %d: %v", method, url, status, err)
		case <-ticker.C:
		}
	}
}

func (s *serving) ended(t *testing.T) int {
	t.Helper()
	select {
	case code := <-s.code:
		if s.err != nil {
			t.Fatal(s.err)
		}
		return code
	case <-time.After(limit):
		t.Fatal("it does not end")
		return 0
	}
}

func TestResultsAreKeptUntilTheyAreCollected(t *testing.T) {
	s := start(t, limit)
	ask(t, http.MethodGet, s.ready, http.StatusOK)
	response, body := ask(t, http.MethodGet, s.results+"/results", http.StatusOK)
	if code := response.Header.Get(codeHeader); code != "3" {
		t.Errorf("the run's exit code is told as %q", code)
	}
	var names []string
	archive := tar.NewReader(bytes.NewReader(body))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
	want := []string{"20261127-1", "20261127-1/page", "20261127-1/page/BG1", "20261127-1/page/BG1/check.json", "20261127-1/report.json"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	select {
	case <-s.code:
		t.Fatal("it has ended before anybody said that the results are collected")
	default:
	}
	ask(t, http.MethodPost, s.results+"/collected", http.StatusOK)
	if code := s.ended(t); code != 3 {
		t.Errorf("it ended with %d", code)
	}
}

func TestAnInterruptReachesTheRun(t *testing.T) {
	s := start(t, limit, runVariable+"_LASTS=1")
	ask(t, http.MethodGet, s.ready, http.StatusServiceUnavailable)
	_, words := ask(t, http.MethodGet, s.results+"/results", http.StatusConflict)
	if !strings.Contains(string(words), "the run goes on") {
		t.Errorf("results of a run that goes on: %s", words)
	}
	// It may come before the run can hear it, so it is asked for until it has ended.
	for range 50 {
		ask(t, http.MethodPost, s.results+"/interrupt", http.StatusOK)
		response, err := http.Get(s.ready)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				break
			}
		}
	}
	response, _ := ask(t, http.MethodGet, s.results+"/results", http.StatusOK)
	if code := response.Header.Get(codeHeader); code != "130" && code != "137" {
		t.Errorf("the run's exit code is told as %q", code)
	}
	ask(t, http.MethodPost, s.results+"/collected", http.StatusOK)
	s.ended(t)
}

func TestResultsAreNotKeptForever(t *testing.T) {
	if code := start(t, time.Millisecond).ended(t); code != 3 {
		t.Errorf("it ended with %d, want the run's code", code)
	}
}

func TestServeTellsWhatGoesWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := serve(exec.Command("true"), "", taken.Addr().String(), taken.Addr().String(), limit); err == nil || !strings.Contains(err.Error(), "open a port of the Job's pod") {
		t.Errorf("a port that is taken: error %v", err)
	}
	if _, err := serve(exec.Command("/no/such/program"), "", freeAddress(t), freeAddress(t), limit); err == nil || !strings.Contains(err.Error(), "start the run") {
		t.Errorf("a program that is not there: error %v", err)
	}
}
