// Package accesslog is the access log of the lab's router: the formats that its HAProxy writes, and how a line is read.
//
// A line is one JSON object: per HTTP request, when its answer is complete; per passed-through TLS connection, when it is
// closed; per connection whose TLS handshake failed. What HAProxy does not know it writes as "-", and Parse leaves empty.
//
// It imports the standard library only, because it is compiled into the router's image.
package accesslog

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
)

// HTTPFormat, TCPFormat and ErrorFormat are log-formats of HAProxy (section 8.2.4 of its manual). The variables in them are
// set by the rules of HTTPRules and TCPRules, because neither the request nor the TLS hello is there any more when a line
// is written. The json converter keeps what a client sent from ending a string.
const (
	HTTPFormat = `{` + connection + `,"handshakeMilliseconds":%Th,"idleMilliseconds":%Ti,"sni":"%[ssl_fc_sni,json(utf8s)]"` +
		`,"method":"%[var(txn.method),json(utf8s)]","host":"%[var(txn.host),json(utf8s)]","url":"%[var(txn.url),json(utf8s)]"` +
		`,"userAgent":"%[var(txn.agent),json(utf8s)]","status":%ST,"responseMilliseconds":%Tr,"milliseconds":%Ta` + route + `}`
	TCPFormat   = `{` + connection + `,"sni":"%[var(sess.sni),json(utf8s)]","milliseconds":%Tt` + route + `}`
	ErrorFormat = `{` + connection + `,"sni":"%[ssl_fc_sni,json(utf8s)]","error":"%[fc_err_str,json(utf8s)]","tlsError":"%[ssl_fc_err_str,json(utf8s)]"}`

	connection = `"time":%Ts.%ms,"client":"%ci:%cp","frontend":"%f"`
	route      = `,"backend":"%b","server":"%s","serverAddress":"%si:%sp","source":"%bi:%bp","connectMilliseconds":%Tc` +
		`,"retries":"%rc","termination":"%ts","bytesSent":%B,"bytesReceived":%U`
)

// HTTPRules are the rules of a frontend that uses HTTPFormat, and TCPRules those of one that uses TCPFormat.
const (
	HTTPRules = `  http-request set-var(txn.method) method
  http-request set-var(txn.url) url
  http-request set-var(txn.agent) req.hdr(user-agent)
  http-request set-var(txn.host) req.hdr(host),host_only,rtrim(.)
`
	TCPRules = `  tcp-request content set-var(sess.sni) req.ssl_sni,lower if { req.ssl_hello_type 1 }
`
)

// Entry is one line.
type Entry struct {
	// Time is when the request began, or the connection was accepted, with a precision of a millisecond.
	Time time.Time `json:"-"`
	// Client is the address from which the client's connection came, as host:port.
	Client string `json:"client"`
	// Frontend is "public" (port 80), "public_ssl" (port 443, passed through), "fe_sni" or "fe_no_sni" (port 443, TLS ended here).
	Frontend string `json:"frontend"`
	// Backend names the Route, as be_http:NAMESPACE:NAME; it is be_edge_http: for an edge Route, be_secure: for one that
	// re-encrypts, be_tcp: for one that passes through. A request that no Route took has another one.
	Backend string `json:"backend"`
	// Server is pod:POD:SERVICE:PORT:ADDRESS, or ept:SERVICE:PORT:ADDRESS if it is no pod, and ServerAddress its host:port;
	// both are empty if the router answered itself.
	Server        string `json:"server"`
	ServerAddress string `json:"serverAddress"`
	// Source is the router's end of the connection to the server, as host:port: the server's peer.
	Source string `json:"source"`
	// ServerName is what the client asked for in its TLS hello.
	ServerName string `json:"sni"`
	// Method, Host (in lower case, without port), URL (path and query) and UserAgent are those of the request.
	Method    string `json:"method"`
	Host      string `json:"host"`
	URL       string `json:"url"`
	UserAgent string `json:"userAgent"`
	Status    int    `json:"status"`
	// ConnectMilliseconds and ResponseMilliseconds are the waits for the connection to the server and for the answer's
	// header, -1 if it did not come to that; Milliseconds is the whole.
	ConnectMilliseconds  int `json:"connectMilliseconds"`
	ResponseMilliseconds int `json:"responseMilliseconds"`
	Milliseconds         int `json:"milliseconds"`
	// Retries is how often connecting to the server was tried again, with a + if another one was taken at last.
	Retries string `json:"retries"`
	// Termination is HAProxy's session state at the end: who ended it, and when (section 8.5 of its manual); empty is normal.
	Termination string `json:"termination"`
	// BytesSent went to the client, BytesReceived came from it.
	BytesSent     int64 `json:"bytesSent"`
	BytesReceived int64 `json:"bytesReceived"`
	// Error and TLSError say why a client's TLS handshake failed.
	Error    string `json:"error"`
	TLSError string `json:"tlsError"`
}

// Parse reads one line. A line that is no JSON object is an error: it is none of the access log.
func Parse(line string) (Entry, error) {
	// HAProxy's time is that of the connection, or of the end of the request before; what came between is told apart.
	read := struct {
		Seconds   float64 `json:"time"`
		Handshake int64   `json:"handshakeMilliseconds"`
		Idle      int64   `json:"idleMilliseconds"`
		*Entry
	}{Entry: &Entry{}}
	if err := json.Unmarshal([]byte(line), &read); err != nil {
		return Entry{}, fmt.Errorf("read a line of the router's access log: %w", err)
	}
	entry := *read.Entry
	entry.Time = time.UnixMilli(int64(math.Round(read.Seconds*1000)) + max(read.Handshake, 0) + max(read.Idle, 0)).UTC()
	fields := reflect.ValueOf(&entry).Elem()
	for i := range fields.NumField() {
		if field := fields.Field(i); field.Kind() == reflect.String && isUnknown(field.String()) {
			field.SetString("")
		}
	}
	return entry, nil
}

// isUnknown recognises what HAProxy writes for no value, no address, no server, and a normal end.
func isUnknown(value string) bool {
	return value == "-" || value == "-:-" || value == "--" || value == "<NOSRV>"
}

// Route returns the namespace and name of the Route that took the request; ok is false if none did.
func (e Entry) Route() (namespace, name string, ok bool) {
	_, key, found := strings.Cut(e.Backend, ":")
	namespace, name, ok = strings.Cut(key, ":")
	return namespace, name, found && ok
}
