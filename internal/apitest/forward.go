package apitest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// Play lets a handler answer every port of a pod.
func (s *Server) Play(t testing.TB, namespace, pod string, handler http.Handler) {
	t.Helper()
	s.proxies["/api/v1/namespaces/"+namespace+"/pods/"+pod] = handler
}

// forward is the API server's part of a port-forward: a stream of data, beside one of errors, for every connection.
func (s *Server) forward(w http.ResponseWriter, r *http.Request) {
	handler := s.proxies[strings.TrimSuffix(r.URL.Path, "/portforward")]
	if handler == nil {
		refuse(w, http.StatusNotFound, r.URL.Path+" not found")
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
		return // the handshake has answered
	}
	played := httptest.NewServer(handler)
	defer played.Close()
	connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(stream httpstream.Stream, replied <-chan struct{}) error {
		go func() {
			<-replied
			if stream.Headers().Get("streamType") == "error" {
				_ = stream.Close()
				return
			}
			connect(stream, played.Listener.Addr().String())
		}()
		return nil
	})
	if connection != nil {
		<-connection.CloseChan()
	}
}

func connect(stream httpstream.Stream, address string) {
	defer stream.Close()
	backend, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer backend.Close()
	go func() {
		_, _ = io.Copy(backend, stream)
		_ = backend.Close()
	}()
	_, _ = io.Copy(stream, backend)
}
