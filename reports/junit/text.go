package junit

import (
	"strings"
	"unicode/utf8"
)

// maxMessage is the length of a message attribute in characters: consumers show it in one line of a table.
const maxMessage = 300

// replacement stands for what XML 1.0 cannot hold, even escaped.
const replacement = utf8.RuneError

// text returns s with every character that XML 1.0 forbids, and every byte that is no UTF-8, replaced, and with line
// ends as XML reads them.
func text(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r == '\t', r == '\n':
			return r
		case r < 0x20, r == 0xFFFE, r == 0xFFFF:
			return replacement
		}
		return r
	}, s)
}

// oneLine returns s as text whose white space is single spaces.
func oneLine(s string) string {
	return strings.Join(strings.Fields(text(s)), " ")
}

// message returns the first of candidates that says something, in one line of at most maxMessage characters.
func message(candidates ...string) string {
	for _, candidate := range candidates {
		line := oneLine(candidate)
		if line == "" {
			continue
		}
		if runes := []rune(line); len(runes) > maxMessage {
			return string(runes[:maxMessage-1]) + "…"
		}
		return line
	}
	return ""
}
