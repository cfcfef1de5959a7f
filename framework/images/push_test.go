package images

import (
	"encoding/base64"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// registryOf is a registry on this machine, and what its handler goes through.
func registryOf(t *testing.T, around func(http.Handler) http.Handler) string {
	t.Helper()
	server := httptest.NewServer(around(registry.New(registry.Logger(log.New(io.Discard, "", 0)))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/mesh"
}

func asItIs(handler http.Handler) http.Handler { return handler }

func TestPushBringsWhatTheDigestSays(t *testing.T) {
	where := registryOf(t, asItIs)
	list := []Image{built(t, "fixtures/agent", "1f0c"), built(t, "fixtures/bookinfo", "1f0c")}
	must(t, Push(t.Context(), where, list, build.Silent{}))
	for _, image := range list {
		for _, reference := range []string{image.In(where), where + "/" + image.Name + ":" + image.Tag} {
			parsed, err := name.ParseReference(reference)
			must(t, err)
			found, err := remote.Index(parsed)
			must(t, err)
			digest, err := found.Digest()
			must(t, err)
			if digest.String() != image.Digest {
				t.Errorf("%s is %s, want %s", reference, digest, image.Digest)
			}
			must(t, validate.Index(found))
		}
	}
}

// What was saved, carried and opened is pushed as the same digests.
func TestPushOfWhatWasSaved(t *testing.T) {
	file, list := saved(t)
	opened, err := Open(file, t.TempDir())
	must(t, err)
	where := registryOf(t, asItIs)
	must(t, Push(t.Context(), where, opened, build.Silent{}))
	for _, image := range list {
		parsed, err := name.ParseReference(image.In(where))
		must(t, err)
		found, err := remote.Index(parsed)
		must(t, err)
		must(t, validate.Index(found))
	}
}

func TestPushSendsWhatIsMissing(t *testing.T) {
	var uploads atomic.Int32
	where := registryOf(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				uploads.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	})
	list := []Image{built(t, "fixtures/agent", "1f0c")}
	must(t, Push(t.Context(), where, list, build.Silent{}))
	first := uploads.Swap(0)
	must(t, Push(t.Context(), where, list, build.Silent{}))
	if first == 0 || uploads.Load() != 0 {
		t.Errorf("%d uploads at first, and %d when everything is there", first, uploads.Load())
	}
}

// guarded wants a user and a password.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, given := r.BasicAuth(); !given || user != "me" || password != "hunter22" {
			w.Header().Set("WWW-Authenticate", `Basic realm="mesh"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func TestPushUsesTheCredentialsOfThisMachine(t *testing.T) {
	where := registryOf(t, guarded)
	image := built(t, "fixtures/agent", "1f0c")
	config := t.TempDir()
	t.Setenv("DOCKER_CONFIG", config)
	wantError(t, Push(t.Context(), where, []Image{image}, build.Silent{}), "push "+where+"/fixtures/agent:1f0c", "401")
	host, _, _ := strings.Cut(where, "/")
	auth := base64.StdEncoding.EncodeToString([]byte("me:hunter22"))
	must(t, os.WriteFile(filepath.Join(config, "config.json"), []byte(`{"auths":{"`+host+`":{"auth":"`+auth+`"}}}`), 0o600))
	must(t, Push(t.Context(), where, []Image{image}, build.Silent{}))
}

// A registry that fails is told at once: it is asked no second time.
func TestPushTriesOnce(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		asked := map[string]int{}
		where := registryOf(t, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					next.ServeHTTP(w, r)
					return
				}
				asked[r.Method+" "+r.URL.Path]++
				w.WriteHeader(status)
			})
		})
		image := built(t, "fixtures/agent", "1f0c")
		wantError(t, Push(t.Context(), where, []Image{image}, build.Silent{}), "push "+where+"/fixtures/agent:1f0c")
		for request, times := range asked {
			if times > 1 {
				t.Errorf("status %d: %s was sent %d times", status, request, times)
			}
		}
		if len(asked) == 0 {
			t.Errorf("status %d: nothing was asked", status)
		}
	}
}

// Credentials go nowhere in plain text.
func TestPlainHTTPIsForThisMachine(t *testing.T) {
	for url, plain := range map[string]bool{
		"https://registry.example.com/v2/": true, "http://127.0.0.1:5000/v2/": true, "http://[::1]:5000/v2/": true, "http://localhost:5000/v2/": true,
		"http://10.0.0.1:5000/v2/": false, "http://registry.local/v2/": false, "http://registry.example.com/v2/": false, "http://localhost.example.com/v2/": false,
	} {
		sent := false
		guard := encrypted{roundTripper(func(*http.Request) (*http.Response, error) { sent = true; return &http.Response{}, nil })}
		request, err := http.NewRequest(http.MethodGet, url, nil)
		must(t, err)
		if _, err = guard.RoundTrip(request); plain != (err == nil) || plain != sent {
			t.Errorf("%s: sent %t, error %v", url, sent, err)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
