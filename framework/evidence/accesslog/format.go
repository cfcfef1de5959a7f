package accesslog

import (
	"fmt"
	"strings"
)

// EnvoyDefault is what Envoy writes when a log states no format. Newer releases spell
// REQ as REQUEST_HEADER and RESP as RESPONSE_HEADER; the lines are the same.
const EnvoyDefault = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ` +
	`%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ` +
	`%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ` +
	`"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"` + "\n"

// IstioDefault is the text format that Istio has configured since 1.9 unless the mesh
// states another.
const IstioDefault = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ` +
	`%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ` +
	`"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ` +
	`%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ` +
	`"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% ` +
	`%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ` +
	`%REQUESTED_SERVER_NAME% %ROUTE_NAME%` + "\n"

// Format is a compiled access-log format. It is safe for concurrent use.
type Format struct {
	source    string
	omitEmpty bool
	slots     []slot
	typed     []typedSlot
	text      *template // nil for JSON
	crlf      bool
	json      *jsonNode // nil for text
}

// slot is one operator's place in a line.
type slot struct {
	op   Operator
	kind valueKind
	time *timeLayout // START_TIME only; nil when its form is unknown
}

// Option changes how a format is compiled.
type Option func(*Format)

// OmitEmpty is for logs with omit_empty_values: what Envoy does not have is written as
// nothing instead of "-", and left out of JSON.
func OmitEmpty() Option {
	return func(f *Format) { f.omitEmpty = true }
}

// CompileText compiles a text format. Operators that this package does not know are
// kept by name and may hold anything. An error says at which byte the format is
// malformed, and why; Envoy refuses such formats too.
func CompileText(format string, options ...Option) (*Format, error) {
	f := &Format{source: format}
	for _, o := range options {
		o(f)
	}
	line, _ := strings.CutSuffix(format, "\n")
	line, f.crlf = strings.CutSuffix(line, "\r")
	text, err := f.template(line)
	if err != nil {
		return nil, fmt.Errorf("accesslog: text format: %w", err)
	}
	f.text = text
	f.index()
	return f, nil
}

// String returns the format as it was given.
func (f *Format) String() string { return f.source }

// JSON says whether lines are JSON objects.
func (f *Format) JSON() bool { return f.json != nil }

// Operators returns the operators in the order of the line; for JSON in the order of
// the sorted keys.
func (f *Format) Operators() []Operator {
	out := make([]Operator, len(f.slots))
	for i, s := range f.slots {
		out[i] = s.op
	}
	return out
}

// Has says whether lines hold an operator, given as "UPSTREAM_HOST", "%UPSTREAM_HOST%"
// or "REQ(USER-AGENT)". Header names compare without case, REQUEST_HEADER is REQ,
// lengths are ignored. A name without argument finds the operator with any; a header by
// itself is also found as one of two alternatives, REQ(:PATH) in
// %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%.
func (f *Format) Has(op string) bool {
	return f.find(op) >= 0
}

// Missing returns those of the operators that lines do not hold, as "%NAME%", so that a
// judge can say what a format lacks. Empty if it lacks none.
func (f *Format) Missing(ops ...string) []string {
	var out []string
	for _, op := range ops {
		if !f.Has(op) {
			out = append(out, parseOperator(op).String())
		}
	}
	return out
}

// find returns an operator's slot, or -1.
func (f *Format) find(op string) int {
	want := parseOperator(op)
	for i, s := range f.slots {
		if s.op.Name == want.Name && s.op.Arg == want.Arg {
			return i
		}
	}
	if want.Arg == "" {
		for i, s := range f.slots {
			if s.op.Name == want.Name {
				return i
			}
		}
	}
	if want.isHeader() && !strings.Contains(want.Arg, "?") {
		for i, s := range f.slots {
			if s.op.Name == want.Name && s.op.hasHeader(want.Arg) {
				return i
			}
		}
	}
	return -1
}
