package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// Forward opens a local port on 127.0.0.1 that leads to a port of a pod, through the API server, as kubectl port-forward
// does; nothing runs in the pod. It returns the local address; the port closes when ctx ends.
func (c *Client) Forward(ctx context.Context, namespace, pod string, port int) (address string, err error) {
	transport, upgrader, err := spdy.RoundTripperFor(c.Config)
	if err != nil {
		return "", fmt.Errorf("forward a port to pod %s/%s: %w", namespace, pod, err)
	}
	url := c.Typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	ready := make(chan struct{})
	var complaints bytes.Buffer
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, ctx.Done(), ready, nil, &complaints)
	if err != nil {
		return "", fmt.Errorf("forward a port to pod %s/%s: %w", namespace, pod, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		if err == nil {
			err = errors.New(strings.TrimSpace(complaints.String()))
		}
		return "", fmt.Errorf("forward a port to %s/%s:%d: %w", namespace, pod, port, err)
	case <-ctx.Done():
		return "", fmt.Errorf("forward a port to %s/%s:%d: %w", namespace, pod, port, context.Cause(ctx))
	}
	ports, err := forwarder.GetPorts()
	if err != nil || len(ports) != 1 {
		return "", fmt.Errorf("forward a port to %s/%s:%d: %d local ports: %w", namespace, pod, port, len(ports), err)
	}
	return fmt.Sprintf("127.0.0.1:%d", ports[0].Local), nil
}
