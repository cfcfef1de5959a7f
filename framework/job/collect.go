package job

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshproof/meshproof/framework/run"
)

// collect brings the results from the pod, and lets it end.
func (j *running) collect(ctx context.Context, pod *unstructured.Unstructured) (*Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, collectLimit, fmt.Errorf("it took longer than %s", collectLimit))
	defer cancel()
	result, err := j.fetch(ctx, pod.GetName())
	if err != nil {
		return nil, fmt.Errorf("collect the results from pod %s/%s: %w", j.namespace, pod.GetName(), err)
	}
	if err := j.ask(ctx, pod.GetName(), "/collected"); err != nil {
		return result, fmt.Errorf("tell pod %s/%s that its results are collected: %w", j.namespace, pod.GetName(), err)
	}
	return result, nil
}

// request sends one request to the pod's keeper, over a forwarded port of its own that stays until ctx ends.
func (j *running) request(ctx context.Context, pod, method, path string) (*http.Response, error) {
	address, err := j.client.Forward(ctx, j.namespace, pod, resultsPort)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	// Not by a proxy of the environment: the address is on this machine.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		words, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return nil, fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(words)))
	}
	return response, nil
}

// ask posts to the pod's keeper, whose answer is empty.
func (j *running) ask(ctx context.Context, pod, path string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	response, err := j.request(ctx, pod, http.MethodPost, path)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// fetch brings the results into a folder beside their place, so that half of them are never taken for the whole.
func (j *running) fetch(ctx context.Context, pod string) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	response, err := j.request(ctx, pod, http.MethodGet, "/results")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	code, err := strconv.Atoi(response.Header.Get(codeHeader))
	if err != nil {
		return nil, fmt.Errorf("the run's exit code: %w", err)
	}
	temporary, err := os.MkdirTemp(j.ResultsDir, ".collecting-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temporary) }() // of no use to anybody
	if err := unpack(response.Body, temporary); err != nil {
		return nil, err
	}
	result := &Result{Code: code, Namespace: j.namespace}
	folders, err := os.ReadDir(temporary)
	if err != nil || len(folders) == 0 { // a run that was refused
		return result, err
	}
	if len(folders) != 1 {
		return nil, fmt.Errorf("the results are of %d runs, want one", len(folders))
	}
	id := folders[0].Name()
	result.Folder = filepath.Join(j.ResultsDir, id)
	if err := os.Rename(filepath.Join(temporary, id), result.Folder); err != nil {
		return nil, err
	}
	return result, run.PointLatest(j.ResultsDir, id)
}

// unpack writes the files and folders of a tar below a folder, and nothing outside it, whatever their names are.
func unpack(content io.Reader, folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	archive := tar.NewReader(content)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the results broke off: %w", err)
		}
		switch header.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(strings.TrimSuffix(header.Name, "/"), 0o755)
		case tar.TypeReg:
			err = writeFile(root, header.Name, archive)
		default:
			err = fmt.Errorf("%q is neither a file nor a folder", header.Name)
		}
		if err != nil {
			return fmt.Errorf("unpack the results: %w", err)
		}
	}
}

func writeFile(root *os.Root, name string, content io.Reader) error {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// follow copies the pod's log until its container ends. A stream that breaks, as one through an API server may, is taken up
// again after the last line that came.
func (j *running) follow(ctx context.Context, pod string) {
	var last time.Time
	for {
		more, err := j.followOnce(ctx, pod, &last)
		if more && ctx.Err() == nil {
			continue
		}
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(j.Log, "meshproof: the Job's log cannot be followed: %v; what it goes on to say is in its results\n", err)
		}
		return
	}
}

// followOnce copies the lines after last, which it moves on. more tells that the stream broke while the container went on.
func (j *running) followOnce(ctx context.Context, pod string, last *time.Time) (more bool, err error) {
	options := &corev1.PodLogOptions{Container: objectName, Follow: true, Timestamps: true}
	if !last.IsZero() {
		since := metav1.NewTime(*last)
		options.SinceTime = &since
	}
	stream, err := j.client.Typed.CoreV1().Pods(j.namespace).GetLogs(pod, options).Stream(ctx)
	if err != nil {
		return false, err
	}
	defer stream.Close()
	came, from := false, *last
	reader := bufio.NewReader(stream)
	for {
		line, broken := reader.ReadString('\n')
		if stamp, text, found := strings.Cut(line, " "); found {
			when, err := time.Parse(time.RFC3339Nano, stamp)
			if err == nil && when.After(from) {
				*last, came = when, true
				fmt.Fprint(j.Log, text)
			}
		}
		if errors.Is(broken, io.EOF) {
			return false, nil
		}
		if broken != nil {
			return came, broken
		}
	}
}
