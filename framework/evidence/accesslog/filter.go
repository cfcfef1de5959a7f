package accesslog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Filter decides which lines a log writes.
type Filter struct {
	// Raw is the filter as the configuration states it.
	Raw json.RawMessage
	// Text says what it lets through: "response_code >= 500".
	Text string
}

// String returns Text.
func (f *Filter) String() string { return f.Text }

// newFilter never fails: a filter that is not known is described by its name, because
// that there is one must be told in any case.
func newFilter(raw json.RawMessage) *Filter {
	return &Filter{Raw: slices.Clone(raw), Text: describe(raw, 0)}
}

// maxFilterDepth bounds filters inside filters.
const maxFilterDepth = 16

// filterSpecJSON is envoy.config.accesslog.v3.AccessLogFilter, of which one field is set.
type filterSpecJSON struct {
	Status      *compareJSON `json:"status_code_filter"`
	Duration    *compareJSON `json:"duration_filter"`
	HealthCheck *struct{}    `json:"not_health_check_filter"`
	Traceable   *struct{}    `json:"traceable_filter"`
	Runtime     *struct {
		Key string `json:"runtime_key"`
	} `json:"runtime_filter"`
	And    *filterListJSON `json:"and_filter"`
	Or     *filterListJSON `json:"or_filter"`
	Header *struct {
		Header map[string]json.RawMessage `json:"header"`
	} `json:"header_filter"`
	Flags *struct {
		Flags []string `json:"flags"`
	} `json:"response_flag_filter"`
	GRPC *struct {
		Statuses []string `json:"statuses"`
		Exclude  bool     `json:"exclude"`
	} `json:"grpc_status_filter"`
	LogType *struct {
		Types   []string `json:"types"`
		Exclude bool     `json:"exclude"`
	} `json:"log_type_filter"`
	Extension *struct {
		Name   string `json:"name"`
		Config struct {
			Type       string `json:"@type"`
			Expression string `json:"expression"`
		} `json:"typed_config"`
	} `json:"extension_filter"`
}

type filterListJSON struct {
	Filters []json.RawMessage `json:"filters"`
}

type compareJSON struct {
	Comparison struct {
		Op    string `json:"op"`
		Value struct {
			Default json.Number `json:"default_value"`
		} `json:"value"`
	} `json:"comparison"`
}

func describe(raw json.RawMessage, depth int) string {
	var f filterSpecJSON
	if depth == maxFilterDepth || json.Unmarshal(raw, &f) != nil {
		return byName(raw)
	}
	switch {
	case f.Status != nil:
		return f.Status.text("response_code", "")
	case f.Duration != nil:
		return f.Duration.text("duration", " ms")
	case f.HealthCheck != nil:
		return "not a health check"
	case f.Traceable != nil:
		return "traced"
	case f.Runtime != nil:
		return "in the fraction of runtime key " + f.Runtime.Key
	case f.And != nil:
		return f.And.text(" and ", depth)
	case f.Or != nil:
		return f.Or.text(" or ", depth)
	case f.Header != nil:
		return "request header " + headerText(f.Header.Header)
	case f.Flags != nil && len(f.Flags.Flags) == 0:
		return "any response flag"
	case f.Flags != nil:
		return "response_flags has " + strings.Join(f.Flags.Flags, " or ")
	case f.GRPC != nil:
		return among("grpc_status", f.GRPC.Statuses, f.GRPC.Exclude)
	case f.LogType != nil:
		return among("access_log_type", f.LogType.Types, f.LogType.Exclude)
	case f.Extension != nil && f.Extension.Config.Expression != "":
		return f.Extension.Config.Expression
	case f.Extension != nil:
		return "extension " + f.Extension.Name
	}
	return byName(raw)
}

var comparisons = map[string]string{"": "==", "EQ": "==", "GE": ">=", "LE": "<=", "NE": "!="}

func (c compareJSON) text(what, unit string) string {
	op, ok := comparisons[c.Comparison.Op]
	if !ok {
		op = c.Comparison.Op
	}
	value := c.Comparison.Value.Default
	if value == "" {
		value = "0" // protobuf omits zero
	}
	return fmt.Sprintf("%s %s %s%s", what, op, value, unit)
}

func (l filterListJSON) text(between string, depth int) string {
	var parts []string
	for _, f := range l.Filters {
		parts = append(parts, describe(f, depth+1))
	}
	return "(" + strings.Join(parts, between) + ")"
}

func among(what string, values []string, exclude bool) string {
	is := " is "
	if exclude {
		is = " is none of "
	}
	return what + is + strings.Join(values, ", ")
}

func headerText(header map[string]json.RawMessage) string {
	name := strings.Trim(string(header["name"]), `"`)
	var rest []string
	for _, key := range slices.Sorted(maps.Keys(header)) {
		if key != "name" {
			rest = append(rest, key+" "+string(header[key]))
		}
	}
	return strings.Join(append([]string{name}, rest...), ", ")
}

// byName describes a filter by the field that it is in.
func byName(raw json.RawMessage) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || len(fields) == 0 {
		return "an unknown filter"
	}
	return strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
}
