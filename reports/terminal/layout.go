package terminal

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// labelWidth is the column in which the text of a phase starts.
	labelWidth = 12
	// rightEdge is the column that times end at, where there is room for it.
	rightEdge = 92
	// minWidth is the narrowest line that text is wrapped to; below it, wrapping only makes things worse.
	minWidth = 40
	// maxSlug is the widest column that claims' names get.
	maxSlug = 40

	separator = " · "
)

// layout is the room for lines: width columns, or any number when it is 0.
type layout struct {
	width  int
	colour bool
}

func (l layout) sensible() layout {
	if l.width != 0 {
		l.width = max(l.width, minWidth)
	}
	return l
}

// row returns a label, a text and a time in their columns; text that is too long continues under itself.
func (l layout) row(label, text, time string) []string {
	return l.columns(pad(label, labelWidth), text, time)
}

// columns returns head and text with tail at the right edge of the first line; all further lines leave tail's column free.
func (l layout) columns(head, text, tail string) []string {
	if tail == "" {
		return l.hang(head, text)
	}
	edge := rightEdge
	narrowed := l
	if l.width > 0 {
		edge = min(edge, l.width)
		narrowed.width = edge - width(tail) - 2
	}
	lines := narrowed.hang(head, text)
	lines[0] = pad(lines[0], edge-width(tail)-2) + "  " + tail
	return lines
}

// fits is true when columns would return a single line that keeps to the right edge.
func (l layout) fits(head, text, tail string) bool {
	edge := rightEdge
	if l.width > 0 {
		edge = min(edge, l.width)
	}
	return width(head)+width(clean(text))+2+width(tail) <= edge && !strings.Contains(text, "\n")
}

// hang returns head and text, whose further lines are indented to where it starts. head is taken as it is, text is cleaned.
func (l layout) hang(head, text string) []string {
	room := 0
	if l.width > 0 {
		room = max(l.width-width(head), minWidth/2)
	}
	var lines []string
	for paragraph := range strings.SplitSeq(clean(text), "\n") {
		for _, line := range wrap(paragraph, room) {
			lines = append(lines, head+line)
			head = strings.Repeat(" ", width(head))
		}
	}
	return lines
}

// flow returns head and the parts, separated by dots, with line ends between parts, and inside one only when it is
// longer than a line. Both are taken as they are.
func (l layout) flow(head string, parts []string) []string {
	lines := []string{head}
	indent := strings.Repeat(" ", max(width(head), 2))
	end := strings.TrimRight(separator, " ")
	for i, part := range parts {
		if i < len(parts)-1 {
			part += end
		}
		last := &lines[len(lines)-1]
		if i == 0 {
			*last += part
			continue
		}
		if l.width == 0 || width(*last)+len(" ")+width(part) <= l.width {
			*last += " " + part
			continue
		}
		for _, line := range wrap(part, l.width-width(indent)) {
			lines = append(lines, indent+line)
		}
	}
	return lines
}

// wrap breaks one line of text at spaces, and keeps the spaces within a line as they are: columns inside a text stay columns.
func wrap(text string, room int) []string {
	text = strings.TrimRight(text, " ")
	var lines []string
	for room > 0 && width(text) > room {
		at, ok := breakAt(text, room)
		if !ok {
			break
		}
		lines = append(lines, strings.TrimRight(text[:at], " "))
		text = strings.TrimLeft(text[at:], " ")
	}
	return append(lines, text)
}

// breakAt returns the byte offset of the last space that has at most room columns before it, or of the first space when
// the first word alone is longer; not ok when the rest is a single word.
func breakAt(text string, room int) (at int, ok bool) {
	column, inText := 0, false
	for i, r := range text {
		if column > room && ok {
			break
		}
		if r == ' ' && inText {
			at, ok = i, true
		}
		inText = inText || r != ' '
		column++
	}
	return at, ok
}

// escapes are the colours that paint adds; clean text holds no other.
var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// width is the number of columns of s, for scripts whose characters take one each.
func width(s string) int {
	return utf8.RuneCountInString(escapes.ReplaceAllLiteralString(s, ""))
}

func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-width(s)))
}

// oneLine returns s cleaned, with its line ends turned into spaces: names and labels must not start a line of their own.
func oneLine(s string) string {
	return strings.ReplaceAll(clean(s), "\n", " ")
}

// clean replaces what could take over a terminal or turn text around: what a log holds was written by others.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return utf8.RuneError
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}
