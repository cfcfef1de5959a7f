package junit

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// What the consumers of the dialect make of it decides these; TestConsumers names who needs what.
const (
	// maxBody is how much of a body TestGrid shows, which Prow uses: of more it takes the middle out.
	maxBody = 9_999
	// maxGreen and maxRed are how much of a test case's output Jenkins shows: of more it takes the middle out.
	maxGreen, maxRed = 1_000, 100_000
)

// limited returns s, or as many of its lines as fit into most bytes with a last one that says how many are missing.
func limited(s string, most int) string {
	if len(s) <= most {
		return s
	}
	lines := slices.Collect(strings.Lines(s))
	room := most - len(moreLines(len(lines)))
	kept, size := 0, 0
	for kept < len(lines) && size+len(lines[kept]) <= room {
		size += len(lines[kept])
		kept++
	}
	return s[:size] + moreLines(len(lines)-kept)
}

func moreLines(count int) string {
	return fmt.Sprintf("%-12s  %d more lines of it are in %s\n", "more", count, v1.ReportFile)
}

// xmlTypes are the words by which Rails, and so GitLab, takes an element's type for that of its content: "date" would have the
// body parsed as one, and "yaml" or "symbol" the whole file refused.
var xmlTypes = []string{"symbol", "date", "datetime", "dateTime", "duration", "integer", "float", "decimal", "boolean", "string", "yaml", "base64Binary", "hexBinary", "file", "array"}

// typeOf is the cause of a failure as its type.
func typeOf(cause string) string {
	switch cause = oneLine(cause); {
	case cause == "":
		return "failed"
	case slices.Contains(xmlTypes, cause):
		return "cause " + cause
	}
	return cause
}

// placeOf parts the place of a check into the attributes by which GitLab links to it, and actions of GitHub annotate it.
func placeOf(source string) (file, line string) {
	colon := strings.LastIndexByte(source, ':')
	if colon < 0 {
		return text(source), ""
	}
	return text(source[:colon]), text(source[colon+1:])
}

// claimProperties let Prow group test cases, and whoever reads the file find a claim without taking its name apart.
func claimProperties(c v1.Claim) *properties {
	known := &properties{Properties: []property{{"claim", text(c.ID)}, {"verdict", text(string(c.Verdict))}}}
	if c.Cause != "" {
		known.Properties = append(known.Properties, property{"cause", text(c.Cause)})
	}
	return known
}
