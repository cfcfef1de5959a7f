package github

import (
	"html"
	"strings"
)

// maxCell is how many characters a cell of a table shows: a longer one makes the others unreadable.
const maxCell = 500

// markdownEscapes keeps text from being taken for Markdown: what a log holds was written by others.
var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "~", `\~`, "!", `\!`,
)

// markdown returns s as text in one line, of a paragraph or of a cell.
func markdown(s string) string {
	return html.EscapeString(markdownEscapes.Replace(oneLine(s)))
}

// oneLine returns s with single spaces for all white space.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
