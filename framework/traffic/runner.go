package traffic

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/fixtures/mongodb"
)

// bodyLimit bounds how much of an answer is kept, in bytes.
const bodyLimit = 1 << 20

// Runner sends probes from the process itself, each on a connection of its own, and ignores proxy variables.
type Runner struct{}

// Name implements Client.
func (Runner) Name() string { return "runner" }

// Do implements Client.
func (Runner) Do(ctx context.Context, probe Probe) (Result, error) {
	result := Result{Probe: probe, StartedAt: time.Now()}
	if probe.Request.Database != nil {
		return askDatabase(ctx, probe, mongodb.Ask)
	}
	target, err := probe.Target()
	if err != nil {
		return result, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, probe.Timeout(), fmt.Errorf("no whole answer within %s", probe.Timeout()))
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		result.LocalAddress, result.RemoteAddress = info.Conn.LocalAddr().String(), info.Conn.RemoteAddr().String()
	}})
	request, err := http.NewRequestWithContext(ctx, probe.Method(), target, strings.NewReader(probe.Request.Body))
	if err != nil {
		return result, fmt.Errorf("make the request: %w", err)
	}
	for name, value := range probe.Headers() {
		request.Header.Set(name, value)
	}
	request.Host = probe.Request.Host
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	var noted atomic.Pointer[net.Conn] // as soon as there is one: its TLS handshake may fail
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := new(net.Dialer).DialContext(ctx, network, cmp.Or(probe.Request.Address, address))
		if err == nil {
			noted.Store(&connection)
		}
		return connection, err
	}
	if probe.Request.Unchecked {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // which is what was asked for
	}
	if probe.Request.RootCAs != "" {
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM([]byte(probe.Request.RootCAs)) {
			return result, fmt.Errorf("the certificate authorities of probe %s hold no certificate in PEM", probe.ID)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}
	}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	result.Duration = time.Since(result.StartedAt)
	if err != nil {
		if made := noted.Load(); made != nil {
			result.LocalAddress, result.RemoteAddress = (*made).LocalAddr().String(), (*made).RemoteAddr().String()
		}
		result.Err = describe(ctx, err)
		return result, nil
	}
	defer response.Body.Close()
	result.TLS = wire.DescribeTLS(response.TLS)
	result.Status, result.Header = response.StatusCode, response.Header
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit+1))
	result.Duration = time.Since(result.StartedAt)
	if err != nil {
		result.Err = describe(ctx, err)
	}
	result.Truncated = len(body) > bodyLimit
	result.Body = string(body[:min(len(body), bodyLimit)])
	return result, nil
}

// describe prefers what ended the context over the error that this caused.
func describe(ctx context.Context, err error) string {
	if cause := context.Cause(ctx); cause != nil {
		return cause.Error()
	}
	return err.Error()
}
