package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/meshproof/meshproof/framework/lab/build"
	"github.com/meshproof/meshproof/framework/lab/node"
)

// Status asks the lab's supervisor about its parts.
func (l *Lab) Status(ctx context.Context) (node.Status, error) {
	var status node.Status
	answer, err := l.ask(ctx, http.MethodGet, "/status", nil)
	if err != nil {
		return status, err
	}
	if err := json.Unmarshal(answer, &status); err != nil {
		return status, fmt.Errorf("read the answer of the supervisor of lab %q: %w", l.Name, err)
	}
	return status, nil
}

// EnsureFixtures makes sure that the lab has the fixtures of this program: a lab that another build of it started has
// those of that build.
func (l *Lab) EnsureFixtures(ctx context.Context, options Options, needed []string) error {
	options, err := options.withDefaults()
	if err != nil {
		return err
	}
	archives, err := build.Fixtures(ctx, build.Cache{Dir: options.CacheDir}, needed, options.Progress)
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if _, err := l.ask(ctx, http.MethodPost, "/images", url.Values{"archive": {archive}}); err != nil {
			return err
		}
	}
	return nil
}

// EnsureSuite makes sure that the lab has the image of this program, and returns its name.
func (l *Lab) EnsureSuite(ctx context.Context, options Options) (reference string, err error) {
	if options, err = options.withDefaults(); err != nil {
		return "", err
	}
	archive, suite, err := build.SuiteArchive(ctx, build.Cache{Dir: options.CacheDir}, options.Progress)
	if err != nil {
		return "", err
	}
	_, err = l.ask(ctx, http.MethodPost, "/images", url.Values{"archive": {archive}})
	return suite.Reference(), err
}

// LoadImages imports a file of images into the lab's container runtime. Of the host's files it sees the cache alone.
func (l *Lab) LoadImages(ctx context.Context, options Options, file string) error {
	options, err := options.withDefaults()
	if err != nil {
		return err
	}
	archive, err := build.Loaded(ctx, build.Cache{Dir: options.CacheDir}, file, options.Progress)
	if err != nil {
		return err
	}
	_, err = l.ask(ctx, http.MethodPost, "/images", url.Values{"archive": {archive}})
	return err
}

func (l *Lab) ask(ctx context.Context, method, path string, form url.Values) ([]byte, error) {
	socket := filepath.Join(l.Dir, "control.sock")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the supervisor of lab %q (%s): %w", l.Name, socket, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("ask the supervisor of lab %q: %w", l.Name, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the supervisor of lab %q: %s", l.Name, bytes.TrimSpace(answer))
	}
	return answer, nil
}
