package envoy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// count reads an unsigned number of protobuf's JSON form, which writes 64-bit
// numbers as strings and smaller ones as numbers.
type count uint64

func (c *count) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	text := string(bytes.Trim(data, `"`))
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		// Gauges and rates may come with a fraction or an exponent.
		f, ferr := strconv.ParseFloat(text, 64)
		if ferr != nil || f < 0 || f >= 1<<63 {
			return fmt.Errorf("not an unsigned number: %s", data)
		}
		n = uint64(f)
	}
	*c = count(n)
	return nil
}

// limit returns a pointer, so that "not configured" stays apart from zero.
func (c *count) limit() *uint64 {
	if c == nil {
		return nil
	}
	n := uint64(*c)
	return &n
}

// seconds reads protobuf's JSON form of a duration: "1.500s".
type seconds time.Duration

func (s *seconds) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("not a duration: %w", err)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("not a duration: %w", err)
	}
	*s = seconds(d)
	return nil
}

// duration returns a pointer, so that "not configured" stays apart from zero.
func (s *seconds) duration() *time.Duration {
	if s == nil {
		return nil
	}
	d := time.Duration(*s)
	return &d
}
