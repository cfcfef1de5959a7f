package envoy

import (
	"encoding/json"
	"fmt"
)

// routeMatchJSON is envoy.config.route.v3.RouteMatch.
type routeMatchJSON struct {
	Prefix    *string         `json:"prefix"`
	Path      *string         `json:"path"`
	Segment   *string         `json:"path_separated_prefix"`
	SafeRegex *regexJSON      `json:"safe_regex"`
	Connect   json.RawMessage `json:"connect_matcher"`
	Template  *struct {
		Config struct {
			Template string `json:"path_template"`
		} `json:"typed_config"`
	} `json:"path_match_policy"`
	Headers []headerMatchJSON `json:"headers"`
	Query   []struct {
		Name string `json:"name"`
	} `json:"query_parameters"`
}

type regexJSON struct {
	Regex string `json:"regex"`
}

// headerMatchJSON is envoy.config.route.v3.HeaderMatcher, with the direct fields that
// string_match replaced but old control planes still send.
type headerMatchJSON struct {
	Name     string           `json:"name"`
	Invert   bool             `json:"invert_match"`
	String   *stringMatchJSON `json:"string_match"`
	Present  *bool            `json:"present_match"`
	Exact    *string          `json:"exact_match"`
	Prefix   *string          `json:"prefix_match"`
	Suffix   *string          `json:"suffix_match"`
	Contains *string          `json:"contains_match"`
	Regex    *regexJSON       `json:"safe_regex_match"`
	Range    *struct {
		Start json.Number `json:"start"`
		End   json.Number `json:"end"`
	} `json:"range_match"`
}

// stringMatchJSON is envoy.type.matcher.v3.StringMatcher.
type stringMatchJSON struct {
	Exact    *string    `json:"exact"`
	Prefix   *string    `json:"prefix"`
	Suffix   *string    `json:"suffix"`
	Contains *string    `json:"contains"`
	Regex    *regexJSON `json:"safe_regex"`
}

func (j routeMatchJSON) match() RouteMatch {
	out := RouteMatch{Kind: OtherMatch}
	switch {
	case j.Path != nil:
		out.Kind, out.Path = ExactPath, *j.Path
	case j.Prefix != nil:
		out.Kind, out.Path = PrefixPath, *j.Prefix
	case j.Segment != nil:
		out.Kind, out.Path = SegmentPrefix, *j.Segment
	case j.SafeRegex != nil:
		out.Kind, out.Path = RegexPath, j.SafeRegex.Regex
	case j.Template != nil:
		out.Kind, out.Path = TemplatePath, j.Template.Config.Template
	case len(j.Connect) > 0:
		out.Kind = ConnectRequests
	}
	for _, h := range j.Headers {
		out.Headers = append(out.Headers, h.match())
	}
	for _, q := range j.Query {
		out.QueryParameters = append(out.QueryParameters, q.Name)
	}
	return out
}

func (j headerMatchJSON) match() HeaderMatch {
	out := HeaderMatch{Name: j.Name, Invert: j.Invert}
	s := stringMatchJSON{Exact: j.Exact, Prefix: j.Prefix, Suffix: j.Suffix, Contains: j.Contains, Regex: j.Regex}
	if j.String != nil {
		s = *j.String
	}
	switch {
	case s.Exact != nil:
		out.Kind, out.Value = "exact", *s.Exact
	case s.Prefix != nil:
		out.Kind, out.Value = "prefix", *s.Prefix
	case s.Suffix != nil:
		out.Kind, out.Value = "suffix", *s.Suffix
	case s.Contains != nil:
		out.Kind, out.Value = "contains", *s.Contains
	case s.Regex != nil:
		out.Kind, out.Value = "regex", s.Regex.Regex
	case j.Range != nil:
		out.Kind, out.Value = "range", fmt.Sprintf("[%s,%s)", orZero(j.Range.Start), orZero(j.Range.End))
	case j.String != nil:
		out.Kind = "other"
	default:
		// present_match, and a header without any specifier, both ask for presence;
		// present_match false asks for absence.
		out.Kind = "present"
		if j.Present != nil && !*j.Present {
			out.Invert = !out.Invert
		}
	}
	return out
}

// orZero gives back the zero that protobuf's JSON form leaves out.
func orZero(n json.Number) json.Number {
	if n == "" {
		return "0"
	}
	return n
}
