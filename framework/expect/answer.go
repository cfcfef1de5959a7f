package expect

import (
	"fmt"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
)

// Answer is true of a probe that the client got answered with this HTTP status and a body that holds every one of the
// texts. End: the client.
func Answer(status int, texts ...string) types.GomegaMatcher {
	return &flowMatcher{
		statement: fmt.Sprintf("the client gets %d with %d recognised parts", status, len(texts)),
		end:       "client",
		judge: func(_ evidence.Flows, flow evidence.Flow) verdict {
			result := flow.Result
			switch {
			case result.Status == 0:
				return contradicts(string(pattern.NotAnswered), "got no answer: %s", result.Err)
			case result.Status != status:
				return contradicts(string(pattern.WrongStatus), "got status %d: %s", result.Status, beginning(result.Body))
			case result.Err != "":
				return contradicts(string(pattern.NotAnswered), "got status %d but not the whole answer: %s", result.Status, result.Err)
			}
			for _, text := range texts {
				if !strings.Contains(result.Body, text) {
					return contradicts(string(pattern.WrongContent), "got status %d without %q in the body", result.Status, text)
				}
			}
			return holds()
		},
	}
}

// beginning is the first line of a body, shortened.
func beginning(body string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(body), "\n")
	if len(line) > 120 {
		line = line[:120] + "..."
	}
	return line
}
