package junit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshproof/meshproof/reports/internal/example"
	v1 "github.com/meshproof/meshproof/reports/v1"
)

// changed renders the example with its failed claim, ME3, changed, and returns that claim's test case.
func changed(t *testing.T, change func(*v1.Claim)) testcase {
	t.Helper()
	report := example.Report()
	change(&report.Patterns[1].Claims[2])
	return decode(t, render(t, report)).Suites[1].Cases[2]
}

// lengthy is evidence of so many lines that no consumer shows all.
func lengthy(lines int) []v1.Evidence {
	var items []v1.EvidenceItem
	for i := range lines {
		items = append(items, v1.EvidenceItem{End: "gateway", Text: fmt.Sprintf("line %d %s", i, strings.Repeat("x", 60))})
	}
	return []v1.Evidence{{Probe: "p", Items: items}}
}

// TestConsumers has a rule for each thing that a consumer would otherwise render badly, as its source reads the file.
func TestConsumers(t *testing.T) {
	t.Run("GitLab shows the body and not the message, so the body tells the reason", func(t *testing.T) {
		for _, verdict := range []v1.Verdict{v1.Failed, v1.Inconclusive, v1.Skipped} {
			c := changed(t, func(c *v1.Claim) { c.Verdict, c.Reason = verdict, "because of this" })
			for _, o := range []*outcome{c.Failure, c.Error, c.Skipped} {
				if o != nil && (!strings.Contains(o.Body, "because of this") || o.Message != "because of this") {
					t.Errorf("%s: message %q, body %q", verdict, o.Message, o.Body)
				}
			}
		}
	})
	t.Run("TestGrid shows the body of skipped and not the message, and else the output", func(t *testing.T) {
		c := changed(t, func(c *v1.Claim) { c.Verdict, c.Reason, c.Summary = v1.Skipped, "", "" })
		if c.Skipped == nil || c.Skipped.Body == "" {
			t.Errorf("skipped %+v", c.Skipped)
		}
	})
	t.Run("Rails takes some types for those of the content, and refuses a file with others", func(t *testing.T) {
		for cause, want := range map[string]string{"yaml": "cause yaml", "symbol": "cause symbol", "integer": "cause integer", "file": "cause file", "bypass": "bypass", "": "failed", "wrong\n  status": "wrong status"} {
			if c := changed(t, func(c *v1.Claim) { c.Cause = cause }); c.Failure.Type != want {
				t.Errorf("cause %q has the type %q, want %q", cause, c.Failure.Type, want)
			}
		}
	})
	t.Run("Jenkins takes the middle out of a green output of more than 1,000 characters", func(t *testing.T) {
		for _, verdict := range []v1.Verdict{v1.Passed, v1.Skipped} {
			c := changed(t, func(c *v1.Claim) { c.Verdict, c.Evidence, c.Findings = verdict, lengthy(100), []string{"it is open"} })
			if len(c.Output.Text) > maxGreen || !strings.Contains(c.Output.Text, "it is open") || !strings.HasSuffix(c.Output.Text, "more lines of it are in report.json\n") {
				t.Errorf("%s: an output of %d bytes:\n%s", verdict, len(c.Output.Text), c.Output.Text)
			}
		}
	})
	t.Run("Jenkins takes the middle out of a red output of more than 100,000 characters", func(t *testing.T) {
		c := changed(t, func(c *v1.Claim) { c.Evidence = lengthy(5000) })
		if len(c.Output.Text) > maxRed || len(c.Output.Text) < maxRed-200 {
			t.Errorf("an output of %d bytes", len(c.Output.Text))
		}
	})
	t.Run("TestGrid takes the middle out of a body of 10,000 characters, and the cause stands at the end", func(t *testing.T) {
		c := changed(t, func(c *v1.Claim) { c.Evidence = lengthy(1000) })
		if len(c.Failure.Body) >= 10_000 || !strings.Contains(c.Failure.Body, "\ncause         bypass\n") || !strings.Contains(c.Failure.Body, "look          mongo-egress/ME3/") {
			t.Errorf("a body of %d bytes that ends %s", len(c.Failure.Body), c.Failure.Body[len(c.Failure.Body)-300:])
		}
		c = changed(t, func(c *v1.Claim) { c.Text, c.Remedy = strings.Repeat("long\n", 3000), strings.Repeat("longer\n", 3000) })
		if len(c.Failure.Body) >= 10_000 {
			t.Errorf("a body of %d bytes without evidence", len(c.Failure.Body))
		}
	})
	t.Run("GitLab links to the file, and action-junit-report annotates file and line", func(t *testing.T) {
		c := changed(t, func(*v1.Claim) {})
		if c.File != "suites/mongo-egress/specs.go" || c.Line != "52" {
			t.Errorf("file %q, line %q", c.File, c.Line)
		}
		c = changed(t, func(c *v1.Claim) { c.Source = "" })
		if c.File != "" || c.Line != "" {
			t.Errorf("without a source: file %q, line %q", c.File, c.Line)
		}
	})
	t.Run("Prow groups test cases by their properties", func(t *testing.T) {
		c := changed(t, func(*v1.Claim) {})
		got := map[string]string{}
		for _, p := range c.Properties.Properties {
			got[p.Name] = p.Value
		}
		if got["claim"] != "mongo-egress/server-sees-gateway" || got["verdict"] != "failed" || got["cause"] != "bypass" {
			t.Errorf("properties %v", got)
		}
	})
	t.Run("Prow takes two test cases of one name for one that is flaky", func(t *testing.T) {
		seen := map[string]bool{}
		for _, s := range decode(t, render(t, example.Report())).Suites {
			for _, c := range s.Cases {
				if key := s.Name + "|" + c.Class + "|" + c.Name; seen[key] {
					t.Errorf("%s is there twice", key)
				} else {
					seen[key] = true
				}
			}
		}
	})
	t.Run("test-reporter shows test cases of another class than their suite as a group of their own", func(t *testing.T) {
		for _, s := range decode(t, render(t, example.Report())).Suites {
			for _, c := range s.Cases {
				if c.Class != s.Name {
					t.Errorf("%s of suite %s has the class %s", c.Name, s.Name, c.Class)
				}
			}
		}
	})
	t.Run("Jenkins takes what is before the last dot of a class for its package", func(t *testing.T) {
		if c := changed(t, func(*v1.Claim) {}); c.Class != "meshproof.mongo-egress" {
			t.Errorf("class %s", c.Class)
		}
	})
}

func TestLimitedKeepsWholeLines(t *testing.T) {
	s := "one\ntwo\n" + strings.Repeat("three\n", 100)
	for most := range len(s) + 2 {
		got := limited(s, most)
		if most >= len(s) && got != s {
			t.Errorf("%d bytes: %q", most, got)
		}
		if most >= len(moreLines(102)) && len(got) > most {
			t.Errorf("%d bytes: %d", most, len(got))
		}
		if most < len(s) && (!strings.HasSuffix(got, "in report.json\n") || strings.Count(got, "\n") > 1 && !strings.HasPrefix(got, "one\n")) {
			t.Errorf("%d bytes: %q", most, got)
		}
	}
}
