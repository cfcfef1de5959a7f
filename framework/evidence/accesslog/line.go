package accesslog

import (
	"strings"
	"time"
)

// Line is one parsed line of an access log. A field that the line does not have, or
// whose operator the format lacks, is zero; Field and Format.Has tell the two apart, and
// both from a zero that was logged. Strings share the line's memory.
//
// A line is no request: a proxy with several logs to one file writes several lines for
// one request, and one with interim lines writes some before its end.
type Line struct {
	Start    time.Time     // %START_TIME%, UTC; of the request, or of the TCP connection
	Duration time.Duration // %DURATION%, whole milliseconds

	Method    string // %REQ(:METHOD)%
	Path      string // %REQ(:PATH)%, also behind X-ENVOY-ORIGINAL-PATH?, or %PATH%; else %REQ_WITHOUT_QUERY(:PATH)%
	Authority string // %REQ(:AUTHORITY)%; else %REQ(HOST)%
	Protocol  string // %PROTOCOL%

	UserAgent    string // %REQ(USER-AGENT)%
	RequestID    string // %REQ(X-REQUEST-ID)%; else %STREAM_ID%
	ForwardedFor string // %REQ(X-FORWARDED-FOR)%

	ResponseCode       int      // %RESPONSE_CODE%; 0 for TCP and for clients that left before a response
	Flags              []string // %RESPONSE_FLAGS%, split; nil for none
	Details            string   // %RESPONSE_CODE_DETAILS%
	TerminationDetails string   // %CONNECTION_TERMINATION_DETAILS%
	UpstreamFailure    string   // %UPSTREAM_TRANSPORT_FAILURE_REASON%

	BytesReceived int64 // %BYTES_RECEIVED%, from downstream; bodies only for HTTP
	BytesSent     int64 // %BYTES_SENT%, to downstream

	UpstreamHost     string // %UPSTREAM_HOST%; else %UPSTREAM_REMOTE_ADDRESS%
	UpstreamLocal    string // %UPSTREAM_LOCAL_ADDRESS%
	DownstreamLocal  string // %DOWNSTREAM_LOCAL_ADDRESS%
	DownstreamRemote string // %DOWNSTREAM_REMOTE_ADDRESS%, which X-Forwarded-For may replace; else %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%
	// UpstreamCluster is %UPSTREAM_CLUSTER_RAW%; else %UPSTREAM_CLUSTER%, the name in
	// statistics, without the ";" that Istio ends it with.
	UpstreamCluster string

	SNI                  string // %REQUESTED_SERVER_NAME%
	Route                string // %ROUTE_NAME%
	DownstreamPeerURI    string // %DOWNSTREAM_PEER_URI_SAN%, several joined by commas
	DownstreamTLSVersion string // %DOWNSTREAM_TLS_VERSION%

	// Ambiguous says that the line can be read in more than one way, as Sure explains.
	// The fields are those of one reading, and prove nothing unless Sure of them.
	Ambiguous bool

	format *Format
	values []string
	unsure []bool // by slot; nil when no value is
}

// Format returns the format that the line was parsed by.
func (l Line) Format() *Format { return l.format }

// Field returns what the line has for an operator, named as for Format.Has. False when
// the format lacks the operator or Envoy wrote that it has no value.
func (l Line) Field(op string) (string, bool) {
	if l.format == nil {
		return "", false
	}
	i := l.format.find(op)
	if i < 0 || l.format.absent(l.values[i]) {
		return "", false
	}
	return l.values[i], true
}

// Sure says whether an operator's value is the same in every way to read the line: true
// for all operators of a line that is not Ambiguous. False for one the format lacks.
func (l Line) Sure(op string) bool {
	if l.format == nil {
		return false
	}
	i := l.format.find(op)
	return i >= 0 && (l.unsure == nil || !l.unsure[i])
}

// HasFlag says whether a response flag is set, "UF" for one.
func (l Line) HasFlag(flag string) bool {
	for _, f := range l.Flags {
		if f == flag {
			return true
		}
	}
	return false
}

// absent says whether a value stands for none.
func (f *Format) absent(value string) bool {
	return value == "-" || value == "" && f.omitEmpty
}

// Parse reads one line, with or without its line end. False means that the line is not
// in this format: other lines, the proxy's own messages for one, share the file. It takes
// time in proportion to the line's length.
func (f *Format) Parse(line string) (Line, bool) {
	line, _ = strings.CutSuffix(line, "\n")
	if f.crlf || f.json != nil {
		line, _ = strings.CutSuffix(line, "\r")
	}
	if f.json != nil {
		return f.parseJSON(line)
	}
	return f.parseText(line)
}

// fewSlots is how many values are placed without allocating; Istio's default has 24.
const fewSlots = 32

func (f *Format) parseText(line string) (Line, bool) {
	var few [fewSlots]span
	spans := few[:]
	if len(f.slots) > fewSlots {
		spans = make([]span, len(f.slots))
	}
	spans = spans[:len(f.slots)]
	unsure, ok := f.text.match(line, spans)
	if !ok {
		return Line{}, false
	}
	l := Line{format: f, values: make([]string, len(f.slots)), unsure: unsure, Ambiguous: unsure != nil}
	for i, s := range spans {
		l.values[i] = line[s.from:s.to]
	}
	// Among several readings one may stand although this one's time cannot be.
	return l, l.fill() || l.Ambiguous
}

// ParseAny reads a line by whichever of several formats it is in, for logs that share a
// file. If it is in more than one, the line is the first format's, and Sure only of what
// they all read alike.
func ParseAny(line string, formats ...*Format) (Line, bool) {
	var out Line
	found := false
	for _, f := range formats {
		l, ok := f.Parse(line)
		switch {
		case !ok:
		case !found:
			out, found = l, true
		default:
			out.compare(l)
		}
	}
	return out, found
}

// compare doubts what another reading has differently or not at all.
func (l *Line) compare(other Line) {
	for i, s := range l.format.slots {
		j := other.format.find(s.op.String())
		if j < 0 || other.values[j] != l.values[i] || other.unsure != nil && other.unsure[j] {
			l.doubt(i)
		}
	}
}
