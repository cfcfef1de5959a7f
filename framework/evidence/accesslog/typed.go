package accesslog

import (
	"strings"
	"time"
)

// typedSlot is an operator that fills one of Line's fields.
type typedSlot struct {
	slot int
	set  func(l *Line, value string)
}

// typedField is one of Line's fields and the operators that can fill it, best first.
type typedField struct {
	set func(l *Line, value string)
	ops []string
}

var typedFields = []typedField{
	{func(l *Line, v string) { l.Method = v }, []string{"REQ(:METHOD)"}},
	{func(l *Line, v string) { l.Path = v }, []string{"REQ(X-ENVOY-ORIGINAL-PATH?:PATH)", "REQ(:PATH)", "PATH", "REQ_WITHOUT_QUERY(:PATH)"}},
	{func(l *Line, v string) { l.Authority = v }, []string{"REQ(:AUTHORITY)", "REQ(HOST)"}},
	{func(l *Line, v string) { l.Protocol = v }, []string{"PROTOCOL"}},
	{func(l *Line, v string) { l.UserAgent = v }, []string{"REQ(USER-AGENT)"}},
	{func(l *Line, v string) { l.RequestID = v }, []string{"REQ(X-REQUEST-ID)", "STREAM_ID"}},
	{func(l *Line, v string) { l.ForwardedFor = v }, []string{"REQ(X-FORWARDED-FOR)"}},
	{func(l *Line, v string) { l.ResponseCode = int(number(v)) }, []string{"RESPONSE_CODE"}},
	{func(l *Line, v string) { l.Flags = strings.Split(v, ",") }, []string{"RESPONSE_FLAGS"}},
	{func(l *Line, v string) { l.Details = v }, []string{"RESPONSE_CODE_DETAILS"}},
	{func(l *Line, v string) { l.TerminationDetails = v }, []string{"CONNECTION_TERMINATION_DETAILS"}},
	{func(l *Line, v string) { l.UpstreamFailure = v }, []string{"UPSTREAM_TRANSPORT_FAILURE_REASON"}},
	{func(l *Line, v string) { l.BytesReceived = number(v) }, []string{"BYTES_RECEIVED"}},
	{func(l *Line, v string) { l.BytesSent = number(v) }, []string{"BYTES_SENT"}},
	{func(l *Line, v string) { l.Duration = time.Duration(number(v)) * time.Millisecond }, []string{"DURATION"}},
	{func(l *Line, v string) { l.UpstreamHost = v }, []string{"UPSTREAM_HOST", "UPSTREAM_REMOTE_ADDRESS"}},
	{func(l *Line, v string) { l.UpstreamCluster = v }, []string{"UPSTREAM_CLUSTER_RAW"}},
	{func(l *Line, v string) { l.UpstreamLocal = v }, []string{"UPSTREAM_LOCAL_ADDRESS"}},
	{func(l *Line, v string) { l.DownstreamLocal = v }, []string{"DOWNSTREAM_LOCAL_ADDRESS"}},
	{func(l *Line, v string) { l.DownstreamRemote = v }, []string{"DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS"}},
	{func(l *Line, v string) { l.SNI = v }, []string{"REQUESTED_SERVER_NAME"}},
	{func(l *Line, v string) { l.Route = v }, []string{"ROUTE_NAME"}},
	{func(l *Line, v string) { l.DownstreamPeerURI = v }, []string{"DOWNSTREAM_PEER_URI_SAN"}},
	{func(l *Line, v string) { l.DownstreamTLSVersion = v }, []string{"DOWNSTREAM_TLS_VERSION"}},
}

// index finds the operators that fill Line's fields.
func (f *Format) index() {
	for _, field := range typedFields {
		for _, op := range field.ops {
			if i := f.find(op); i >= 0 {
				f.typed = append(f.typed, typedSlot{i, field.set})
				break
			}
		}
	}
	if f.find("UPSTREAM_CLUSTER_RAW") < 0 {
		if i := f.find("UPSTREAM_CLUSTER"); i >= 0 {
			f.typed = append(f.typed, typedSlot{i, setStatName})
		}
	}
}

func setStatName(l *Line, v string) { l.UpstreamCluster = strings.TrimSuffix(v, ";") }

// fill sets the typed fields from the values. It returns false if a time cannot be what
// its operator writes.
func (l *Line) fill() bool {
	f := l.format
	ok := true
	for i := range f.slots {
		s := &f.slots[i]
		if s.kind != timeKind || f.absent(l.values[i]) {
			continue
		}
		start, parsed := s.time.parse(l.values[i])
		ok = ok && parsed
		if l.Start.IsZero() {
			l.Start = start
		}
	}
	for _, t := range f.typed {
		if v := l.values[t.slot]; !f.absent(v) {
			t.set(l, v)
		}
	}
	return ok
}

// number reads digits; more than a number can have, which Envoy does not write, are 0.
func number(v string) int64 {
	n, _ := natural(v)
	return int64(n)
}
