// Package github renders a report for GitHub Actions: annotations, as the commands that the runner reads from standard
// output, and a job summary in Markdown.
package github

import (
	"fmt"
	"io"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

const (
	// maxAnnotations is how many annotations of one kind GitHub takes of a step; it drops the others without a word.
	maxAnnotations = 10
	// maxMessage is how many characters of an annotation the runner passes on.
	maxMessage = 4096
)

// WriteAnnotations writes a workflow command for each red claim of report, and for what went wrong outside any: an error for
// what failed, a warning for what could not be judged. Claims that no check came to, for the same reason, share one. Of more
// than GitHub shows of a kind, the last says how many are not among them. results is the results folder as the reader would
// type it.
func WriteAnnotations(w io.Writer, report v1.Report, results string) error {
	var text strings.Builder
	all := annotationsOf(report, results)
	for _, level := range []level{failure, doubt} {
		for _, a := range shown(all, level, results) {
			text.WriteString(a.command())
		}
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("writing annotations: %w", err)
	}
	return nil
}

// level is the command that makes an annotation of this kind.
type level string

const (
	failure level = "error"
	doubt   level = "warning"
)

type annotation struct {
	level          level
	title, message string
	// source is the place of the check, as "file:line"; empty when it is not known.
	source string
}

// command is the line that GitHub's runner reads. What it would take for an end of a line, or of a property, is escaped as
// GitHub's own toolkit does it.
func (a annotation) command() string {
	var properties []string
	if file, line, found := cutLine(a.source); found {
		properties = append(properties, "file="+escapeProperty(file), "line="+escapeProperty(line))
	}
	properties = append(properties, "title="+escapeProperty(a.title))
	return fmt.Sprintf("::%s %s::%s\n", a.level, strings.Join(properties, ","), escapeData(shortened(a.message, maxMessage)))
}

// cutLine parts "file:line".
func cutLine(source string) (file, line string, found bool) {
	colon := strings.LastIndexByte(source, ':')
	if colon < 0 {
		return "", "", false
	}
	return source[:colon], source[colon+1:], true
}

var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func escapeData(s string) string     { return dataEscapes.Replace(s) }
func escapeProperty(s string) string { return propertyEscapes.Replace(s) }

// shortened returns at most most characters of s.
func shortened(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}

// shown are the annotations of one level that GitHub will show.
func shown(all []annotation, wanted level, results string) []annotation {
	var some []annotation
	for _, a := range all {
		if a.level == wanted {
			some = append(some, a)
		}
	}
	if len(some) <= maxAnnotations {
		return some
	}
	left := len(some) - maxAnnotations + 1
	some = some[:maxAnnotations-1]
	return append(some, annotation{
		level: wanted, title: fmt.Sprintf("%d more", left),
		message: fmt.Sprintf("GitHub shows %d annotations of a kind: %d more are in the job summary, in the log of this step, and in %s/report.json", maxAnnotations, left, results),
	})
}
