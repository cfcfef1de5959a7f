package accesslog

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Kind is what a log has a line for.
type Kind string

// The kinds of logs; other network filters' logs have the filter's type.
const (
	HTTP     Kind = "http"     // a request, from an HTTP connection manager
	TCP      Kind = "tcp"      // a connection, from a TCP proxy, written when it closes
	Listener Kind = "listener" // a connection, from a listener; Istio uses it for those no chain takes
	Upstream Kind = "upstream" // a try of a request, from a router's upstream_log
)

// NoChain is Sink.Chain of a listener's own log.
const NoChain = -1

// Sink is one access log in a proxy's configuration.
type Sink struct {
	Listener    string // name of the listener
	FilterChain string // name of the filter chain; empty for unnamed ones and for the listener's own log
	// Chain is the filter chain's place in its listener, the default one's last: names are not unique. NoChain for the
	// listener's own log.
	Chain int
	// Kind is one of the constants above, or the type of another network filter.
	Kind Kind

	// Provider is "file", "stdout", "stderr", "grpc", "opentelemetry", or the type of
	// another one.
	Provider string
	// Path is the file; "/dev/stdout" and "/dev/stderr" for the streams, which is where
	// Istio's file logs go too. Empty for what is no file.
	Path string

	// Readable says that the lines are in a file, one record each, in Format. Otherwise
	// Problem says why not.
	Readable bool
	Problem  string
	Format   *Format // nil unless Readable

	// Filter is what decides which lines are written; nil: all. What it holds back
	// leaves no trace, so that a missing line proves nothing.
	Filter *Filter
	// Interim says which lines are written before the end of a request or connection;
	// empty: none. They have the same identity, but not yet its result.
	Interim string
}

// String says where the log is, where it goes and what it holds back, for people.
func (s Sink) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "listener %s", s.Listener)
	if s.FilterChain != "" {
		fmt.Fprintf(&b, ", chain %s", s.FilterChain)
	}
	fmt.Fprintf(&b, ": %s log to %s", s.Kind, s.Provider)
	if s.Provider == "file" {
		fmt.Fprintf(&b, " %s", s.Path)
	}
	if s.Filter != nil {
		fmt.Fprintf(&b, ", only if %s", s.Filter)
	}
	if s.Interim != "" {
		fmt.Fprintf(&b, ", also %s", s.Interim)
	}
	if !s.Readable {
		fmt.Fprintf(&b, "; not readable here: %s", s.Problem)
	}
	return b.String()
}

// accessLogJSON is envoy.config.accesslog.v3.AccessLog.
type accessLogJSON struct {
	Name   string          `json:"name"`
	Filter json.RawMessage `json:"filter"`
	Config json.RawMessage `json:"typed_config"`
}

// loggerJSON reads the file and stream loggers, and where gRPC ones send.
type loggerJSON struct {
	Type   string         `json:"@type"`
	Path   string         `json:"path"`
	Format *logFormatJSON `json:"log_format"`
	// Deprecated forms of FileAccessLog.
	Text      *string         `json:"format"`
	JSON      json.RawMessage `json:"json_format"`
	TypedJSON json.RawMessage `json:"typed_json_format"`
	Common    struct {
		LogName string `json:"log_name"`
		Service struct {
			Envoy struct {
				Cluster string `json:"cluster_name"`
			} `json:"envoy_grpc"`
		} `json:"grpc_service"`
	} `json:"common_config"`
}

// logFormatJSON is envoy.config.core.v3.SubstitutionFormatString.
type logFormatJSON struct {
	Text   *string         `json:"text_format"`
	JSON   json.RawMessage `json:"json_format"`
	Source *struct {
		String *string `json:"inline_string"`
		Bytes  []byte  `json:"inline_bytes"`
		File   string  `json:"filename"`
		Env    string  `json:"environment_variable"`
	} `json:"text_format_source"`
	OmitEmpty bool `json:"omit_empty_values"`
}

// compiler compiles each format once, however many filter chains state it.
type compiler map[formatKey]compiled

type formatKey struct {
	json, omitEmpty bool
	source          string
}

type compiled struct {
	format *Format
	err    error
}

