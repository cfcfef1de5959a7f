package evidence

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/meshproof/meshproof/framework/evidence/accesslog"
	"github.com/meshproof/meshproof/framework/mesh"
)

// needed are the operators without which a line can neither be joined nor judged; of those on one line, one is enough.
var needed = [][]string{
	{"START_TIME"},
	{"UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW"},
	{"UPSTREAM_HOST", "UPSTREAM_REMOTE_ADDRESS"},
	{"UPSTREAM_LOCAL_ADDRESS"},
	{"DOWNSTREAM_LOCAL_ADDRESS"},
	{"DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS"},
	{"RESPONSE_CODE"},
	{"RESPONSE_FLAGS"},
	{"REQ(X-REQUEST-ID)"},
	{"REQ(:PATH)", "PATH", "REQ(USER-AGENT)"},
}

// lacking returns those of the needed operators that the format has in none of their forms.
func lacking(format *accesslog.Format) []string {
	var missing []string
	for _, forms := range needed {
		if !slices.ContainsFunc(forms, format.Has) {
			missing = append(missing, format.Missing(forms[0])...)
		}
	}
	return missing
}

// accessLogs are the access logs that a proxy writes to its standard output, where they share one stream.
type accessLogs struct {
	// formats are all forms that a line of it can have.
	formats []*accesslog.Format
	// copies is how many logs of one filter chain write the same line, by format.
	copies map[string]int
	// used are the formats that lack nothing; all, when each lacks something.
	used []*accesslog.Format
	// several is set when a filter chain writes more than one line for a request.
	several bool
}

// place is what writes a line for each request that it takes: a filter chain of a listener.
type place struct {
	listener string
	chain    int
}

// takeLogs finds out how a proxy's access logs are read. The gap says why what is read is not all: every filter chain must
// have one log that holds nothing back and lacks nothing, whatever other logs it has.
func takeLogs(proxy string, sinks []accesslog.Sink) (accessLogs, *Gap) {
	const remedy = "give the namespace a Telemetry that switches on accessLogging of a provider that writes to /dev/stdout, without a filter"
	logs := accessLogs{copies: map[string]int{}}
	var places []place
	at := map[place][]accesslog.Sink{}
	for _, sink := range mesh.StandardOutput(sinks) {
		where := place{sink.Listener, sink.Chain}
		if at[where] == nil {
			places = append(places, where)
		}
		at[where] = append(at[where], sink)
		if text := sink.Format.String(); logs.copies[text] == 0 {
			logs.formats = append(logs.formats, sink.Format)
			logs.copies[text] = 1
			if len(lacking(sink.Format)) == 0 {
				logs.used = append(logs.used, sink.Format)
			}
		}
	}
	switch {
	case len(places) == 0 && len(sinks) > 0:
		return logs, &Gap{Why: fmt.Sprintf("proxy %s sends its access log elsewhere than to its standard output", proxy), Remedy: remedy}
	case len(places) == 0:
		return logs, &Gap{Why: fmt.Sprintf("proxy %s writes no access log", proxy), Remedy: remedy}
	}
	if len(logs.used) == 0 {
		logs.used = logs.formats
	}
	var gap *Gap
	for _, where := range places {
		same := map[string]int{}
		for _, sink := range at[where] {
			text := sink.Format.String()
			same[text]++
			logs.copies[text] = max(logs.copies[text], same[text])
		}
		logs.several = logs.several || len(at[where]) > 1
		if gap == nil {
			gap = gapOf(proxy, at[where], remedy)
		}
	}
	return logs, gap
}

// logsRefusals tells whether a listener logs, to the proxy's standard output, the connections that none of its filter chains
// takes, and that have no other line.
func logsRefusals(sinks []accesslog.Sink) bool {
	return slices.ContainsFunc(sinks, func(s accesslog.Sink) bool {
		return s.Kind == accesslog.Listener && s.Readable && mesh.IsStandardOutput(s.Path)
	})
}

// gapOf says why none of a filter chain's logs tells of every request all that is needed; nil when one does.
func gapOf(proxy string, sinks []accesslog.Sink, remedy string) *Gap {
	var gap *Gap
	for _, sink := range sinks {
		missing := strings.Join(lacking(sink.Format), ", ")
		switch {
		case sink.Filter == nil && missing == "":
			return nil
		case sink.Filter == nil:
			gap = &Gap{
				Why:    fmt.Sprintf("the access-log format of proxy %s lacks %s", proxy, missing),
				Remedy: fmt.Sprintf("use Istio's default format, or add %s to the mesh's accessLogFormat or the provider's logFormat", missing),
			}
		case gap == nil:
			gap = &Gap{Why: fmt.Sprintf("proxy %s writes only some access-log lines (%s)", proxy, sink.Filter), Remedy: remedy}
		}
	}
	return gap
}

// parse reads a line. One that can be read in more than one way proves nothing.
//
// A connection keeps the filter chain that took it, and its log, also when the chain has been replaced in the
// configuration: what none of the configured formats reads may be in one of the formats before, or in Istio's default.
func (l accessLogs) parse(text string, before []*accesslog.Format) (accesslog.Line, bool) {
	line, ok := accesslog.ParseAny(text, l.formats...)
	if !ok && len(l.formats) > 0 {
		line, ok = accesslog.ParseAny(text, before...)
	}
	if !ok && len(l.formats) > 0 {
		line, ok = istioDefault().Parse(text)
	}
	return line, ok && !line.Ambiguous
}

var istioDefault = sync.OnceValue(func() *accesslog.Format {
	format, err := accesslog.CompileText(accesslog.IstioDefault)
	if err != nil {
		panic(err) // a constant
	}
	return format
})

// request is what all formats tell alike of a request: some name its cluster and its client otherwise. Where it has no
// request ID, it is a connection, and its client is its own.
type request struct{ id, upstreamLocal, downstreamLocal, downstreamRemote string }

func requestOf(line *Line) request {
	r := request{id: line.RequestID, upstreamLocal: line.UpstreamLocal, downstreamLocal: line.DownstreamLocal}
	if r.id == "" {
		r.downstreamRemote = line.DownstreamRemote
	}
	return r
}

// once counts requests where a proxy has several logs: of the lines that its logs wrote of the same request it leaves one.
// Of lines in several formats those of the format that saw the most are left; of lines with the same text, one for as many
// logs as write such a line. What the proxy did twice so stays twice.
func (l accessLogs) once(lines []*Line) []*Line {
	if !l.several {
		return lines
	}
	var order []request
	left := map[request]map[string][]*Line{}
	written := map[request]map[string]int{}
	for _, line := range lines {
		if !slices.Contains(l.used, line.Format()) {
			continue
		}
		r, format := requestOf(line), line.Format().String()
		if left[r] == nil {
			order = append(order, r)
			left[r], written[r] = map[string][]*Line{}, map[string]int{}
		}
		if written[r][line.Raw]%l.copies[format] == 0 {
			left[r][format] = append(left[r][format], line)
		}
		written[r][line.Raw]++
	}
	var chosen []*Line
	for _, r := range order {
		chosen = append(chosen, l.most(left[r])...)
	}
	return chosen
}

// most are the lines of the format that has the most of them.
func (l accessLogs) most(lines map[string][]*Line) []*Line {
	var chosen []*Line
	for _, format := range l.used {
		if one := lines[format.String()]; len(one) > len(chosen) {
			chosen = one
		}
	}
	return chosen
}
