// Package traffic sends identified probes: every request carries an identity of its own, by which each hop's record of it
// is found, and a line with merely the right host is nothing.
package traffic

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/meshproof/meshproof/fixtures/agent/wire"
	"github.com/meshproof/meshproof/fixtures/record"
)

// Request is what can be sent any number of times, each time as a probe of its own: an HTTP request, or a question to a
// database.
type Request struct {
	// Method is the HTTP method; empty means GET.
	Method string
	// URL is absolute; its host is where the client connects to.
	URL string
	// Host is the Host header; empty means the host of URL.
	Host string
	// Address, when set, is where the client connects to instead of the host of URL, as host:port: TLS still asks for that host.
	Address string
	Header  map[string]string
	Body    string
	// RootCAs are the certificate authorities that an https server's certificate is checked against, in PEM; empty means the
	// system's.
	RootCAs string
	// Unchecked takes whatever certificate an https server presents.
	Unchecked bool
	// Database, when set, is what a MongoDB is asked instead; of the other fields only Timeout then counts. The identity of
	// the probe is the name by which the client introduces itself.
	Database *wire.DatabaseRequest
	// Serves, when not empty, is a text without which an answer does not count as one of the path: an application may answer
	// 200 in place of what it could not get.
	Serves string
	// Timeout bounds one probe; zero means DefaultTimeout.
	Timeout time.Duration
}

// DefaultTimeout bounds a probe that names no timeout.
const DefaultTimeout = 10 * time.Second

// Probe is one request with its identity.
type Probe struct {
	// ID occurs in the request's query and in its User-Agent, and nowhere else in the world.
	ID string
	// Number is the same for applications that pass on a number and nothing else: it stands where the request's URL has
	// NumberPlaceholder, and has 19 digits.
	Number  uint64
	Request Request
}

// NumberPlaceholder stands in a Request's URL for the number of the probe.
const NumberPlaceholder = "{number}"

// Numbered tells whether the probe is known by its number, too.
func (p Probe) Numbered() bool { return strings.Contains(p.Request.URL, NumberPlaceholder) }

// mostNumbers is how many numbers a batch of probes has.
const mostNumbers = 10_000

// Result is what the client saw of one probe.
type Result struct {
	Probe Probe
	// From is the vantage point that sent it, as its Client is called.
	From   string
	Status int
	Header http.Header
	// Body is at most 1 MiB; Truncated says that there was more.
	Body      string
	Truncated bool
	// Err is empty when a whole answer arrived.
	Err string
	// LocalAddress and RemoteAddress are the ends of the client's connection, as the client sees them.
	LocalAddress, RemoteAddress string
	// Connection is what went over the client's connection, where the vantage point tells it; nil otherwise.
	Connection *record.Connection
	// TLS is what the client saw of the handshake; nil without one that succeeded.
	TLS *wire.TLS
	// Database is what a database, or the way there, came to; nil for HTTP.
	Database  *wire.DatabaseResponse
	StartedAt time.Time
	Duration  time.Duration
}

// Served tells whether the path did what was asked of it: a whole answer of HTTP with status 200 and the text that it must
// have, or a database's reply to every command.
func (r Result) Served() bool {
	switch {
	case r.Err != "":
		return false
	case r.Database != nil:
		return strings.Contains(strings.Join(r.Database.Replies, "\n"), r.Probe.Request.Serves)
	}
	return r.Status == http.StatusOK && strings.Contains(r.Body, r.Probe.Request.Serves)
}

// Outcome says in a few words what the client got.
func (r Result) Outcome() string {
	switch {
	case r.Err != "" && r.Status != 0:
		return fmt.Sprintf("status %d, and no whole answer: %s", r.Status, r.Err)
	case r.Err != "":
		return "no answer: " + r.Err
	case r.Database != nil:
		return fmt.Sprintf("%d replies of the database", len(r.Database.Replies))
	}
	return fmt.Sprintf("status %d", r.Status)
}

// Client sends probes from one vantage point.
type Client interface {
	// Name is the vantage point, for example "runner".
	Name() string
	// Do sends one probe and returns what came of it. The error is of the vantage point itself, which then knows nothing of
	// the probe; a refused probe is no error but a Result.
	Do(ctx context.Context, probe Probe) (Result, error)
}

// IDParameter is the query parameter that carries a probe's identity.
const IDParameter = "meshproof"

// UserAgentPrefix precedes a probe's identity in its User-Agent, which applications pass on to later hops where they
// drop the query.
const UserAgentPrefix = "meshproof/"

// NewProbes returns count probes of request, at most 9999. label, for example "BG1", makes the identities readable.
func NewProbes(request Request, label string, count int) []Probe {
	probes := make([]Probe, 0, count)
	batch := make([]byte, 6)
	// crypto/rand never fails on the supported systems.
	_, _ = rand.Read(batch)
	var first uint64 = 1 // so that every number has the same length
	for _, part := range batch {
		first = first<<8 | uint64(part)
	}
	for index := range count {
		probes = append(probes, Probe{
			ID: fmt.Sprintf("mp-%s-%s-%d", label, hex.EncodeToString(batch), index+1), Number: first*mostNumbers + uint64(index+1), Request: request,
		})
	}
	return probes
}

// Target returns the probe's URL with its identity at the end of the query, which otherwise stays as it is.
func (p Probe) Target() (string, error) {
	target, err := url.Parse(strings.ReplaceAll(p.Request.URL, NumberPlaceholder, strconv.FormatUint(p.Number, 10)))
	if err != nil {
		return "", fmt.Errorf("the URL of probe %s: %w", p.ID, err)
	}
	if target.RawQuery != "" {
		target.RawQuery += "&"
	}
	target.RawQuery += IDParameter + "=" + p.ID
	return target.String(), nil
}

// Headers returns the request's headers with the identity in the User-Agent.
func (p Probe) Headers() map[string]string {
	headers := map[string]string{"User-Agent": UserAgentPrefix + p.ID}
	for name, value := range p.Request.Header {
		headers[http.CanonicalHeaderKey(name)] = value
	}
	return headers
}

// Method returns the HTTP method.
func (p Probe) Method() string {
	if p.Request.Method == "" {
		return http.MethodGet
	}
	return p.Request.Method
}

// Timeout returns the probe's time limit.
func (p Probe) Timeout() time.Duration {
	if p.Request.Timeout == 0 {
		return DefaultTimeout
	}
	return p.Request.Timeout
}

// Send sends the probes one after another and returns their results in order. It stops at the first error of the vantage
// point, and when ctx ends.
func Send(ctx context.Context, client Client, probes []Probe) ([]Result, error) {
	results := make([]Result, 0, len(probes))
	for _, probe := range probes {
		result, err := client.Do(ctx, probe)
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx) // what it cut off says nothing about the path
		}
		if err != nil {
			return results, fmt.Errorf("send probe %s from %s: %w", probe.ID, client.Name(), err)
		}
		result.From = client.Name()
		results = append(results, result)
	}
	return results, nil
}
