package images

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/meshproof/meshproof/framework/lab/build"
)

// Push brings the images into a registry, each under its tag, with the credentials of docker and podman on this machine. What
// the registry has already is not sent again. Nothing is tried twice: a registry that refuses is told at once.
func Push(ctx context.Context, registry string, list []Image, progress build.Progress) error {
	for _, image := range list {
		err := build.Timed(progress, "push "+image.Name, func(build.Step) (string, error) {
			return image.Digest, image.push(ctx, registry)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (i Image) push(ctx context.Context, registry string) error {
	tag, err := name.NewTag(registry+"/"+i.Name+":"+i.Tag, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("name image %s in registry %s: %w", i.Name, registry, err)
	}
	err = remote.WriteIndex(tag, i.index,
		remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("meshproof"),
		remote.WithTransport(encrypted{remote.DefaultTransport}),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryPredicate(func(error) bool { return false }), remote.WithRetryStatusCodes(),
	)
	if ctx.Err() != nil {
		return fmt.Errorf("push %s: %w", tag, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("push %s: %w", tag, err)
	}
	return nil
}

// encrypted refuses plain HTTP to anything but this machine: the library would also take addresses of private networks for
// safe, and send credentials there that anybody on the way could read.
type encrypted struct{ http.RoundTripper }

var errPlain = errors.New("it would be plain HTTP, which is for registries on this machine only")

func (e encrypted) RoundTrip(request *http.Request) (*http.Response, error) {
	host := request.URL.Hostname()
	address := net.ParseIP(host)
	if request.URL.Scheme != "https" && host != "localhost" && (address == nil || !address.IsLoopback()) {
		return nil, fmt.Errorf("send to %s: %w", request.URL.Host, errPlain)
	}
	return e.RoundTripper.RoundTrip(request)
}
