package expect

import (
	"strings"
	"testing"

	"github.com/onsi/gomega/types"

	"github.com/meshproof/meshproof/framework/evidence"
	"github.com/meshproof/meshproof/framework/pattern"
	"github.com/meshproof/meshproof/framework/traffic"
)

func TestAnswer(t *testing.T) {
	result := func(status int, body, err string) []evidence.Flow {
		return []evidence.Flow{{Result: traffic.Result{Status: status, Body: body, Err: err}}}
	}
	judgeAll(t, func() types.GomegaMatcher { return Answer(200, "Errors", "Shakespeare") }, map[string]verdictCase{
		"all of it": {flows: result(200, "The Comedy of Errors by Shakespeare", ""), outcome: evidence.True, detail: "1 of 1 probes"},
		"no answer": {flows: result(0, "", "connection refused"), outcome: evidence.False, cause: pattern.NotAnswered, detail: "got no answer: connection refused"},
		"another status": {flows: result(503, "upstream connect error\nsecond line", ""), outcome: evidence.False, cause: pattern.WrongStatus,
			detail: "got status 503: upstream connect error"},
		"another status, cut off": {flows: result(503, "", "unexpected EOF"), outcome: evidence.False, cause: pattern.WrongStatus, detail: "got status 503"},
		"the status, and half the answer": {flows: result(200, "The Comedy of Errors by Shakespeare", "unexpected EOF"), outcome: evidence.False, cause: pattern.NotAnswered,
			detail: "got status 200 but not the whole answer: unexpected EOF"},
		"one text is missing": {flows: result(200, "The Comedy of Errors", ""), outcome: evidence.False, cause: pattern.WrongContent,
			detail: `got status 200 without "Shakespeare" in the body`},
	})
}

func TestBeginning(t *testing.T) {
	long := strings.Repeat("x", 130)
	for body, want := range map[string]string{
		"": "", "one": "one", "\n one\ntwo": "one", long: long[:120] + "...", long[:120]: long[:120],
	} {
		if got := beginning(body); got != want {
			t.Errorf("beginning of %q is %q, want %q", body, got, want)
		}
	}
}