// sink reads one access log. Only what is no access log at all is an error; what cannot
// be read back is a Problem.
func (c compiler) sink(log accessLogJSON) (Sink, error) {
	out := Sink{}
	if len(log.Filter) > 0 && string(log.Filter) != "null" {
		out.Filter = newFilter(log.Filter)
	}
	var head struct {
		Type string `json:"@type"`
	}
	if len(log.Config) > 0 {
		if err := json.Unmarshal(log.Config, &head); err != nil {
			return Sink{}, fmt.Errorf("access log %q: %w", log.Name, err)
		}
	}
	message := shortType(head.Type)
	switch message {
	case "FileAccessLog":
		out.Provider = "file"
	case "StdoutAccessLog":
		out.Provider, out.Path = "stdout", "/dev/stdout"
	case "StderrAccessLog":
		out.Provider, out.Path = "stderr", "/dev/stderr"
	case "HttpGrpcAccessLogConfig", "TcpGrpcAccessLogConfig":
		out.Provider = "grpc"
	case "OpenTelemetryAccessLogConfig":
		out.Provider = "opentelemetry"
	case "":
		out.Provider = log.Name
		out.Problem = "its configuration has no type"
		return out, nil
	default:
		out.Provider = message
		out.Problem = "it does not write a file"
		return out, nil
	}
	var logger loggerJSON
	if err := json.Unmarshal(log.Config, &logger); err != nil {
		return Sink{}, fmt.Errorf("access log %q, a %s: %w", log.Name, message, err)
	}
	if out.Provider == "grpc" || out.Provider == "opentelemetry" {
		out.Problem = "it goes to a service"
		if cluster := logger.Common.Service.Envoy.Cluster; cluster != "" {
			out.Problem += " behind cluster " + cluster
		}
		return out, nil
	}
	if out.Provider == "file" {
		out.Path = logger.Path
	}
	format, err := c.format(logger)
	if err != nil {
		out.Problem = err.Error()
		return out, nil
	}
	out.Format, out.Readable = format, true
	return out, nil
}

// format compiles what a logger states, and refuses formats whose records are no lines.
func (c compiler) format(logger loggerJSON) (*Format, error) {
	key, err := logger.formatKey()
	if err != nil {
		return nil, err
	}
	if !key.json {
		switch body, ended := strings.CutSuffix(key.source, "\n"); {
		case !ended:
			return nil, fmt.Errorf("its format has no line end, so that records run together")
		case strings.Contains(body, "\n"):
			return nil, fmt.Errorf("its format spreads a record over several lines")
		}
	}
	done, ok := c[key]
	if !ok {
		var options []Option
		if key.omitEmpty {
			options = append(options, OmitEmpty())
		}
		done.format, done.err = compile(key.source, key.json, options)
		c[key] = done
	}
	return done.format, done.err
}

func (l loggerJSON) formatKey() (formatKey, error) {
	switch {
	case l.Format != nil:
		key := formatKey{omitEmpty: l.Format.OmitEmpty}
		switch f := l.Format; {
		case f.Text != nil:
			key.source = *f.Text
		case len(f.JSON) > 0:
			key.json, key.source = true, string(f.JSON)
		case f.Source != nil && f.Source.String != nil:
			key.source = *f.Source.String
		case f.Source != nil && len(f.Source.Bytes) > 0:
			key.source = string(f.Source.Bytes)
		case f.Source != nil && f.Source.File != "":
			return key, fmt.Errorf("its format is in the proxy's file %s", f.Source.File)
		case f.Source != nil && f.Source.Env != "":
			return key, fmt.Errorf("its format is in the proxy's environment variable %s", f.Source.Env)
		default:
			return key, fmt.Errorf("its log_format states no format")
		}
		return key, nil
	case len(l.TypedJSON) > 0:
		return formatKey{json: true, source: string(l.TypedJSON)}, nil
	case len(l.JSON) > 0:
		return formatKey{json: true, source: string(l.JSON)}, nil
	case l.Text != nil && *l.Text != "":
		return formatKey{source: *l.Text}, nil
	}
	return formatKey{source: EnvoyDefault}, nil
}

// shortType is a message's name without its type URL and package.
func shortType(typeURL string) string {
	return typeURL[strings.LastIndexAny(typeURL, "./")+1:]
}
