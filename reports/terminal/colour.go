package terminal

import (
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// The colours are the terminal's own, so that they suit its background.
const (
	green  = "32"
	red    = "31"
	yellow = "33"
	dim    = "2"
)

// paint colours s when colours are wanted; an empty colour leaves it.
func (l layout) paint(colour, s string) string {
	if !l.colour || colour == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// paintFirst colours the first occurrence of word in lines.
func (l layout) paintFirst(lines []string, colour, word string) {
	for i, line := range lines {
		if strings.Contains(line, word) {
			lines[i] = strings.Replace(line, word, l.paint(colour, word), 1)
			return
		}
	}
}

// word is a verdict as it starts a claim's line; red ones are in capitals, so that they stand out without colour.
func word(v v1.Verdict) (text, colour string) {
	switch v {
	case v1.Passed:
		return "pass", green
	case v1.Failed:
		return "FAIL", red
	case v1.Skipped:
		return "skip", dim
	}
	return "INCON", yellow
}
