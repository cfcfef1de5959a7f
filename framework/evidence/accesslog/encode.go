package accesslog

import "encoding/json"

// encoded is a format as a file keeps it.
type encoded struct {
	Source    string `json:"source"`
	JSON      bool   `json:"json,omitempty"`
	OmitEmpty bool   `json:"omitEmpty,omitempty"`
}

// MarshalJSON writes what UnmarshalJSON compiles again.
func (f *Format) MarshalJSON() ([]byte, error) {
	return json.Marshal(encoded{Source: f.source, JSON: f.JSON(), OmitEmpty: f.omitEmpty})
}

// UnmarshalJSON compiles a format that MarshalJSON wrote.
func (f *Format) UnmarshalJSON(data []byte) error {
	var e encoded
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	var options []Option
	if e.OmitEmpty {
		options = append(options, OmitEmpty())
	}
	compiled, err := compile(e.Source, e.JSON, options)
	if err != nil {
		return err
	}
	*f = *compiled
	return nil
}

func compile(source string, isJSON bool, options []Option) (*Format, error) {
	if isJSON {
		return CompileJSON([]byte(source), options...)
	}
	return CompileText(source, options...)
}
